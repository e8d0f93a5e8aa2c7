"""Notifications: what people should know, in their inbox, by e-mail, and in channels outside.

`notify` writes them; a consumer of the change feed tells of runs (`following`); `sending` carries
messages out.
"""
