"""A source of servers: GET {url}/servers?after=… answers {"servers": [...], "next": "…"|null}."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from catalog.kernel.source import Connection, Page, ResourceKind, SourceKind

BLUEPRINT = {
    "identifier": "server",
    "title": "Server",
    "icon": "Server",
    "schema": {
        "properties": {
            "address": {"type": "string", "format": "ipv4", "title": "Address"},
            "rack": {"type": "string", "title": "Rack"},
        },
        "required": [],
    },
    "relations": {},
}

MAPPING = {
    "resources": [
        {
            "kind": "server",
            "selector": {"query": "true"},
            "port": {
                "entity": {
                    "mappings": {
                        "identifier": ".serial",
                        "title": ".name",
                        "blueprint": '"server"',
                        "properties": {"address": ".ip", "rack": ".rack"},
                    }
                }
            },
        }
    ]
}


class Inventory(SourceKind):
    name = "inventory"
    title = "Inventory"
    icon = "Server"
    description = "Servers of the inventory service."
    settings_schema = {
        "type": "object",
        "properties": {
            "url": {"type": "string", "format": "url", "title": "Address of the service"},
            "token": {"type": "string", "title": "Token", "secret": True},
        },
        "required": ["url", "token"],
        "additionalProperties": False,
    }
    resources = (
        ResourceKind(
            "server",
            "Server",
            identifier=".serial",
            selector={"rack": {"type": "string", "title": "Only of this rack"}},
        ),
    )

    def check(self, connection: Connection) -> Sequence[str]:
        first = next(self.fetch(connection, self.resources[0], {}))
        return [f"The service answers; its first page has {len(first.items)} servers."]

    def fetch(
        self,
        connection: Connection,
        resource: ResourceKind,
        selector: Mapping[str, Any],
        cursor: Any = None,
    ) -> Iterator[Page]:
        settings = connection.settings
        http = connection.http.with_(
            base_url=settings["url"], headers={"Authorization": f"Bearer {settings['token']}"}
        )
        query = {"rack": selector["rack"]} if "rack" in selector else {}
        while True:
            after = {"after": cursor} if cursor else {}
            answer = http.get_json("/servers", params={**query, **after})
            cursor = answer["next"]
            yield Page(answer["servers"], cursor)
            if cursor is None:
                return

    def blueprints(self) -> Sequence[Any]:
        return [BLUEPRINT]

    def mapping(self) -> Any:
        return MAPPING

    def samples(self) -> Mapping[str, Sequence[Any]]:
        return {"server": [{"serial": "s-1", "name": "web 1", "ip": "192.0.2.7", "rack": "a3"}]}
