"""The backends that this app brings."""

from __future__ import annotations

from actions.backends.elsewhere import IntegrationAction, Kafka
from actions.backends.upsert_entity import UpsertEntity
from actions.backends.webhook import Webhook
from actions.registry import register_backend


def register() -> None:
    """Called once, as the app starts."""
    for backend in (Webhook(), IntegrationAction(), UpsertEntity(), Kafka()):
        register_backend(backend)
