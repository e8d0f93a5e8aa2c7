"""Events of scorecards: automations hear of levels and rules that changed."""

from __future__ import annotations

import pytest
from django.utils import timezone

from actions.automations.following import follow
from actions.models import Firing
from catalog.kernel import feed
from catalog.kernel.actors import Actor, Role
from catalog.models import Change
from scorecards import events
from tests.factories import make_api, make_blueprint, make_browser
from tests.scorecards.stored import make_scorecard

pytestmark = pytest.mark.django_db

PRODUCTION, TEAMS = "production", "teams"


@pytest.fixture
def shop():
    make_blueprint("service")
    make_blueprint("api")
    make_scorecard(PRODUCTION)
    make_scorecard(TEAMS, levels=("", "Good"))
    return make_api()


def automate(api, identifier, event, condition=None) -> None:
    trigger = {"type": "automation", "event": event}
    if condition:
        trigger["condition"] = {"type": "JQ", "expressions": [condition]}
    body = {
        "identifier": identifier,
        "trigger": trigger,
        "invocationMethod": {"type": "WEBHOOK", "url": "https://hooks.test/x"},
        "publish": True,
    }
    answer = api.post("/v1/actions", body)
    assert answer.status_code == 201, answer.json()


def tell(identifier, before, after, scorecard=PRODUCTION, blueprint="service") -> None:
    sides = [{"scorecard": scorecard, **side} for side in (before, after)]
    record = feed.Record(feed.UPDATE, "score", identifier, blueprint, 1, *sides)
    feed.record([record], actor=Actor.system("scorecards"), at=timezone.now())


def rows() -> list[feed.FeedRow]:
    names = feed.FeedRow.__slots__
    found = Change.objects.filter(model="score").order_by("id")
    return [feed.FeedRow(**{name: getattr(one, name) for name in names}) for one in found]


def test_automations_fire_for_what_they_listen_to(shop) -> None:
    level = {"type": "SCORECARD_LEVEL_CHANGED", "scorecardIdentifier": PRODUCTION}
    automate(shop, "any", level)
    automate(shop, "drops", {**level, "direction": "down"})
    automate(shop, "apis", {**level, "blueprintIdentifier": "api"})
    automate(
        shop,
        "broken",
        {"type": "SCORECARD_RULE_CHANGED", "scorecardIdentifier": PRODUCTION},
        '.broken | index("docs") != null',
    )
    tell(
        "pay",
        {"level": "Gold", "rules": {"docs": "pass", "owner": "no_data"}},
        {"level": "Basic", "rules": {"docs": "fail", "owner": "pass"}},
    )
    tell("shop", {"level": "", "rules": {}}, {"level": "Bronze", "rules": {}})
    tell("mail", {"rules": {"docs": "pass"}}, {"rules": {"docs": "exempt"}})
    tell("core", {"level": "Good", "rules": {}}, {"level": "", "rules": {}}, TEAMS, "_team")
    follow(rows())
    follow(rows())  # read again, nothing fires again

    fired = Firing.objects.order_by("pk").values_list("action__identifier", "event__context")
    heard = sorted((name, context["entityIdentifier"]) for name, context in fired)
    assert heard == [("any", "pay"), ("any", "shop"), ("broken", "pay"), ("drops", "pay")]
    event = Firing.objects.get(action__identifier="drops").event
    assert (event["action"], event["resourceType"]) == ("UPDATE", "scorecard")
    assert event["context"] == {
        "blueprintIdentifier": "service",
        "entityIdentifier": "pay",
        "scorecardIdentifier": PRODUCTION,
    }
    assert event["diff"]["before"]["level"] == "Gold"
    assert event["diff"]["after"]["level"] == "Basic"
    assert (event["direction"], event["broken"], event["mended"]) == ("down", ["docs"], ["owner"])
    assert event["trigger"]["by"]["userId"] == "scorecards"


def test_an_event_says_which_scorecard(shop) -> None:
    answer = shop.post(
        "/v1/actions",
        {
            "identifier": "x",
            "trigger": {"type": "automation", "event": {"type": "SCORECARD_LEVEL_CHANGED"}},
            "invocationMethod": {"type": "WEBHOOK", "url": "https://hooks.test/x"},
        },
    )
    assert answer.status_code == 422
    assert "scorecardIdentifier" in answer.json()["details"]["field"]


def test_a_direction_needs_levels_that_there_are(shop, django_assert_num_queries) -> None:
    tell("a", {"level": "Gone"}, {"level": "Gold"})
    tell("b", {"level": ""}, {"level": "Good"}, TEAMS)
    tell("c", {"level": "Gold"}, {"level": "Basic"}, "deleted")
    told = rows()
    with django_assert_num_queries(1):
        found = events.level_changes(told)
    assert [one.keys.get("direction") for one in found] == [None, "up", None]
    assert [one.document["direction"] for one in found if "direction" in one.document] == ["up"]


def test_the_audit_page_says_it_in_words(shop) -> None:
    tell("pay", {"level": "Gold", "rules": {}}, {"level": "Basic", "rules": {"docs": "fail"}})
    page = make_browser(role=Role.ADMIN).get("/admin/catalog/change/", {"model": "score"})
    told = page.content.decode()
    assert "score of service" in told
    assert "level" in told
    assert "rules.docs" in told
