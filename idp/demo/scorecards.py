"""What the demo organisation's scorecards look at beside its files, and what it wants of them."""

from __future__ import annotations

from datetime import timedelta
from zlib import crc32

from django.utils import timezone

from catalog.kernel.actors import Actor, Insider
from catalog.models import Entity
from catalog.services.facts import FactDraft, put_facts
from scorecards.models import Exemption, Initiative, Scorecard, ScoreChange
from scorecards.services import evaluating, exemptions, initiatives, rollups

READINESS = "production-readiness"
GOAL = "A runbook for everything that runs"


def measure() -> None:
    """What a code scanner would have found of most components; the same at each load."""
    names = Entity.objects.filter(blueprint__identifier="component").order_by("identifier")
    found = {name: crc32(name.encode()) % 55 for name in names.values_list("identifier", flat=True)}
    put_facts(
        [
            FactDraft("component", name, "sonarqube", {"metric": {"coverage": 54 + percent}})
            for name, percent in found.items()
            if percent < 45
        ],
        actor=Actor.system("demo"),
    )


def evaluate() -> None:
    """Evaluate everything now, where a worker would do it a little later."""
    for pk in Scorecard.objects.order_by("pk").values_list("pk", flat=True):
        evaluating.evaluate(pk, cause=ScoreChange.Cause.DATA)
    rollups.roll_up(timezone.now())


def set_goals() -> None:
    """One initiative, and somebody who asks for an exemption; once."""
    scorecard = Scorecard.objects.select_related("blueprint").get(identifier=READINESS)
    if not Initiative.objects.filter(scorecard=scorecard).exists():
        _start_initiative()
    if not Exemption.objects.filter(scorecard=scorecard).exists():
        _ask_for_exemption(scorecard)


def _start_initiative() -> None:
    today = timezone.now().date()
    initiatives.save(
        {
            "title": GOAL,
            "description": "Nobody should have to guess at three in the morning.",
            "scorecard": READINESS,
            "blueprint": "component",
            "rules": ["runbook"],
            "startsOn": today.isoformat(),
            "targetOn": (today + timedelta(days=60)).isoformat(),
            "milestones": [
                {
                    "title": "Half of them",
                    "on": (today + timedelta(days=30)).isoformat(),
                    "percent": 50,
                }
            ],
            "owner": "platform",
        },
        principal=Insider(),
        actor=Actor.system("demo"),
    )


def _ask_for_exemption(scorecard: Scorecard) -> None:
    entity = Entity.objects.select_related("blueprint").get(
        blueprint__identifier="component", identifier="shop-edge"
    )
    rule = scorecard.rules.select_related("scorecard__blueprint").get(identifier="coverage")
    email = "emil.strand@brightwater.example"
    exemptions.request(
        rule,
        entity,
        reason="Its rules are checked by the edge's own dry run, which the scanner does not count.",
        days=90,
        principal=Insider(email=email, role="Member"),
        actor=Actor("user", email),
    )
