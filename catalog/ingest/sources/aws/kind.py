from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, Final

from catalog.ingest.sources.aws.listings import LISTINGS
from catalog.ingest.sources.defaults import BundledKind
from catalog.kernel.source import Connection, Page, ResourceKind

ACCOUNT: Final = "AWS::Account::Info"

_TYPE = re.compile(r"\AAWS::[A-Za-z0-9]+::[A-Za-z0-9]+\Z")
_SELECTOR = {
    "regions": {
        "type": "array",
        "items": {"type": "string"},
        "title": "Only in these regions",
    },
}


class Aws(BundledKind):
    """Lists what accounts hold, by the APIs of the services or by Cloud Control.

    An item is {"Type", "Properties", "__ExtraContext": {"AccountId", "Region"}, "__Region",
    "__AccountId"}: Port's mappings read it so.
    """

    name = "aws"
    title = "AWS"
    icon = "AWS"
    description = "Accounts and their resources: compute, storage, databases, queues and more."
    settings_schema = {
        "type": "object",
        "properties": {
            "login": {
                "type": "string",
                "title": "Log-in",
                "enum": ["keys", "environment"],
                "default": "keys",
                "description": "environment: as the machine is logged in (instance role, web "
                "identity, profile).",
            },
            "accessKeyId": {"type": "string", "title": "Access key ID"},
            "secretAccessKey": {"type": "string", "title": "Secret access key", "secret": True},
            "sessionToken": {"type": "string", "title": "Session token", "secret": True},
            "regions": {
                "type": "array",
                "items": {"type": "string", "pattern": r"^[a-z]{2}(-[a-z]+)+-\d+$"},
                "minItems": 1,
                "title": "Regions",
                "description": "Like eu-central-1.",
            },
            "roleArns": {
                "type": "array",
                "items": {"type": "string", "pattern": r"^arn:[a-z-]+:iam::\d{12}:role/.+$"},
                "title": "Roles to assume",
                "description": "One for each further account; without any, the own account.",
            },
            "externalId": {"type": "string", "title": "External ID of the roles"},
            "endpointUrl": {
                "type": "string",
                "format": "url",
                "title": "Another endpoint",
                "description": "Of a compatible service; empty is AWS.",
            },
        },
        "required": ["regions"],
        "additionalProperties": False,
    }
    resources = (
        ResourceKind(ACCOUNT, "Accounts", ".Properties.Id"),
        *(
            ResourceKind(name, one.title, one.identifier, selector=_SELECTOR)
            for name, one in LISTINGS.items()
        ),
    )

    def resource(self, name: str) -> ResourceKind | None:
        """Any other type name is listed by the Cloud Control API, if that knows it."""
        known = super().resource(name)
        if known is None and _TYPE.match(name):
            return ResourceKind(name, name, ".Identifier", selector=_SELECTOR)
        return known

    def check(self, connection: Connection) -> Sequence[str]:
        numbers = [account.number for account in _access().accounts(connection.settings)]
        return [
            f"Logged in to account {', '.join(numbers)}.",
            f"Regions: {', '.join(connection.settings['regions'])}.",
        ]

    def fetch(
        self,
        connection: Connection,
        resource: ResourceKind,
        selector: Mapping[str, Any],
        cursor: Any = None,
    ) -> Iterator[Page]:
        """A cursor names account and region; a resumed list starts its region again."""
        regions = selector.get("regions") or connection.settings["regions"]
        listing = LISTINGS.get(resource.name)
        if resource.name == ACCOUNT or (listing and listing.is_global):
            regions = regions[:1]
        roles = connection.settings.get("roleArns") or [""]
        places = [(role, region) for role in roles for region in regions]
        start = cursor or 0
        account, role_of_account = None, None
        for at, (role, region) in enumerate(places[start:], start):
            if role != role_of_account:
                account, role_of_account = _access().log_in(connection.settings, role), role
            for items in _access().items(connection, resource.name, listing, account, region):
                yield Page(items, at)
            yield Page([], at + 1 if at + 1 < len(places) else None)


def _access() -> ModuleType:
    """What talks to AWS, loaded when it is first needed: boto3 takes its time, in every process."""
    from catalog.ingest.sources.aws import access

    return access
