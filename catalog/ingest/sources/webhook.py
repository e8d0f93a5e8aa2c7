"""Any program that can send JSON: nothing is listed, events alone are read (`ingest.webhooks`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from catalog.ingest import webhooks
from catalog.kernel.source import Connection, Event, Page, ResourceKind, SourceKind
from catalog.models import Integration
from catalog.services.integrations import WEBHOOK_SETTINGS

_EVENTS_HELP: Final = """\
Have the program send its events to the address above, by `POST`, as JSON of at most 512 KiB.

Where it can sign them, enter the secret here and there, and name the header and the algorithm:
GitHub's would be `X-Hub-Signature-256`, `sha256` and the prefix `sha256=`. Without that, the
address itself is the only secret.
"""

_SAMPLE: Final = {
    "body": {
        "id": 1042,
        "service": "payments",
        "status": "succeeded",
        "url": "https://ci.example.com/builds/1042",
    },
    "headers": {"content-type": "application/json", "x-event": "build"},
    "queryParams": {},
}


class Webhook(SourceKind):
    name = Integration.WEBHOOK
    title = "Webhook"
    icon = "Webhook"
    description = "Events of any program that can send JSON, read by mappings of your own."
    settings_schema = WEBHOOK_SETTINGS
    resources = ()
    takes_events = True
    event_help = _EVENTS_HELP

    def check(self, connection: Connection) -> Sequence[str]:
        webhooks.check_security(
            connection.settings, has_secret=bool(connection.settings.get("secret"))
        )
        if connection.settings.get("secret"):
            return ["Only events that are signed with the secret are taken."]
        return ["Every event is taken from whoever knows the address."]

    def fetch(
        self,
        connection: Connection,
        resource: ResourceKind,
        selector: Mapping[str, Any],
        cursor: Any = None,
    ) -> Iterator[Page]:
        return iter(())

    def verify(self, event: Event, settings: Mapping[str, Any]) -> None:
        webhooks.verify(event, settings)

    def blueprints(self) -> Sequence[Any]:
        return []

    def mapping(self) -> Any:
        return {"mappings": []}

    def samples(self) -> Mapping[str, Sequence[Any]]:
        return {self.name: [_SAMPLE]}
