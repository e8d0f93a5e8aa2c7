"""Automations: actions that events start.

A consumer of the change feed tells which automations listen to what has changed (`following`),
makes the events they listen to (`events`) and starts their runs (`firing`). Timers and schedules
are told of by ticks.
"""
