"""Descriptors at their places: read from the server's folders, forges and allowed hosts."""
