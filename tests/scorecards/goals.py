"""A scorecard of services with two levels to reach, evaluated, for exemptions and initiatives."""

from catalog.models import Blueprint
from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply
from scorecards.models import Scorecard, ScoreChange
from scorecards.services.definitions import save
from scorecards.services.evaluating import evaluate
from tests.factories import ACTOR


def condition(name, operator, **parts):
    return {
        "combinator": "and",
        "conditions": [{"property": name, "operator": operator, **parts}],
    }


def card(**parts):
    """Silver: three stars or more; Gold: docs, too."""
    return {
        "title": "Ready",
        "levels": [
            {"title": "Start", "color": "paleBlue"},
            {"title": "Silver", "color": "silver"},
            {"title": "Gold", "color": "gold"},
        ],
        "rules": [
            {
                "identifier": "stars",
                "title": "Has three stars",
                "level": "Silver",
                "query": condition("stars", ">=", value=3),
            },
            {
                "identifier": "docs",
                "title": "Has docs",
                "level": "Gold",
                "query": condition("docs", "isNotEmpty"),
            },
        ],
        **parts,
    }


def evaluated(scorecard):
    """A scorecard, or the document of one called "ready", with its scores."""
    if isinstance(scorecard, dict):
        scorecard = save("ready", scorecard, dialect="native", blueprint="service", actor=ACTOR)
    evaluate(scorecard.pk, cause=ScoreChange.Cause.DATA)
    return Scorecard.objects.select_related("blueprint").get(pk=scorecard.pk)


def changed(identifier, **properties):
    """Give a service other properties, and have it evaluated."""
    draft = EntityDraft("service", identifier, properties=properties)
    [item] = apply(
        [draft], mode=Mode.MERGE, actor=ACTOR, missing_targets=MissingTargets.DANGLE
    ).items
    for scorecard in Scorecard.objects.all():
        evaluate(scorecard.pk, cause=ScoreChange.Cause.DATA, entities=[item.pk])


def members_of(team, *people):
    """Make users members of a team."""
    drafts = [EntityDraft("_team", team)] if Blueprint.objects.filter(identifier="_team") else []
    drafts += [EntityDraft("_user", person.email, relations={"team": [team]}) for person in people]
    apply(drafts, mode=Mode.MERGE, actor=ACTOR, missing_targets=MissingTargets.DANGLE)
