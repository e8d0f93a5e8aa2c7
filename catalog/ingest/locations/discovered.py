"""Locations that a source has found by itself: many at a time.

Each is a row like any other, and its Location entity is the source's own (`Owned`): what the
source no longer finds is stale like any other entity (`catalog.ingest.ownership`), and takes what
only its files held along.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db import connection, transaction
from django.utils import timezone

from catalog.dialects.backstage.blueprints import default_blueprints
from catalog.dialects.backstage.mapping import map_entity
from catalog.ingest.locations import refresh, registering
from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.source import Seen
from catalog.models import Change, Integration, Location
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
    dry_run: bool = False,
) -> list[Seen]:
    """Have a location for each address; one that somebody has registered stays theirs.

    At most `BATCH`. The number of statements does not grow with them. They are read soon after.
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
        rows = [_row(integration, one, is_required, actor) for one in new]
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


def move(integration: Integration, old: str, new: str, *, actor: Actor) -> None:
    """Have a location read its file from another address; its entities stay what they are."""
    row = Location.objects.filter(
        integration=integration, type=Location.Type.URL, target=old
    ).first()
    if row is not None and not Location.objects.filter(type=row.type, target=new).exists():
        registering.update(row, type=row.type, target=new, actor=actor)


def remove(rows: Sequence[Location], *, actor: Actor) -> int:
    """Remove locations with what only their files held; returns how many entities went."""
    return sum(registering.remove(one, actor) for one in rows)


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


def _row(integration: Integration, target: str, is_required: bool, actor: Actor) -> Location:
    now = timezone.now()
    return Location(
        type=Location.Type.URL,
        target=target,
        presence=Location.Presence.REQUIRED if is_required else Location.Presence.OPTIONAL,
        provider=Location.Provider.DISCOVERED,
        integration=integration,
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
    document = refresh.root_entity(row)
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
