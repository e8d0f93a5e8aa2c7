"""The backends that this app brings."""

from __future__ import annotations

from actions.backends import live
from actions.backends.azure_devops import AzureDevOps, AzureDevOpsWithDash
from actions.backends.elsewhere import IntegrationAction, Kafka
from actions.backends.github import GitHub
from actions.backends.gitlab import GitLab
from actions.backends.template import Template
from actions.backends.upsert_entity import UpsertEntity
from actions.backends.webhook import Webhook
from actions.registry import Backend, register_backend
from actions.services import handing_over, signing
from catalog.registry import register_live_listener, register_resealer


def register() -> None:
    """Called once, as the app starts."""
    brought: tuple[Backend, ...] = (
        Webhook(),
        GitHub(),
        GitLab(),
        AzureDevOps(),
        AzureDevOpsWithDash(),
        IntegrationAction(),
        UpsertEntity(),
        Template(),
        Kafka(),
    )
    for backend in brought:
        register_backend(backend)
    register_live_listener(live.heed)
    register_resealer("signing keys", signing.reseal)
    register_resealer("runs", handing_over.reseal_runs)
