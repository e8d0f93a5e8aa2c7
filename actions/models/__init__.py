"""Actions, their runs, and what came of these. `actions.services` writes them."""

from actions.models.actions import Action, ActionVersion
from actions.models.automations import Firing, Timer
from actions.models.deliveries import Delivery
from actions.models.notifications import Channel, Message, Notification
from actions.models.runs import Run, RunArtifact, RunLog, new_run_identifier
from actions.models.signing import SigningKey

__all__ = [
    "Action",
    "ActionVersion",
    "Channel",
    "Delivery",
    "Firing",
    "Message",
    "Notification",
    "Run",
    "RunArtifact",
    "RunLog",
    "SigningKey",
    "Timer",
    "new_run_identifier",
]
