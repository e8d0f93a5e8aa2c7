"""Logging in to AWS and asking it, with its errors told in its own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import orjson
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
)

from catalog.ingest.sources.aws.kind import ACCOUNT
from catalog.ingest.sources.aws.listings import Listing, tags
from catalog.kernel.errors import (
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
    shorten,
)
from catalog.kernel.http import check_endpoint
from catalog.kernel.source import Connection

_REFUSED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
}
_LIMITS = Config(
    connect_timeout=10,
    read_timeout=60,
    retries={"mode": "standard", "max_attempts": 6},
    user_agent_extra="idp",
)


@dataclass(frozen=True, slots=True)
class Account:
    """A logged-in session, and whose account it is."""

    session: Any
    number: str
    partition: str


def log_in(settings: Mapping[str, Any], role: str) -> Account:
    """The account of `role`, or the own one where that is empty. Raises UpstreamError."""
    with _told():
        return _logged_in(settings, role)


def accounts(settings: Mapping[str, Any]) -> Iterator[Account]:
    for role in settings.get("roleArns") or [""]:
        yield log_in(settings, role)


def items(
    connection: Connection, name: str, listing: Listing | None, account: Account, region: str
) -> Iterator[list[dict[str, Any]]]:
    """Pages of the objects of one type in one region. Raises UpstreamError."""
    with _told(f"{name} in {region}"):
        if name == ACCOUNT:
            yield [_item(name, _account_facts(connection, account), account, region)]
        elif listing:
            client = _client(connection, account, listing.service, region)
            for objects in listing.pages(client):
                yield [_item(name, one, account, region) for one in objects]
        else:
            control = _client(connection, account, "cloudcontrol", region)
            for page in control.get_paginator("list_resources").paginate(TypeName=name):
                yield [
                    {
                        **_item(name, orjson.loads(one["Properties"]), account, region),
                        "Identifier": one["Identifier"],
                    }
                    for one in page["ResourceDescriptions"]
                ]


def _item(name: str, properties: Any, account: Account, region: str) -> dict[str, Any]:
    if "Tags" in properties or "TagList" in properties:
        pairs = properties["Tags"] if "Tags" in properties else properties["TagList"]
        properties = {**properties, "Tags": tags(pairs)}
    facts = {
        "Type": name,
        "Properties": properties,
        "__ExtraContext": {"AccountId": account.number, "Region": region},
        "_AccountId": account.number,
        "__Region": region,
        "__Kind": name,
    }
    item: dict[str, Any] = orjson.loads(orjson.dumps(facts, default=str))  # dates become text
    return item


def _account_facts(connection: Connection, account: Account) -> dict[str, Any]:
    """Its number, and its name where the account may see its own alias."""
    name = account.number
    try:
        aliases = _client(connection, account, "iam", None).list_account_aliases()["AccountAliases"]
        name = aliases[0] if aliases else name
    except ClientError as error:
        connection.log("info", f"The account's alias cannot be read: {_words(error)}")
    return {"Id": account.number, "Name": name, "Partition": account.partition}


def _logged_in(settings: Mapping[str, Any], role: str) -> Account:
    keys: dict[str, Any] = {}
    if settings.get("login", "keys") == "keys":
        for name in ("accessKeyId", "secretAccessKey"):
            if not settings.get(name):
                raise UpstreamRefused(
                    f"{name} is missing; expected a value, for the log-in by keys",
                    details={"field": f"settings.{name}", "expected": "a value"},
                )
        keys = {
            "aws_access_key_id": settings["accessKeyId"],
            "aws_secret_access_key": settings["secretAccessKey"],
            "aws_session_token": settings.get("sessionToken") or None,
        }
    session = boto3.Session(region_name=settings["regions"][0], **keys)
    sts = session.client("sts", endpoint_url=_endpoint(settings), config=_LIMITS)
    if role:
        external = {"ExternalId": settings["externalId"]} if settings.get("externalId") else {}
        taken = sts.assume_role(RoleArn=role, RoleSessionName="idp", **external)["Credentials"]
        session = boto3.Session(
            region_name=settings["regions"][0],
            aws_access_key_id=taken["AccessKeyId"],
            aws_secret_access_key=taken["SecretAccessKey"],
            aws_session_token=taken["SessionToken"],
        )
        sts = session.client("sts", endpoint_url=_endpoint(settings), config=_LIMITS)
    whose = sts.get_caller_identity()
    return Account(session, whose["Account"], whose["Arn"].split(":")[1])


def _client(connection: Connection, account: Account, service: str, region: str | None) -> Any:
    return account.session.client(
        service,
        region_name=region,
        endpoint_url=_endpoint(connection.settings),
        config=_LIMITS,
    )


def _endpoint(settings: Mapping[str, Any]) -> str | None:
    """boto3 dials by itself, so an address of somebody's choosing is checked before."""
    url = settings.get("endpointUrl") or None
    if url:
        check_endpoint(url, field="settings.endpointUrl")
    return url


@contextmanager
def _told(what: str = "AWS") -> Iterator[None]:
    """AWS's errors as ours, in its words."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        message = f"{what}: {_words(error)}"
        details = {"status": status, "code": code}
        if code in _REFUSED:
            raise UpstreamRefused(message, details=details) from error
        if "Throttl" in code or status == 429 or status >= 500:
            raise UpstreamUnavailable(message, details=details) from error
        raise UpstreamError(message, details=details) from error
    except NoCredentialsError as error:
        raise UpstreamRefused(
            "AWS: this machine is not logged in", hint="Use the log-in by keys."
        ) from error
    except (ConnectionError, HTTPClientError) as error:
        raise UpstreamUnavailable(f"{what}: {shorten(str(error))}") from error
    except BotoCoreError as error:
        raise UpstreamError(f"{what}: {shorten(str(error))}") from error


def _words(error: ClientError) -> str:
    facts = error.response.get("Error", {})
    return shorten(f"{facts.get('Code', '')}: {facts.get('Message', '')}", 300)
