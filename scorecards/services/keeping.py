"""What is kept of a scorecard beside its document: its versions, and the places of its rules."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction
from django.db.models import QuerySet
from django.dispatch import Signal
from django.utils import timezone

from catalog.kernel.errors import NotFound
from scorecards.definition import Definition
from scorecards.models import Rule, Scorecard, ScorecardVersion

evaluation_due = Signal()  # scorecard_pk: a poke after the commit, not a message


def keep(scorecard: Scorecard, definition: Definition, problems: Mapping[str, str]) -> None:
    """Note down what it says from now on, in the transaction that saved it.

    problems: by identifier of a rule, why it cannot be evaluated.
    """
    ScorecardVersion.objects.create(
        scorecard=scorecard,
        version=scorecard.version,
        dialect=scorecard.dialect,
        document=scorecard.document,
        levels=[{"title": one.title, "color": one.color} for one in definition.levels],
        at=scorecard.updated_at,
        by=scorecard.updated_by,
    )
    _keep_rules(scorecard, definition, problems)


def have_evaluated(scorecard: Scorecard) -> None:
    """Have all its entities evaluated soon; those of an archived one, not at all."""
    is_archived = scorecard.state == Scorecard.State.ARCHIVED
    scorecard.next_evaluation_at = None if is_archived else timezone.now()
    scorecard.save(update_fields=["next_evaluation_at"])
    if not is_archived:
        transaction.on_commit(
            lambda: evaluation_due.send_robust(sender=None, scorecard_pk=scorecard.pk), robust=True
        )


def versions_of(scorecard: Scorecard) -> QuerySet[ScorecardVersion]:
    """Newest first."""
    return scorecard.versions.all()


def get_version(scorecard: Scorecard, number: int) -> ScorecardVersion:
    """Raises NotFound."""
    found = scorecard.versions.filter(version=number).first()
    if found is None:
        raise NotFound.of("Version", str(number), field="number")
    return found


def _keep_rules(scorecard: Scorecard, definition: Definition, problems: Mapping[str, str]) -> None:
    """A rule has its slot for ever: one that is gone is marked, one that comes back is revived."""
    known = {rule.identifier: rule for rule in scorecard.rules.all()}
    new: list[Rule] = []
    changed: list[Rule] = []
    for position, spec in enumerate(definition.rules):
        rule = known.pop(spec.identifier, None)
        if rule is None:
            rule = Rule(
                scorecard=scorecard,
                identifier=spec.identifier,
                slot=scorecard.next_slot + len(new),
            )
            new.append(rule)
        else:
            changed.append(rule)
        rule.position, rule.title, rule.level = position, spec.title, spec.level
        rule.problem, rule.removed_at = problems.get(spec.identifier, ""), None
    for rule in known.values():
        if rule.removed_at is None:
            rule.removed_at = scorecard.updated_at
            changed.append(rule)
    Rule.objects.bulk_create(new)
    Rule.objects.bulk_update(changed, ["position", "title", "level", "problem", "removed_at"])
    if new:
        scorecard.next_slot += len(new)
        scorecard.save(update_fields=["next_slot"])
