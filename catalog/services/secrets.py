"""Secrets: the organisation's own, by name, and those inside an integration's settings.

They go in and are used; no face shows them again. The history says that one was set, never what.

An integration's secrets are kept apart from its settings, each sealed by itself: `sealed` is a JSON
object {property: token}, so that names are known and others can be replaced even when a key is
lost. In any text of either, `${NAME}` means the organisation's secret NAME, or else the variable
IDP_SECRET_NAME of the server's environment.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.utils import timezone

from catalog.kernel import crypto, feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import AlreadyExists, InvalidInput, NotFound, shorten
from catalog.kernel.identifiers import is_storable
from catalog.kernel.placeholders import expand, names_in
from catalog.models import Change, Integration, ProxyEndpoint, Secret
from catalog.registry import secret_users
from catalog.services.entities.drafts import UNSET, Unset

MASK: Final = "••••"  # stands for a secret wherever settings are shown, and means "as it was"
MAX_VALUE: Final = 65_536  # characters; a kubeconfig with its certificates has some 10,000
_ENVIRONMENT: Final = "IDP_SECRET_"
_NOT_OURS: Final = {"IDP_SECRET_KEY"}  # the server's own, which begins the same


# The organisation's secrets


def create_secret(*, name: str, value: str, actor: Actor, description: str = "") -> Secret:
    """Keep a secret under a name. Raises AlreadyExists, InvalidInput."""
    now = timezone.now()
    secret = Secret(
        name=name,
        description=_description(description),
        sealed=crypto.seal(_value(value)),
        created_at=now,
        created_by=actor.name,
        updated_at=now,
        updated_by=actor.name,
    )
    expected = "1 to 100 letters, digits, - and _"
    try:
        Secret._meta.get_field("name").clean(name, secret)
    except ValidationError:
        raise InvalidInput(
            f'secretName is "{shorten(name)}"; expected {expected}',
            details={"field": "secretName", "value": shorten(name), "expected": expected},
        ) from None
    try:
        with transaction.atomic():
            secret.save()
            _record(feed.CREATE, secret, actor)
    except IntegrityError:
        raise AlreadyExists(
            f'Secret "{name}" exists already',
            details={"resource": "Secret", "with": "secretName", "field": "secretName"},
        ) from None
    return secret


def update_secret(
    name: str, *, actor: Actor, value: str | Unset = UNSET, description: str | Unset = UNSET
) -> Secret:
    """Change what is said; the same again changes nothing. Raises NotFound, InvalidInput."""
    with transaction.atomic():
        secret = _locked(name)
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        if not isinstance(description, Unset) and _description(description) != secret.description:
            before["description"], after["description"] = secret.description, description
            secret.description = description
        if not isinstance(value, Unset) and not _is_same(_value(value), secret.sealed):
            before["value"], after["value"] = "as before", "replaced"
            secret.sealed = crypto.seal(value)
        if after:
            secret.updated_at, secret.updated_by = timezone.now(), actor.name
            secret.save()
            _record(feed.UPDATE, secret, actor, before=before, after=after)
    return secret


def delete_secret(name: str, *, actor: Actor) -> None:
    """Forget it. Integrations that name it fail at their next run, and say why. Raises NotFound."""
    with transaction.atomic():
        secret = _locked(name)
        before = {"name": secret.name, "description": secret.description}
        _record(feed.DELETE, secret, actor, before=before)
        secret.delete()


def get_secret(name: str) -> Secret:
    """Raises NotFound."""
    found = Secret.objects.filter(name=name).first() if is_storable(name) else None
    if found is None:
        raise NotFound.of("Secret", name, field="secretName")
    return found


def is_known(name: str) -> bool:
    """Whether `${NAME}` leads somewhere now."""
    return bool(values_of({name}))


def references() -> dict[str, list[Model]]:
    """Which integrations, proxy endpoints and rows of other apps name which secrets, by the
    secrets' names.
    """
    found: dict[str, list[Model]] = defaultdict(list)
    for integration in Integration.objects.only(
        "identifier", "title", "kind", "settings", "sealed"
    ):
        names = names_in(integration.settings)
        for token in _tokens(integration.sealed).values():
            try:
                names |= names_in(crypto.open_(token.encode()))
            except crypto.SealingFailed:
                continue  # its owner will be told when it runs
        for name in names:
            found[name].append(integration)
    for endpoint in ProxyEndpoint.objects.only("path", "headers"):
        for name in names_in(endpoint.headers):
            found[name].append(endpoint)
    for find in secret_users:
        for name, row in find():
            found[name].append(row)
    return found


# Secrets of integrations


@dataclass(frozen=True, slots=True)
class Resolved:
    """Settings in clear, and the texts in them that nobody may see."""

    settings: dict[str, Any]
    secrets: frozenset[str]


def seal_settings(
    schema: Mapping[str, Any], values: Mapping[str, Any], old: bytes | memoryview | None = None
) -> tuple[dict[str, Any], bytes | None]:
    """Part `values` into plain settings and sealed secrets, those that `schema` marks.

    A secret that is left out, or comes as its mask, stays as it was in `old`; null or "" removes
    it. The same secrets give the same bytes. Returns (plain, sealed).
    """
    secret_names = secret_properties(schema)
    plain = {name: value for name, value in values.items() if name not in secret_names}
    tokens = {name: token for name, token in _tokens(old).items() if name in secret_names}
    for name in secret_names & values.keys():
        value = values[name]
        if value == MASK:
            continue
        if value in (None, ""):
            tokens.pop(name, None)
        elif name not in tokens or not _is_same(value, tokens[name].encode()):
            tokens[name] = crypto.seal(value).decode()
    return plain, orjson.dumps(tokens, option=orjson.OPT_SORT_KEYS) if tokens else None


def check_kept(
    schema: Mapping[str, Any],
    before: Mapping[str, Any],
    values: Mapping[str, Any],
    old: bytes | memoryview | None,
) -> None:
    """Refuse to send kept secrets to a server that they were not entered for.

    Nobody can read a secret, so nobody may have it sent to an address of their own either: where
    the settings name a server that they did not name `before`, each secret is entered again, but
    for those that the schema calls `incoming`: events prove themselves by them, and they are never
    sent. Raises InvalidInput.
    """
    properties = schema.get("properties", {})
    secret_names = secret_properties(schema)
    kept = sorted(
        name
        for name in names_of_sealed(old)
        if name in secret_names
        and values.get(name, MASK) == MASK
        and not properties[name].get("incoming")
    )
    if not kept:
        return
    was_named = {place for name in properties for place in _servers(_setting(schema, name, before))}
    for name in properties.keys() - secret_names:
        for place in _servers(_setting(schema, name, values)):
            if place not in was_named:
                titles = ", ".join(str(properties[one].get("title") or one) for one in kept)
                raise InvalidInput(
                    f"settings.{name}: {shorten(place)} is another server than before",
                    hint=f"Enter again what would be sent to it: {titles}.",
                    details={
                        "field": f"settings.{kept[0]}",
                        "value": MASK,
                        "expected": "the secret itself, since it goes to another server",
                    },
                )


def _setting(schema: Mapping[str, Any], name: str, values: Mapping[str, Any]) -> Any:
    return values.get(name, schema["properties"][name].get("default"))


def _servers(value: Any) -> set[str]:
    """The servers that the addresses in a setting name, like "https://host:8443"."""
    found = set()
    for text in _all_texts(value):
        scheme, is_address, rest = text.strip().partition("://")
        if is_address:
            place = re.split(r"[/?#]", rest, maxsplit=1)[0]  # with what else stands before the path
            default = {"https": ":443", "http": ":80"}.get(scheme.lower(), "")
            found.add(f"{scheme}://{place}".lower().removesuffix(default) if default else text)
    return found


def open_settings(sealed: bytes | memoryview | None) -> dict[str, Any]:
    """The sealed settings as they were entered, placeholders and all. Raises SealingFailed."""
    return {name: crypto.open_(token.encode()) for name, token in _tokens(sealed).items()}


def names_of_sealed(sealed: bytes | memoryview | None) -> list[str]:
    """Which settings are sealed; needs no key."""
    return sorted(_tokens(sealed))


def masked_settings(
    settings: Mapping[str, Any], sealed: bytes | memoryview | None
) -> dict[str, Any]:
    """All settings as faces show them: a mask where a secret is set."""
    return {**settings, **dict.fromkeys(names_of_sealed(sealed), MASK)}


def secret_properties(schema: Mapping[str, Any]) -> set[str]:
    """The properties of a settings schema that are sealed."""
    properties = schema.get("properties", {})
    return {name for name, one in properties.items() if one.get("secret")}


def resolve(settings: Mapping[str, Any], sealed: bytes | memoryview | None) -> dict[str, Any]:
    """All settings in clear, ready to be used. Raises InvalidInput naming the setting whose
    `${NAME}` leads nowhere, and SealingFailed."""
    return resolve_with_secrets(settings, sealed).settings


def resolve_with_secrets(
    settings: Mapping[str, Any], sealed: bytes | memoryview | None
) -> Resolved:
    """As `resolve`, with the texts that logs and errors must not show."""
    opened = open_settings(sealed)
    whole = {**settings, **opened}
    values = values_of(names_in(whole))
    try:
        clear = expand(whole, values, what="secret")
    except InvalidInput as error:
        error.message = f"settings.{error.message}"
        error.details["field"] = f"settings.{error.details['field']}"
        error.hint = "Add it under Secrets, or give the server its IDP_SECRET_ variable."
        raise
    hidden = {*values.values(), *_all_texts({name: clear[name] for name in opened})}
    return Resolved(clear, frozenset(hidden - {""}))


# Keys


def reseal_all() -> tuple[int, int]:
    """Seal with the first key what is sealed with another. Returns how many (secrets,
    integrations) were written; a second run writes none.

    One row at a time, so that nobody waits. Raises SealingFailed, naming what cannot be opened;
    what was done before stays done.
    """
    secrets = sum(_reseal_secret(pk) for pk in Secret.objects.values_list("pk", flat=True))
    with_secrets = Integration.objects.filter(sealed__isnull=False)
    integrations = sum(_reseal_integration(pk) for pk in with_secrets.values_list("pk", flat=True))
    return secrets, integrations


@transaction.atomic
def _reseal_secret(pk: int) -> bool:
    secret = Secret.objects.select_for_update().filter(pk=pk).first()
    if secret is None or crypto.is_current(secret.sealed):
        return False
    secret.sealed = _reseal(secret.sealed, f'secret "{secret.name}"')
    secret.save(update_fields=["sealed"])
    return True


@transaction.atomic
def _reseal_integration(pk: int) -> bool:
    integration = Integration.objects.select_for_update().filter(pk=pk).first()
    tokens = _tokens(integration.sealed) if integration else {}
    if integration is None or all(crypto.is_current(one.encode()) for one in tokens.values()):
        return False
    fresh = {
        name: _reseal(
            token.encode(), f'setting "{name}" of integration "{integration.identifier}"'
        ).decode()
        for name, token in tokens.items()
    }
    integration.sealed = orjson.dumps(fresh, option=orjson.OPT_SORT_KEYS)
    integration.save(update_fields=["sealed"])
    return True


def _reseal(sealed: bytes | memoryview, what: str) -> bytes:
    try:
        return crypto.reseal(sealed)
    except crypto.SealingFailed as error:
        error.message = f"The {what} cannot be opened with the keys of this server"
        raise


# Parts


def values_of(names: Collection[str]) -> dict[str, str]:
    """The secrets of these names that there are, in clear. Raises SealingFailed."""
    stored = Secret.objects.filter(name__in=names) if names else ()
    values = {secret.name: str(crypto.open_(secret.sealed)) for secret in stored}
    for name in set(names) - values.keys():
        for variable in (name, name.upper().replace("-", "_")):
            variable = f"{_ENVIRONMENT}{variable}"
            if variable in os.environ and variable not in _NOT_OURS:
                values[name] = os.environ[variable]
                break
    return values


def _tokens(sealed: bytes | memoryview | None) -> dict[str, str]:
    return dict(orjson.loads(bytes(sealed))) if sealed else {}


def _all_texts(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value}
    if isinstance(value, Mapping):
        return set().union(*(_all_texts(one) for one in value.values()))
    if isinstance(value, list):
        return set().union(*(_all_texts(one) for one in value))
    return set()


def _is_same(value: Any, sealed: bytes | memoryview) -> bool:
    try:
        return bool(crypto.open_(sealed) == value)
    except crypto.SealingFailed:
        return False


def _value(value: object) -> str:
    """A secret's value, of which no error may tell anything."""
    if not isinstance(value, str) or not value or len(value) > MAX_VALUE or not is_storable(value):
        raise InvalidInput(
            f"secretValue is not usable; expected text of 1 to {MAX_VALUE:,} characters",
            details={"field": "secretValue", "expected": f"text of 1 to {MAX_VALUE:,} characters"},
        )
    return value


def _description(value: object) -> str:
    if not isinstance(value, str) or len(value) > 200 or not is_storable(value):
        raise InvalidInput(
            f"description is {shorten(value)}; expected text of at most 200 characters",
            details={
                "field": "description",
                "value": shorten(value),
                "expected": "text of at most 200 characters",
            },
        )
    return value


def _locked(name: str) -> Secret:
    get_secret(name)
    secret = Secret.objects.select_for_update().filter(name=name).first()
    if secret is None:
        raise NotFound.of("Secret", name, field="secretName")
    return secret


def _record(
    action: str,
    secret: Secret,
    actor: Actor,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    record = feed.Record(
        action=action,
        model=Change.SECRET,
        identifier=secret.name,
        object_id=secret.pk,
        before=before,
        after=after,
    )
    at = timezone.now() if action == feed.DELETE else secret.updated_at
    feed.record([record], actor=actor, at=at)
