"""The way from a configured source to what its kind works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from catalog.kernel.errors import Conflict
from catalog.kernel.http import Client
from catalog.kernel.http.masking import mask
from catalog.kernel.http.waiting import OnWait
from catalog.kernel.source import Connection, SourceKind
from catalog.models import Integration
from catalog.services import secrets
from catalog.services.integrations import check_settings, source_kind

LONGEST_WAIT_S = 3_900.0  # for one call; GitHub's limits start again every hour
FORM_WAIT_S = 3.0


@dataclass(frozen=True, slots=True)
class Source:
    """An integration, ready to be read. secrets: what no log, error or item may show."""

    kind: SourceKind
    connection: Connection
    secrets: frozenset[str]

    def environment(self) -> Mapping[str, str]:
        """What `env` holds in the mapping's JQ, where a secret that a setting names may not go."""
        found = self.kind.environment(self.connection.settings)
        return {name: mask(value, self.secrets) for name, value in found.items()}


def connection_for(
    integration: Integration,
    *,
    log: Callable[[str, str], None],
    on_wait: OnWait | None = None,
) -> Connection:
    """What the kind of a source works with: checked settings in clear, and the way out.

    Raises NotFound (the kind is not installed), InvalidInput, SealingFailed.
    """
    return open_source(integration, log=log, on_wait=on_wait).connection


def open_source(
    integration: Integration,
    *,
    log: Callable[[str, str], None],
    on_wait: OnWait | None = None,
) -> Source:
    """As `connection_for`, with the kind, and the secrets to hide."""
    if not integration.runs_here:
        raise Conflict(f'"{integration.identifier}" runs elsewhere')
    kind = source_kind(integration.kind)
    resolved = secrets.resolve_with_secrets(integration.settings, integration.sealed)
    settings = with_defaults(kind.settings_schema, resolved.settings)
    check_settings(kind.settings_schema, settings)
    http = Client(secrets=resolved.secrets, on_wait=on_wait)
    if on_wait:  # which may give a wait up; some limits are by the hour
        http = http.with_(max_wait_s=LONGEST_WAIT_S)
    else:  # somebody looks at a form
        http = http.with_(max_wait_s=FORM_WAIT_S, retries=1)
    return Source(kind, Connection(settings, http, log, integration.pk), resolved.secrets)


def with_defaults(schema: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values`, with the default of each setting that has one and was not given."""
    defaults = {
        name: one["default"]
        for name, one in schema.get("properties", {}).items()
        if "default" in one
    }
    return {**defaults, **values}
