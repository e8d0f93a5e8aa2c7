"""Scorecards that an older release stored, which knew neither versions nor results."""

from __future__ import annotations

from django.db import transaction

from catalog.kernel.errors import InvalidInput, shorten
from scorecards import formats
from scorecards.models import Scorecard
from scorecards.selectors.named import locked
from scorecards.services.checking import problems_of
from scorecards.services.definitions import MAX_TITLE
from scorecards.services.keeping import have_evaluated, keep


def settle_old() -> int:
    """Give those that an older release stored what it did not know of: rules, a version, a turn to
    be evaluated. Returns how many; one statement where there are none.
    """
    old = list(Scorecard.objects.filter(versions__isnull=True).values_list("pk", flat=True))
    for pk in old:
        with transaction.atomic():
            scorecard = locked(pk)
            if not scorecard.versions.exists():  # nobody else was faster
                _settle(scorecard)
    return len(old)


def _settle(scorecard: Scorecard) -> None:
    definition = formats.definition_of(scorecard)
    try:
        problems = problems_of(definition)
    except InvalidInput as error:  # it was not asked then
        problems = dict.fromkeys((one.identifier for one in definition.rules), str(error))
    scorecard.title = shorten(definition.title, MAX_TITLE)
    scorecard.save(update_fields=["title"])
    keep(scorecard, definition, problems)
    have_evaluated(scorecard)
