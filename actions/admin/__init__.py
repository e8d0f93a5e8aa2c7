"""Actions' part of the admin: edges that parse, call one service and shape the answer."""

from actions.admin import automations, channels, runs

__all__ = ["automations", "channels", "runs"]
