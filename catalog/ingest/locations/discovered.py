"""Locations that a source has found by itself: many at a time.

Each is a row like any other, and its Location entity is the source's own (`Owned`): what the
source no longer finds is stale like any other entity (`catalog.ingest.ownership`), and takes what
only its files held along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from catalog.dialects.backstage.blueprints import default_blueprints
from catalog.dialects.backstage.locations import location_entity
from catalog.dialects.backstage.mapping import map_entity
from catalog.ingest.locations import registering
from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.source import Seen
from catalog.models import Change, Integration, Location, LocationFile
from catalog.services import entities
from catalog.services.blueprints import ensure_blueprints
from catalog.services.entities import EntityDraft, MissingTargets, Mode

BATCH: Final = 500
BLUEPRINT: Final = "location"

_REF: Final = "location:default/"

_HAND_OVER: Final = """
UPDATE catalog_location l SET integration_id = heirs.integration_id
FROM (
    SELECT e.identifier, min(o.integration_id) AS integration_id
    FROM catalog_entity e JOIN catalog_blueprint b ON b.id = e.blueprint_id
    JOIN catalog_owned o ON o.entity_id = e.id AND o.integration_id <> %(integration)s
    WHERE b.identifier = %(blueprint)s AND e.identifier = ANY(%(identifiers)s)
    GROUP BY e.identifier
) AS heirs
WHERE l.integration_id = %(integration)s AND l.entity_ref = %(ref)s || heirs.identifier
"""


def targets(integration: Integration) -> list[str]:
    """What a source has found so far."""
    rows = Location.objects.filter(integration=integration, type=Location.Type.URL)
    return list(rows.order_by("target").values_list("target", flat=True))


def add(
    integration: Integration,
    wanted: Sequence[str],
    *,
    is_required: bool,
    actor: Actor,
    run: str,
    allow: Sequence[str] = (),
    dry_run: bool = False,
) -> list[Seen]:
    """Have a location for each address; one that somebody has registered stays theirs.

    At most `BATCH`. The number of statements does not grow with them. They are read soon after.
    Whoever may push to a repository writes its descriptors, so these bring what every member may
    write, and beyond that only the kinds of `allow`.
    """
    found = Location.objects.filter(type=Location.Type.URL, target__in=wanted)
    known = {one.target: one for one in found}
    new = [one for one in dict.fromkeys(wanted) if one not in known]
    if dry_run:
        named = {one: known[one].entity_ref if one in known else _ref(one) for one in wanted}
        status = {one: "unchanged" if one in known else "created" for one in wanted}
        return [Seen(BLUEPRINT, _identifier(named[one]), status[one]) for one in wanted]
    others = [one for one in known.values() if one.integration_id != integration.pk]
    ensure_blueprints(default_blueprints({"Location"}), actor=actor)
    with transaction.atomic():
        rules = [{"allow": list(allow)}] if allow else []
        changed = [
            one.pk
            for one in known.values()
            if one.integration_id == integration.pk and one.rules != rules
        ]
        _set_rules(changed, rules)
        rows = [_row(integration, one, is_required, rules, actor) for one in new]
        Location.objects.bulk_create(rows)
        known |= {one.target: one for one in rows}
        records = [feed.Record(feed.CREATE, Change.LOCATION, one.place[:1000]) for one in rows]
        feed.record(records, actor=actor, at=timezone.now(), run=run)
        result = entities.apply(
            [_draft(one) for one in known.values() if one.integration_id == integration.pk],
            mode=Mode.REPLACE,
            actor=actor,
            missing_targets=MissingTargets.DANGLE,
            run=run,
        )
    theirs = [Seen(BLUEPRINT, _identifier(one.entity_ref), "unchanged") for one in others]
    ours = [Seen(one.blueprint, one.identifier, one.status.value, one.pk) for one in result.items]
    return [*ours, *theirs]


def move(integration: Integration, old: str, new: str, *, actor: Actor, run: str) -> None:
    """Have a location read its file from another address; its entities stay what they are."""
    now = timezone.now()
    with transaction.atomic():
        row = (
            Location.objects.select_for_update()
            .filter(integration=integration, type=Location.Type.URL, target=old)
            .first()
        )
        if row is None or Location.objects.filter(type=row.type, target=new).exists():
            return
        place = row.place
        row.target, row.state, row.problem = new, Location.State.PENDING, ""
        row.next_refresh_at = row.updated_at = now
        row.updated_by = actor.name
        row.save()
        record = feed.Record(
            feed.UPDATE,
            Change.LOCATION,
            place[:1000],
            before={"target": old},
            after={"target": new},
        )
        feed.record([record], actor=actor, at=now, run=run)


def remove(rows: Sequence[Location], *, actor: Actor, run: str) -> int:
    """Remove locations with what only their files held; returns how many entities went."""
    return sum(registering.remove(one, actor, run=run) for one in rows)


def restore(
    integration: Integration, documents: Sequence[Mapping[str, Any]], *, actor: Actor
) -> None:
    """Have locations again that were removed, as history knows them; those that exist stay."""
    rows = []
    for one in documents:
        row = _row(integration, one["target"], True, one.get("rules") or [], actor)
        row.pk, row.entity_ref = one["id"], one["entityRef"]
        row.presence = one["presence"]
        rows.append(row)
    there = set(
        Location.objects.filter(target__in=[one.target for one in rows]).values_list(
            "target", flat=True
        )
    )
    rows = [one for one in rows if one.target not in there]
    Location.objects.bulk_create(rows)
    records = [feed.Record(feed.CREATE, Change.LOCATION, one.place[:1000]) for one in rows]
    feed.record(records, actor=actor, at=timezone.now())


def hand_over(integration: int, identifiers: Sequence[str]) -> None:
    """Leave those of a source's locations that another source has found as well to that one."""
    with connection.cursor() as cursor:
        cursor.execute(
            _HAND_OVER,
            {
                "integration": integration,
                "blueprint": BLUEPRINT,
                "identifiers": list(identifiers),
                "ref": _REF,
            },
        )


def located(integration: int, identifiers: Sequence[str]) -> list[Location]:
    """Those of a source's locations that some Location entities were made for."""
    refs = [_REF + one for one in identifiers]
    return list(Location.objects.filter(integration=integration, entity_ref__in=refs))


def key_of(row: Location) -> tuple[str, str]:
    """Blueprint and identifier of the entity made for a location."""
    return BLUEPRINT, _identifier(row.entity_ref)


def _set_rules(pks: Sequence[Any], rules: Sequence[Any]) -> None:
    """Give locations other rules; what was read by the former ones is read anew."""
    if pks:
        Location.objects.filter(pk__in=pks).update(rules=rules, next_refresh_at=timezone.now())
        LocationFile.objects.filter(location__in=pks).update(content_hash=None, etag="")


def _row(
    integration: Integration,
    target: str,
    is_required: bool,
    rules: Sequence[Any],
    actor: Actor,
) -> Location:
    now = timezone.now()
    return Location(
        type=Location.Type.URL,
        target=target,
        presence=Location.Presence.REQUIRED if is_required else Location.Presence.OPTIONAL,
        provider=Location.Provider.DISCOVERED,
        integration=integration,
        rules=rules,
        is_trusted=False,
        entity_ref=_ref(target),
        next_refresh_at=now,
        created_at=now,
        created_by=actor.name,
        updated_at=now,
        updated_by=actor.name,
    )


def _ref(target: str) -> str:
    return registering.entity_ref_of(Location.Type.URL, target)


def _identifier(ref: str) -> str:
    return ref.rpartition("/")[2]


def _draft(row: Location) -> EntityDraft:
    """The Location entity of a location, as reading it makes it."""
    document = location_entity(row)
    mapped = map_entity(document, {})
    return EntityDraft(
        mapped.blueprint,
        mapped.identifier,
        title=mapped.title,
        team=mapped.team,
        properties=mapped.properties,
        relations=mapped.relations,
        descriptor=document,
        location=row.place,
    )
