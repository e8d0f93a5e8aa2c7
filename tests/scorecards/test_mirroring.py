"""Results as entities: they say what the scores say, and nobody writes them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from catalog.kernel.actors import Insider, Role
from catalog.models import Blueprint, Change, Entity, RelationDefinition
from catalog.selectors.catalogue import (
    kind_counts,
    lately_updated,
    owned_counts,
    recent_changes,
)
from catalog.selectors.entity_page import incoming
from catalog.selectors.graph import neighbours
from catalog.selectors.kinds import load_kinds
from catalog.services import entities
from catalog.services.blueprints import delete_all_entities
from scorecards.mirroring import mirror
from scorecards.models import Score, Scorecard
from scorecards.own_blueprints import RESULT, RULE, SCORECARD
from scorecards.services.evaluating import evaluate
from tests.factories import ACTOR, make_api, make_blueprint, make_entity
from tests.scorecards.stored import START, make_change, make_score, make_scorecard

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    service = make_blueprint("service")
    make_entity("_team", "core")
    scorecard = make_scorecard(blueprint=service)
    for name, statuses, rank in (("a", "PP", 2), ("b", "FX", 0), ("c", "-.", 0)):
        entity = make_entity("service", name, team=["core"], title=name.upper())
        make_score(scorecard, entity, statuses, rank)
        make_change(scorecard, entity.pk, START, None, (statuses, rank)).save()
    return scorecard


def of(blueprint) -> dict[str, Entity]:
    found = Entity.objects.filter(blueprint__identifier=blueprint)
    return {one.title: one for one in found}


def test_entities_say_what_the_scores_say(shop, settings) -> None:
    assert mirror() is False
    [scorecard] = of(SCORECARD).values()
    assert scorecard.identifier == f"sc_{shop.pk}"
    assert scorecard.properties == {
        "scorecard_identifier": "production",
        "blueprint": "service",
        "levels": ["Basic", "Bronze", "Gold"],
        "rules_tested": 3,
        "rules_passed": 2,
        "percent": 66.7,
        "version": 1,
        "has_rule_results": True,
    }
    rules = of(RULE)
    assert {name: one.properties["entities_passed"] for name, one in rules.items()} == {
        "Owner": 1,
        "Docs": 1,
    }
    assert rules["Owner"].relations == {"scorecard": f"sc_{shop.pk}"}
    results = of(RESULT)
    assert {
        name: (one.properties.get("result"), one.properties["status"])
        for name, one in results.items()
    } == {
        "A: Owner": ("Passed", "pass"),
        "A: Docs": ("Passed", "pass"),
        "B: Owner": ("Not passed", "fail"),
        "B: Docs": (None, "exempt"),
    }
    owner = results["B: Owner"]
    assert (owner.team, owner.relations) == (
        ["core"],
        {"rule": f"sc_{shop.pk}.0", "service": "b"},
    )
    assert owner.properties["entity_link"] == f"{settings.IDP_URL}/catalog/service/b"
    assert owner.properties["result_last_change"] == "2026-01-01T00:00:00.000Z"
    assert owner.properties["rule_identifier"] == "owner"
    assert not Score.objects.filter(is_mirrored=False).exists()


def test_only_what_changed_is_written(shop) -> None:
    mirror()
    last = Change.objects.latest("id").id
    assert mirror() is False
    assert Change.objects.latest("id").id == last
    later = START + timedelta(days=2)
    Score.objects.filter(statuses="FX").update(statuses="PX", since=later, is_mirrored=False)
    b = Entity.objects.get(identifier="b", blueprint__identifier="service")
    make_change(shop, b.pk, later, ("FX", 0), ("PX", 1)).save()
    assert mirror() is False
    changes = Change.objects.filter(id__gt=last, model="entity").order_by("id")
    assert [(one.blueprint, one.identifier) for one in changes] == [
        (RULE, f"sc_{shop.pk}.0"),
        (SCORECARD, f"sc_{shop.pk}"),
        (RESULT, f"sc_{shop.pk}.0.{b.pk}"),
    ]
    result = of(RESULT)["B: Owner"]
    assert result.properties["result"] == "Passed"
    assert result.properties["result_last_change"] == "2026-01-03T00:00:00.000Z"
    assert of(RESULT)["B: Docs"].properties["result_last_change"] == "2026-01-01T00:00:00.000Z"


def test_it_goes_on_in_batches(shop) -> None:
    assert [mirror(1), mirror(1), mirror(1), mirror(1)] == [True, True, False, False]
    assert len(of(RESULT)) == 4


def test_what_is_gone_goes(shop) -> None:
    mirror()
    a = Entity.objects.get(identifier="a")
    entities.delete([("service", "a")], actor=ACTOR)  # its score goes when that is evaluated
    Score.objects.filter(entity_id=a.pk).delete()
    make_change(shop, a.pk, START + timedelta(days=1), ("PP", 2), None).save()
    mirror()
    assert set(of(RESULT)) == {"B: Owner", "B: Docs"}
    assert of(SCORECARD)["Production"].properties["results_as_of"].startswith("2026-01-02")

    Score.objects.filter(statuses="FX").update(statuses="F-", is_mirrored=False)
    mirror()
    assert set(of(RESULT)) == {"B: Owner"}
    shop.rules.filter(identifier="owner").update(removed_at=START)
    mirror()
    assert (set(of(RESULT)), set(of(RULE))) == (set(), {"Docs"})
    shop.delete()
    mirror()
    assert (of(RULE), of(SCORECARD)) == ({}, {})


def test_too_many_results_are_not_kept(shop, settings) -> None:
    mirror()
    settings.IDP_RULE_RESULTS = 5
    Score.objects.filter(statuses="FX").update(statuses="PX", is_mirrored=False)
    while mirror(3):
        pass
    assert of(RESULT) == {}
    assert of(SCORECARD)["Production"].properties["has_rule_results"] is False
    assert of(RULE)["Owner"].properties["entities_passed"] == 2
    assert not Score.objects.filter(is_mirrored=False).exists()
    settings.IDP_RULE_RESULTS = 6
    mirror()
    assert len(of(RESULT)) == 4


def test_an_archived_scorecard_comes_back(shop) -> None:
    for state, count in (("active", 4), ("archived", 0), ("draft", 0), ("active", 4)):
        Scorecard.objects.update(state=state)
        mirror()
        assert len(of(RESULT)) == count


def test_nobody_else_writes_results(shop) -> None:
    mirror()
    api, member = make_api(), make_api(Role.MEMBER)
    before = Change.objects.latest("id").id
    url = f"/v1/blueprints/{RESULT}/entities"
    [identifier] = [one.identifier for one in of(RESULT).values() if one.title == "A: Owner"]
    for answer in (
        api.post(url, {"identifier": "x", "relations": {"rule": f"sc_{shop.pk}.0"}}),
        api.patch(f"{url}/{identifier}", {"title": "x"}),
        api.delete(f"{url}/{identifier}"),
    ):
        assert answer.status_code == 403, answer.json()
        assert "nobody writes them" in answer.json()["message"]
    assert member.patch(f"{url}/{identifier}", {"title": "x"}).status_code == 403
    assert api.delete(f"/v1/blueprints/{RESULT}").status_code == 409
    assert Change.objects.latest("id").id == before
    # rules and scorecards may have more than that, which admins write
    blueprint = api.get(f"/v1/blueprints/{RULE}").json()["blueprint"]
    blueprint["schema"]["properties"]["runbook"] = {"type": "string"}
    assert api.put(f"/v1/blueprints/{RULE}", blueprint).status_code == 200
    rule = f"/v1/blueprints/{RULE}/entities/sc_{shop.pk}.0"
    assert api.patch(rule, {"properties": {"runbook": "r"}}).status_code == 200
    # a leap second, which is a moment to the schema and none to Python, stops nothing
    odd = {"properties": {"results_as_of": "2016-12-31T23:59:60Z"}}
    scorecard = f"/v1/blueprints/{SCORECARD}/entities/sc_{shop.pk}"
    assert api.patch(scorecard, odd).status_code == 200
    Score.objects.filter(statuses="FX").update(statuses="PX", is_mirrored=False)
    mirror()
    assert not Score.objects.filter(is_mirrored=False).exists()
    assert of(RULE)["Owner"].properties["runbook"] == "r"
    del blueprint["schema"]["properties"]["level"]
    assert api.put(f"/v1/blueprints/{RULE}", blueprint).status_code == 422


def test_entities_and_blueprints_live_as_if_there_were_no_results(shop) -> None:
    mirror()
    b = Entity.objects.get(identifier="b", blueprint__identifier="service")
    entities.rename("service", "b", "b2", actor=ACTOR)
    assert of(RESULT)["B: Owner"].relations["service"] == "b2"
    # deleted with its blueprint, although results point there
    delete_all_entities("service", actor=ACTOR, delete_blueprint_too=True)
    assert not RelationDefinition.objects.filter(identifier="service").exists()
    mirror()
    assert (of(RESULT), of(SCORECARD)) == ({}, {})
    assert not Entity.objects.filter(pk=b.pk).exists()


def test_they_disturb_nobody(shop) -> None:
    mirror()
    a = Entity.objects.select_related("blueprint").get(identifier="a")
    kinds = load_kinds()
    assert incoming(Insider(), a, kinds) == []
    [node] = neighbours(a, principal=Insider()).nodes
    assert (node.pk, node.more) == (a.pk, ())
    result = of(RESULT)["A: Owner"]
    rule = Entity.objects.select_related("blueprint").get(pk=of(RULE)["Owner"].pk)
    assert {one.blueprint for one in incoming(Insider(), rule, kinds)} == {RESULT}
    assert result.pk in {one.pk for one in neighbours(rule, principal=Insider()).nodes}
    assert not {one.identifier for one in kind_counts(Insider())} & {SCORECARD, RULE, RESULT}
    assert {one.identifier for one, _ in owned_counts(Insider(), ["core"])} == {"service"}
    updated = lately_updated(Insider(), ["core"], limit=9)
    assert {one.blueprint.identifier for one in updated} == {"service"}
    assert "_" not in {one.blueprint[0] for one in recent_changes(Insider(), limit=3)}
    assert Blueprint.objects.get(identifier=RESULT).extra["includeInGlobalSearch"] is False
    api = make_api()
    listed = api.get("/api/catalog/entities").json()
    assert not any("sc_" in one["metadata"]["name"] for one in listed)


def test_from_a_rule_to_its_results() -> None:
    """What evaluations find out, everybody is told: documents, history, events and entities."""
    make_blueprint("service", properties={"tier": {"type": "string"}})
    make_entity("_team", "core")
    pay = make_entity("service", "pay", team=["core"])
    api = make_api()
    query = {
        "combinator": "and",
        "conditions": [{"property": "tier", "operator": "=", "value": "1"}],
    }
    rule = {"identifier": "critical", "title": "Critical", "level": "Gold", "query": query}
    body = {"identifier": "tiers", "title": "Tiers", "rules": [rule]}
    body["levels"] = [{"title": "Basic", "color": "paleBlue"}, {"title": "Gold", "color": "gold"}]
    assert api.post("/v1/blueprints/service/scorecards", body).status_code == 201
    scorecard = Scorecard.objects.get()
    evaluate(scorecard.pk, cause="data")
    mirror()
    assert of(RESULT)["pay: Critical"].properties["result"] == "Not passed"

    changed = {"properties": {"tier": "1"}, "team": [], "title": "Pay"}
    entity = "/v1/blueprints/service/entities/pay"
    assert api.patch(entity, changed).status_code == 200
    evaluate(scorecard.pk, cause="data", entities=[pay.pk])
    mirror()
    result = of(RESULT)["Pay: Critical"]
    assert (result.properties["result"], result.team) == ("Passed", [])
    assert api.get(entity).json()["entity"]["scorecards"] == {
        "tiers": {
            "level": "Gold",
            "rules": [{"identifier": "critical", "status": "SUCCESS", "level": "Gold"}],
        }
    }
    told = api.get("/v1/scorecards/tiers/changes").json()["changes"]
    assert [(one["direction"], one["cause"]) for one in told] == [("up", "data"), (None, "rules")]
    [event] = Change.objects.filter(model="score")
    assert (event.identifier, event.after["level"]) == ("pay", "Gold")

    # a team alone moves no level, and the result goes with it all the same
    api.patch(entity, {"team": ["core"]})
    evaluate(scorecard.pk, cause="data", entities=[pay.pk])
    mirror()
    assert of(RESULT)["Pay: Critical"].team == ["core"]
