"""Evaluate scorecards now."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.kernel.actors import Actor
from catalog.kernel.errors import IdpError
from scorecards.models import Scorecard
from scorecards.services.evaluating import evaluate_now


class Command(BaseCommand):
    help = (
        "Evaluate these scorecards for all their entities, or all scorecards, and say what moved."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "scorecards",
            metavar="SCORECARD",
            nargs="*",
            help="identifier, or blueprint:identifier; all that are not archived without any",
        )

    def handle(self, *, scorecards: list[str], **_: Any) -> None:
        for scorecard in _named(scorecards) if scorecards else _all():
            try:
                outcome = evaluate_now(scorecard, actor=Actor.system("evaluate"))
            except IdpError as error:
                raise CommandError(f"{_name(scorecard)}: {error}") from error
            self.stdout.write(
                f"{_name(scorecard)}: {outcome.entities} entities, {outcome.changed} changed "
                f"({outcome.raised} up, {outcome.lowered} down), {outcome.entered} new, "
                f"{outcome.left} gone"
            )


def _all() -> list[Scorecard]:
    found = Scorecard.objects.select_related("blueprint").exclude(state=Scorecard.State.ARCHIVED)
    return list(found.order_by("blueprint__identifier", "identifier"))


def _named(names: list[str]) -> list[Scorecard]:
    """Raises CommandError for a name that no scorecard has."""
    every = _all()
    found = []
    for name in names:
        of_name = [one for one in every if name in (one.identifier, _name(one))]
        if not of_name:
            known = ", ".join(map(_name, every)) or "none"
            raise CommandError(f'There is no scorecard "{name}" to evaluate; there are: {known}')
        found += of_name
    return found


def _name(scorecard: Scorecard) -> str:
    if scorecard.blueprint is None:
        return scorecard.identifier
    return f"{scorecard.blueprint.identifier}:{scorecard.identifier}"
