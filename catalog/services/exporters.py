"""Exporters: programs that run elsewhere, write entities through the API and register themselves.

An exporter is an `Integration` that does not run here. It is found by the `installationId` it
chose, and recognised by its User-Agent: what it writes carries that as its datasource. What
exporters say of their runs is the business of `exporter_runs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
import regex
from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import (
    AlreadyExists,
    Conflict,
    InvalidInput,
    LimitExceeded,
    NotFound,
    shorten,
)
from catalog.kernel.identifiers import is_storable
from catalog.kernel.schema import check_json
from catalog.models import Change, Integration, KindExample
from catalog.selectors.documents import timestamp
from catalog.selectors.integrations import get_source
from catalog.services.exporter_runs import MAX_KINDS, end_run, start_run

MAX_CONFIG_BYTES: Final = 1024 * 1024
MAX_EXAMPLE_BYTES: Final = 256 * 1024
MAX_EXAMPLES: Final = 100  # in one request; the newest few are kept
MAX_ATTRIBUTES_BYTES: Final = 10_000

STATUSES: Final = ("running", "completed", "failed", "aborted")

# What an exporter says of itself, given back as it was sent: one that finds a difference tells
# everything anew at each start.
_ATTRIBUTES: Final = (
    "version",
    "installationType",
    "integrationType",
    "changelogDestination",
    "actionsProcessingEnabled",
    "incrementalSyncEnabled",
    "createPortResourcesOrigin",
    "arePortResourcesInitialized",
    "processingMode",
)
_STATE_KEYS: Final = (
    "status",
    "lastResyncStart",
    "lastResyncEnd",
    "nextResync",
    "intervalInMinuets",  # the name it has in the API
)

_IDENTIFIER = regex.compile(r"(?!\.{1,2}$)[\p{L}0-9@_.+:=-]{1,100}")
_AGENT = regex.compile(
    r"port-ocean/[^/]*/[^/]*/(?<ocean>[^/]+)(?:/[^/]*)?|port-k8s-exporter/.*\(statekey/(?<k8s>[^)]+)\)"
)


def installation_of(agent: str) -> str:
    """The `installationId` that an exporter's User-Agent names; "" for any other program."""
    found = _AGENT.fullmatch(agent)
    return (found["ocean"] or found["k8s"]) if found else ""


def get_exporter(identifier: str) -> Integration:
    """An exporter by its `installationId`. Raises NotFound, and Conflict for a source of ours."""
    found = get_source(identifier)
    if found.runs_here:
        raise Conflict(
            f'Integration "{shorten(identifier)}" is synced by this server',
            hint="Give the exporter an identifier of its own.",
            details={"field": "installationId", "value": shorten(identifier)},
        )
    return found


def exporter_behind(agent: str) -> Integration | None:
    """The registered exporter that sends this User-Agent."""
    identifier = installation_of(agent)
    if not identifier or not is_storable(identifier):
        return None
    return Integration.objects.filter(runs_here=False, identifier=identifier).first()


def register(document: Mapping[str, Any], *, actor: Actor) -> Integration:
    """Make an exporter known, from the body it sends.

    Raises InvalidInput, and AlreadyExists where the `installationId` is taken.
    """
    identifier = document.get("installationId")
    if not isinstance(identifier, str) or not _IDENTIFIER.fullmatch(identifier):
        raise InvalidInput.of(
            "installationId", identifier, "1 to 100 letters, digits and @ _ . + : = -, not . or .."
        )
    now = timezone.now()
    exporter = Integration(
        identifier=identifier,
        kind="custom",
        runs_here=False,
        created_at=now,
        created_by=actor.name,
        updated_at=now,
        updated_by=actor.name,
    )
    _take(exporter, document)
    try:
        with transaction.atomic():
            exporter.save()
            _record(feed.CREATE, exporter, actor=actor, at=now)
    except IntegrityError:
        raise AlreadyExists(
            f'Integration "{identifier}" exists already',
            hint="Change it with PATCH.",
            details={"resource": "Integration", "with": "installationId", "value": identifier},
        ) from None
    return exporter


def update(
    exporter: Integration, changes: Mapping[str, Any], *, actor: Actor, skip_resync: bool = False
) -> Integration:
    """Change what is given; `updated_at` moves only if that differs from what is stored.

    Another mapping asks for a resync, unless `skip_resync` or the exporter wrote it itself.
    Raises InvalidInput.
    """
    with transaction.atomic():
        stored = _locked(exporter)
        if changes.get("installationId", stored.identifier) != stored.identifier:
            raise InvalidInput.of("installationId", changes["installationId"], stored.identifier)
        before = _content(stored)
        _take(stored, changes)
        after = _content(stored)
        # As text, since another order of keys is another mapping to those who read it.
        changed = [key for key in after if orjson.dumps(before[key]) != orjson.dumps(after[key])]
        if not changed:
            return stored
        now = timezone.now()
        stored.updated_at, stored.updated_by = now, actor.name
        is_its_own = installation_of(actor.datasource) == stored.identifier
        if "mapping" in changed and not skip_resync and not is_its_own:
            stored.resync_requested_at = now
        stored.save()
        _record(
            feed.UPDATE,
            stored,
            before={key: before[key] for key in changed},
            after={key: after[key] for key in changed},
            actor=actor,
            at=now,
        )
    return stored


def remove(exporter: Integration, *, actor: Actor) -> None:
    """Forget an exporter, its runs and its log; the entities it wrote stay."""
    with transaction.atomic():
        stored = _locked(exporter)
        _record(feed.DELETE, stored, before=_content(stored), actor=actor, at=timezone.now())
        stored.delete()


def request_resync(exporter: Integration, *, actor: Actor) -> Integration:
    """Ask an exporter for a resync: it polls `resync_requested_at`, older ones `updated_at`."""
    with transaction.atomic():
        stored = _locked(exporter)
        # Later than anything the exporter was told before, even within one millisecond.
        now = max(timezone.now(), stored.updated_at + timedelta(milliseconds=1))
        stored.resync_requested_at = stored.updated_at = now
        stored.updated_by = actor.name
        stored.save(update_fields=["resync_requested_at", "updated_at", "updated_by"])
        asked = {"resyncRequestedAt": timestamp(now)}
        _record(feed.UPDATE, stored, after=asked, actor=actor, at=now)
    return stored


def report_state(exporter: Integration, state: Mapping[str, Any], *, actor: Actor) -> Integration:
    """Note how far an exporter's resync is, from the body it sends.

    Moves `updated_at` and the state's own `updatedAt` to the same moment: pollers compare the two.
    Raises InvalidInput.
    """
    given = {key: state[key] for key in _STATE_KEYS if key in state}
    status = given.get("status")
    if status not in STATUSES:
        raise InvalidInput.of("status", status, "one of " + ", ".join(STATUSES))
    for key in ("lastResyncStart", "lastResyncEnd", "nextResync"):
        value = given.get(key)
        if value is not None and not (isinstance(value, str) and len(value) <= 64):
            raise InvalidInput.of(key, value, "a moment like 2026-03-03T10:00:00Z, or null")
    check_json(given)
    with transaction.atomic():
        stored = _locked(exporter)
        now = timezone.now()
        stored.resync_state = {
            **(stored.resync_state or {}),
            **given,
            "updatedAt": timestamp(now),
        }
        stored.updated_at = now
        if status == "running":
            stored.resync_requested_at = None  # this is the resync that was asked for
            start_run(stored, at=now, requested_by=actor.name)
        else:
            end_run(stored, str(status), at=now)
        stored.save(update_fields=["resync_state", "updated_at", "resync_requested_at"])
    return stored


def keep_examples(exporter: Integration, kind: str, examples: Sequence[Any]) -> None:
    """Keep the newest raw objects of a kind, for trying mappings on. Raises InvalidInput."""
    if not 1 <= len(kind) <= 200:
        raise InvalidInput.of("kind", kind, "1 to 200 characters")
    if not all(isinstance(one, Mapping) for one in examples):
        raise InvalidInput.of("examples", examples, "a list of objects")
    check_json(list(examples))
    own = KindExample.objects.filter(integration=exporter)
    if len(names := set(own.values_list("kind", flat=True))) >= MAX_KINDS and kind not in names:
        raise LimitExceeded(f"An integration keeps examples of at most {MAX_KINDS} kinds")
    small = [one for one in examples if len(orjson.dumps(one)) <= MAX_EXAMPLE_BYTES]
    if not small:
        return
    with transaction.atomic():
        KindExample.objects.bulk_create(
            KindExample(integration=exporter, kind=kind, data=one)
            for one in small[-KindExample.KEPT :]
        )
        of_kind = KindExample.objects.filter(integration=exporter, kind=kind)
        kept = of_kind.order_by("-pk").values_list("pk", flat=True)[: KindExample.KEPT]
        of_kind.exclude(pk__in=list(kept)).delete()


def cursor_of(exporter: Integration, kind: str, index: int) -> Any:
    """Where an incremental exporter stopped ({"primary": …}); None where it never began."""
    return exporter.cursors.get(f"{kind}/{index}")


def move_cursor(exporter: Integration, kind: str, index: int, cursor: Mapping[str, Any]) -> None:
    """Note where it stopped. Raises InvalidInput."""
    primary = cursor.get("primary")
    if not isinstance(primary, str) or len(primary) > 200:
        raise InvalidInput.of("primary", primary, "text of at most 200 characters")
    check_json(primary)
    with transaction.atomic():
        stored = _locked(exporter)
        key = f"{kind}/{index}"
        if key not in stored.cursors and len(stored.cursors) >= 1000:
            raise LimitExceeded("An integration keeps at most 1000 cursors")
        stored.cursors[key] = {"primary": primary}
        stored.save(update_fields=["cursors"])


def _locked(exporter: Integration) -> Integration:
    found = Integration.objects.select_for_update().filter(pk=exporter.pk).first()
    if found is None:
        raise NotFound.of("Integration", exporter.identifier, field="installationId")
    return found


def _take(exporter: Integration, document: Mapping[str, Any]) -> None:
    """Put what a body says into the row. Keys that are not named here mean nothing."""
    if (kind := document.get("installationAppType")) is not None:
        if not isinstance(kind, str) or not 1 <= len(kind) <= 100 or not is_storable(kind):
            raise InvalidInput.of("installationAppType", kind, "text of 1 to 100 characters")
        if kind == Integration.WEBHOOK:
            raise InvalidInput.of(
                "installationAppType", kind, "another type: webhooks have /v1/webhooks"
            )
        exporter.kind = kind
    if "title" in document:
        title = document["title"] or ""
        if not isinstance(title, str) or len(title) > 200 or not is_storable(title):
            raise InvalidInput.of("title", title, "text of at most 200 characters, or null")
        exporter.title = title
    if "config" in document:
        exporter.mapping = _checked_config(document["config"])
    said = {key: document[key] for key in _ATTRIBUTES if key in document}
    check_json(said)
    if len(orjson.dumps(said)) > MAX_ATTRIBUTES_BYTES:
        raise LimitExceeded(f"An exporter may say {MAX_ATTRIBUTES_BYTES} bytes of itself")
    exporter.attributes = {**exporter.attributes, **said}


def _checked_config(config: Any) -> dict[str, Any]:
    """The mapping of an exporter is its own business; it must only be one that it can read."""
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise InvalidInput.of("config", config, "an object with `resources`")
    resources = config.get("resources", [])
    if not isinstance(resources, list):
        raise InvalidInput.of("config.resources", resources, "a list")
    for index, resource in enumerate(resources):
        kind = resource.get("kind") if isinstance(resource, dict) else None
        if not isinstance(kind, str):
            raise InvalidInput.of(f"config.resources.{index}", resource, "an object with a `kind`")
    check_json(config)
    if len(orjson.dumps(config)) > MAX_CONFIG_BYTES:
        raise LimitExceeded(
            f"config has more than {MAX_CONFIG_BYTES} bytes",
            details={"field": "config", "expected": f"<= {MAX_CONFIG_BYTES} bytes"},
        )
    return config


def _content(exporter: Integration) -> dict[str, Any]:
    return {
        "kind": exporter.kind,
        "title": exporter.title,
        "mapping": exporter.mapping,
        "attributes": exporter.attributes,
    }


def _record(
    action: str,
    exporter: Integration,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    actor: Actor,
    at: datetime,
) -> None:
    record = feed.Record(
        action, Change.INTEGRATION, exporter.identifier, "", exporter.pk, before, after
    )
    feed.record([record], actor=actor, at=at)
