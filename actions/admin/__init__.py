"""Actions' part of the admin: edges that parse, call one service and shape the answer."""

from actions.admin import actions, automations, channels, runs, signing

__all__ = ["actions", "automations", "channels", "runs", "signing"]
