"""What a source no longer has: deleted with care, held for a person, brought back.

A run's `stale` says what became of it, so that nobody has to ask why nothing was deleted:

    {"state": "deleted" | "none" | "held" | "ignored" | "skipped" | "preview",
     "reason": words for people, "found": 130, "deleted": 10, "released": 0, "restored": 0,
     "kinds": [{"kind", "state": "ready" | "held", "reason", "known", "found"}],
     "sample": [{"blueprint", "identifier", "title"}]}

Only `Owned` rows decide (`catalog.selectors.stale`). An entity is stale when every kind that gave
it has been read to its end without it. It is deleted if the integration made it and no other one
owns it; otherwise it is released: it stays, and the integration no longer answers for it. What a
live event wrote since the run began is not stale. More than the mapping's threshold of a kind is
held until a person decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection, transaction

from catalog.ingest.locations import discovered
from catalog.ingest.writing import MADE, note_made
from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import Conflict, HasDependents
from catalog.kernel.source import Seen
from catalog.models import Change, Integration, Location, Owned, SyncRun
from catalog.selectors.stale import BATCH, STALE, Pass, Stale, pass_of, stale_entities
from catalog.services import entities
from catalog.services.entities import Status
from catalog.services.entities.locking import lock_for_writing

SAMPLE: Final = 20  # of the entities found, named in `stale`

_COUNT_ALL: Final = f"{STALE} SELECT count(*) FROM judged WHERE is_deletable"  # noqa: S608

_COUNT: Final = f"""{STALE}
SELECT k.kind, count(*) FROM judged j CROSS JOIN LATERAL unnest(j.kinds) AS k(kind)
WHERE j.is_deletable GROUP BY k.kind
"""  # noqa: S608 - nothing but our own text

# Those made in this very run are no measure of what was there before.
_KNOWN: Final = """
SELECT o.kind, count(*) FROM catalog_owned o JOIN catalog_entity e ON e.id = o.entity_id
WHERE o.integration_id = %(integration)s AND o.kind <> '' AND e.created_at < %(before)s
GROUP BY o.kind
"""

# Kinds that were read to their end without an entity that another kind still gives.
_FORGET: Final = """
DELETE FROM catalog_owned o
WHERE o.integration_id = %(integration)s AND o.kind = ANY(%(kinds)s)
  AND o.run IS DISTINCT FROM %(run)s AND o.seen_at < %(before)s
  AND EXISTS (SELECT FROM catalog_owned x WHERE x.integration_id = %(integration)s
              AND x.entity_id = o.entity_id AND x.kind <> ''
              AND (x.run = %(run)s OR x.seen_at >= %(before)s))
"""

# Another one that owns it answers for it from now on, as if it had made it.
_RELEASE: Final = """
WITH released AS (
    DELETE FROM catalog_owned WHERE integration_id = %(integration)s AND entity_id = ANY(%(among)s)
    RETURNING entity_id, is_creator
), heirs AS (
    SELECT min(o.id) AS id FROM catalog_owned o
    JOIN released r ON r.entity_id = o.entity_id AND r.is_creator
    WHERE o.integration_id <> %(integration)s GROUP BY o.entity_id, o.integration_id
)
UPDATE catalog_owned o SET is_creator = true FROM heirs h WHERE o.id = h.id
"""


@dataclass(slots=True)
class KindVerdict:
    """What may happen to the stale entities of a kind: "ready" to be deleted, or "held".

    known: its entities before the run.
    """

    kind: str
    state: str = "ready"
    reason: str = ""
    known: int = 0
    found: int = 0


@dataclass(slots=True)
class Verdict:
    """What is done about what a run found to be gone; `SyncRun.stale` (see the module)."""

    state: str = "none"
    reason: str = ""
    found: int = 0
    deleted: int = 0
    released: int = 0
    restored: int = 0
    kinds: list[KindVerdict] = field(default_factory=list)
    sample: list[dict[str, Any]] = field(default_factory=list)

    def of(self, state: str) -> list[str]:
        return [one.kind for one in self.kinds if one.state == state]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, stale: Mapping[str, Any]) -> Verdict:
        known = {name: stale[name] for name in cls.__slots__ if name in stale}
        known["kinds"] = [KindVerdict(**one) for one in known.get("kinds", ())]
        return cls(**known)


def skipped(reason: str) -> dict[str, Any]:
    """The `stale` of a run that did not get so far as to know what is gone."""
    return Verdict("skipped", reason).as_dict()


def owned_kinds(integration: Integration) -> list[str]:
    """The kinds under which an integration owns anything."""
    rows = Owned.objects.filter(integration=integration).exclude(kind=MADE)
    return list(rows.values_list("kind", flat=True).distinct().order_by("kind"))


def judge(
    passed: Pass,
    *,
    threshold: float,
    thresholds: Mapping[str, float] = {},
    unsure: Mapping[str, str] = {},
    removed: Collection[str] = (),
) -> Verdict:
    """Decide for each kind of a pass what may happen to what is gone.

    threshold: the share (0 to 1) of a kind's entities above which they are held; a single one is
    never too many, unless the threshold is 0. thresholds: those of kinds that have their own.
    unsure: kinds that were read to their end, but of which some items could not be told apart,
    with words for it. removed: kinds that the mapping no longer has.
    """
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, passed.facts())
        found: dict[str, int] = dict(cursor.fetchall())
        cursor.execute(_COUNT_ALL, passed.facts())
        in_all = int(cursor.fetchone()[0])
        cursor.execute(_KNOWN, passed.facts())
        known: dict[str, int] = dict(cursor.fetchall())
    verdict = Verdict(found=in_all)
    for kind in passed.kinds:
        one = KindVerdict(kind, known=known.get(kind, 0), found=found.get(kind, 0))
        what = f"{one.found:,} of {one.known:,} entities of {kind} are gone from the source"
        if kind in removed:
            what = f"{kind} is no longer in the mapping, which leaves {one.found:,} entities behind"
        if one.found and kind in unsure:
            one.state, one.reason = "held", f"{what}, but {unsure[kind]}"
        elif one.found > _allowed(one.known, share := thresholds.get(kind, threshold)):
            one.state = "held"
            one.reason = f"{what}, more than the {share:.0%} that are deleted without asking"
        elif one.found:
            one.reason = what
        verdict.kinds.append(one)
    some = stale_entities(passed, limit=5 * SAMPLE) if in_all else []
    verdict.sample = [
        {"blueprint": one.blueprint, "identifier": one.identifier, "title": one.title}
        for one in some
        if one.is_deletable
    ][:SAMPLE]
    return verdict


def concluded(
    verdict: Verdict, *, is_dry_run: bool, incomplete: Sequence[str], needed: int
) -> Verdict:
    """The verdict with its state, and words for why (not) everything was deleted.

    incomplete: kinds that were not read to their end. needed: how many others need.
    """
    reasons = [one.reason for one in verdict.kinds if one.reason]
    if incomplete:
        names = ", ".join(dict.fromkeys(incomplete))
        reasons.append(f"nothing is known of {names}, not read to the end in this run")
    if needed:
        reasons.append(f"not deleted since other entities need them: {needed:,}")
    if verdict.released:
        reasons.append(f"not deleted since others made them or have them too: {verdict.released:,}")
    if is_dry_run:
        verdict.state = "preview"
    elif verdict.of("held"):
        verdict.state = "held"
    elif verdict.deleted:
        verdict.state = "deleted"
    elif incomplete and not verdict.kinds:
        verdict.state = "skipped"
    else:
        verdict.state = "none"
    if not verdict.found and not incomplete:
        reasons.insert(0, "everything that is known is still there")
    verdict.reason = "".join(f"{one[0].upper()}{one[1:]}. " for one in reasons).strip()
    return verdict


def _allowed(known: int, threshold: float) -> float:
    """How many may go at once. Of a few, one may: half of one would be none, ever."""
    return max(1.0, threshold * known) if threshold > 0 else 0.0


@dataclass(frozen=True)
class Sweep:
    """Deletes (or releases) the stale entities of the kinds that are ready, batch by batch.

    saved: called in the transaction of each batch; may raise to undo it and end the sweep.
    refused: called for each entity that stays since others need it.
    """

    passed: Pass
    verdict: Verdict
    actor: Actor
    run_name: str
    delete_dependents: bool
    saved: Callable[[Verdict], None]
    refused: Callable[[Stale, HasDependents], None]

    def __call__(self) -> None:
        """An entity that a held kind gave, too, stays."""
        held = set(self.verdict.of("held"))
        needed: list[tuple[Stale, HasDependents]] = []
        for batch in self._batches():
            wanted = [one for one in batch if not held & set(one.kinds)]
            self._release([one for one in wanted if not one.is_deletable])
            needed += self._delete([one for one in wanted if one.is_deletable])
        while needed:  # what needed them may be gone by now
            left = [fact for one, _ in needed for fact in self._delete([one])]
            if len(left) == len(needed):
                break
            needed = left
        for one, error in needed:
            self.refused(one, error)
        ready = replace(self.passed, kinds=self.verdict.of("ready"))
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_FORGET, ready.facts())
            self.saved(self.verdict)

    def _batches(self) -> Iterator[list[Stale]]:
        after = 0
        while batch := stale_entities(self.passed, after=after):
            yield batch
            after = batch[-1].pk

    def _release(self, some: Sequence[Stale]) -> None:
        if not some:
            return
        names = [one.identifier for one in some if one.blueprint == discovered.BLUEPRINT]
        with transaction.atomic():
            discovered.hand_over(self.passed.integration, names)
            release(self.passed.integration, [one.pk for one in some])
            self.verdict.released += len(some)
            self.saved(self.verdict)

    def _delete(self, doomed: Sequence[Stale]) -> list[tuple[Stale, HasDependents]]:
        """Delete a batch; one that others need is parted until those they need stand alone.

        Returns these with the reason.
        """
        if not doomed:
            return []
        try:
            self._delete_now(doomed, with_dependents=False)
            return []
        except HasDependents as error:
            reason = error
        if self.delete_dependents:
            self._delete_now(doomed, with_dependents=True)
            return []
        if len(doomed) == 1:
            return [(doomed[0], reason)]
        half = len(doomed) // 2
        return self._delete(doomed[:half]) + self._delete(doomed[half:])

    def _delete_now(self, doomed: Sequence[Stale], *, with_dependents: bool) -> None:
        names = [one.identifier for one in doomed if one.blueprint == discovered.BLUEPRINT]
        with transaction.atomic():
            if with_dependents or discovered.located(self.passed.integration, names):
                entities.lock_everything()  # of locations goes what their files held
            else:
                lock_for_writing(one.blueprint for one in doomed)
            # Under the lock: a live event may have written one of them meanwhile.
            still = stale_entities(self.passed, among=[one.pk for one in doomed])
            keys = [(one.blueprint, one.identifier) for one in still if one.is_deletable]
            rows = discovered.located(self.passed.integration, [name for _, name in keys])
            went = {discovered.key_of(one) for one in rows}
            discovered.remove(rows, actor=self.actor, run=self.run_name)
            gone = entities.delete(
                keys,
                actor=self.actor,
                delete_dependents=with_dependents,
                run=self.run_name,
            )
            self.verdict.deleted += len({*gone, *went})  # these went with their locations
            self.saved(self.verdict)


def forget_locations(
    integration: Integration, targets: Sequence[str], *, actor: Actor, run: str
) -> list[Seen]:
    """Remove, at once, locations that a live event says are gone, as far as the integration alone
    has found them; the others are left to those who have them, too."""
    rows = {
        discovered.key_of(one)[1]: one
        for one in Location.objects.filter(integration=integration, target__in=targets)
    }
    with transaction.atomic():
        if rows:
            entities.lock_everything()
        own = Owned.objects.filter(
            integration=integration,
            entity__blueprint__identifier=discovered.BLUEPRINT,
            entity__identifier__in=rows,
        )
        pks = dict(own.values_list("entity_id", "entity__identifier"))
        others = Owned.objects.filter(entity__in=pks).exclude(integration=integration)
        shared = {pks[pk]: pk for pk in others.values_list("entity_id", flat=True)}
        discovered.hand_over(integration.pk, list(shared))
        release(integration.pk, list(shared.values()))
        gone = [rows[name] for name in rows if name not in shared]
        discovered.remove(gone, actor=actor, run=run)
    return [
        Seen(discovered.BLUEPRINT, name, "released" if name in shared else "deleted")
        for name in rows
    ]


def release(integration: int, pks: Sequence[int]) -> None:
    """End an integration's ownership of entities; who else owns one answers for it from now on."""
    with connection.cursor() as cursor:
        cursor.execute(_RELEASE, {"integration": integration, "among": list(pks)})


def delete_held(run: SyncRun, *, actor: Actor) -> int:
    """Delete what a run held back, as far as it is still gone; returns how many entities.

    What a later run or a live event has seen stays. `undo_deletions` brings them back. Raises
    Conflict when the run holds nothing.
    """
    verdict = _held(run)
    passed = pass_of(run)
    assert passed is not None  # noqa: S101 - a run that holds something has begun
    for one in verdict.kinds:
        one.state = "ready"
    before = verdict.deleted

    def saved(verdict: Verdict) -> None:
        run.stale = verdict.as_dict()
        run.save(update_fields=["stale"])

    left: list[Stale] = []
    Sweep(
        passed,
        verdict,
        actor=actor,
        run_name=run.name,
        delete_dependents=deletes_dependents(run.integration),
        saved=saved,
        refused=lambda one, _: left.append(one),
    )()
    count = verdict.deleted - before
    verdict.state = "deleted"
    verdict.reason = f"{verdict.reason} {actor.name} had {count:,} of them deleted.".strip()
    if left:
        verdict.reason += f" Not deleted since other entities need them: {len(left):,}."
    saved(verdict)
    return count


def ignore_held(run: SyncRun, *, actor: Actor) -> None:
    """Leave what a run held back where it is. Raises Conflict when it holds nothing."""
    verdict = _held(run)
    verdict.state = "ignored"
    verdict.reason = f"{verdict.reason} {actor.name} chose to keep them.".strip()
    run.stale = verdict.as_dict()
    run.save(update_fields=["stale"])


def undo_deletions(run: SyncRun, *, actor: Actor) -> int:
    """Bring back every entity that was deleted for a run; returns how many came back.

    They come back as they were; those that exist again stay as they are. The source answers for
    them as before, and no run deletes them before it has seen them once more. Raises Conflict when
    there is nothing to bring back.
    """
    restored = found = 0
    places = Change.objects.filter(
        model=Change.LOCATION, action=feed.DELETE, run=run.name, at__gte=run.started_at
    )
    documents = [one.before for one in places.order_by("pk") if one.before]
    for batch in _deletions(run):
        found += len(batch)
        with transaction.atomic():
            items = entities.restore(
                [(one.blueprint, one.identifier, one.before or {}) for one in batch], actor=actor
            ).items
            back = [one for one in items if one.status is Status.CREATED]
            own = _made_by(run.integration, [one.object_id for one in batch])
            note_made(
                [
                    (one.blueprint, one.identifier)
                    for one in back
                    if batch[one.index].object_id in own
                ],
                integration=run.integration,
                run=None,
            )
        restored += len(back)
    if not found:
        raise Conflict("Nothing was deleted for this run that could be brought back")
    discovered.restore(run.integration, documents, actor=actor)
    verdict = Verdict.read(run.stale)
    verdict.restored += restored
    verdict.reason = f"{verdict.reason} {actor.name} had {restored:,} brought back.".strip()
    run.stale = verdict.as_dict()
    run.save(update_fields=["stale"])
    return restored


def delete_all(integration: Integration, *, actor: Actor) -> tuple[int, int]:
    """Delete what an integration made and no other one owns; release the rest.

    Returns how many were deleted, and how many stay since other entities need them.
    """
    kinds = [MADE, *owned_kinds(integration)]
    left: list[Stale] = []
    verdict = Verdict(kinds=[KindVerdict(kind) for kind in kinds])
    Sweep(
        Pass(integration.pk, 0, kinds, datetime(9999, 1, 1, tzinfo=UTC)),
        verdict,
        actor=actor,
        run_name="",
        delete_dependents=deletes_dependents(integration),
        saved=lambda _: None,
        refused=lambda one, _: left.append(one),
    )()
    return verdict.deleted, len(left)


def deletes_dependents(integration: Integration) -> bool:
    """Whether entities that require one that is deleted go with it (Port's default is yes)."""
    return integration.mapping.get("deleteDependentEntities") is not False


def _held(run: SyncRun) -> Verdict:
    verdict = Verdict.read(run.stale)
    if verdict.state != "held":
        raise Conflict("This run holds nothing back", details={"state": verdict.state})
    return verdict


def _deletions(run: SyncRun) -> Iterator[list[Change]]:
    """The deletions that the history has of a run, in their order."""
    rows = Change.objects.filter(
        model=Change.ENTITY, action=feed.DELETE, run=run.name, at__gte=run.started_at
    ).order_by("pk")
    after = 0
    while batch := list(rows.filter(pk__gt=after)[:BATCH]):
        yield batch
        after = batch[-1].pk


def _made_by(integration: Integration, pks: Sequence[int | None]) -> set[int | None]:
    """Those of some entities, which may be gone, that the integration made, as history knows it.

    Dependents that went along may be anybody's.
    """
    rows = Change.objects.filter(
        model=Change.ENTITY,
        object_id__in=pks,
        action=feed.CREATE,
        actor_kind="integration",
        actor=integration.identifier,
    )
    return set(rows.values_list("object_id", flat=True))
