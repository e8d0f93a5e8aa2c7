"""/v1/scorecards/preview: what is shown is what saving then does, and nothing is stored."""

from typing import Any

import pytest

from catalog.kernel.actors import Role
from catalog.models import Change, Entity
from idp.models import ApiClient
from scorecards.models import Score, Scorecard
from scorecards.services.definitions import create_scorecard, replace_scorecard
from scorecards.services.evaluating import evaluate
from tests.factories import ACTOR, make_api, make_blueprint, make_entity

pytestmark = pytest.mark.django_db

URL = "/v1/scorecards/preview"
ENTITY_URL = f"{URL}/entity"


def rule(operator: str, value: int, **parts: Any) -> dict[str, Any]:
    condition = {"property": "stars", "operator": operator, "value": value}
    query = {"combinator": "and", "conditions": [condition]}
    return {"identifier": "stars", "title": "Stars", "level": "Gold", "query": query, **parts}


def card(*rules: dict[str, Any], **parts: Any) -> dict[str, Any]:
    levels = [{"title": "Basic"}, {"title": "Gold", "color": "gold"}]
    document = {"identifier": "ready", "title": "Ready", "blueprint": "service", "levels": levels}
    return {**document, "rules": [*rules], **parts}


@pytest.fixture
def saved() -> Scorecard:
    schema = {"properties": {"stars": {"type": "number"}}}
    make_blueprint("service", schema=schema)
    for name, stars in {"a": 5, "b": 4, "c": 1}.items():
        make_entity("service", name, title=name.upper(), properties={"stars": stars}, team=["core"])
    made = create_scorecard("service", card(rule(">", 3), owner="core"), actor=ACTOR)
    evaluate(made.pk, cause="data")
    return made


def asked(body: object, url: str = URL, role: Role = Role.ADMIN) -> Any:
    return make_api(role).post(url, body)


def test_the_preview_is_what_saving_then_does(saved: Scorecard) -> None:
    changes = Change.objects.exclude(model="api_client").count()
    changed = card(rule(">", 4), rule("<", 9, identifier="few", effectiveFrom="2999-01-01"))
    found = asked(changed).json()["preview"]
    assert (found["entities"], found["wasEntities"]) == (3, 3)
    assert [(one["title"], one["was"], one["now"]) for one in found["levels"]] == [
        ("Basic", 1, 2),
        ("Gold", 2, 1),
    ]
    first, few = found["rules"]
    assert (first["was"], first["now"]) == ({"pass": 2, "fail": 1}, {"pass": 1, "fail": 2})
    assert [one["identifier"] for one in first["passing"]] == ["a"]
    assert (few["announced"], few["was"], few["now"]) == (True, {}, {"announced_pass": 3})
    assert found["lowered"] == {
        "count": 1,
        "entities": [
            {
                "blueprint": "service",
                "identifier": "b",
                "title": "B",
                "wasLevel": "Gold",
                "level": "Basic",
            }
        ],
    }
    assert found["teams"] == [{"team": "core", "entities": 3, "raised": 0, "lowered": 1}]
    assert Change.objects.exclude(model="api_client").count() == changes
    replace_scorecard("service", "ready", changed, actor=ACTOR)
    evaluate(saved.pk, cause="data")
    levels = [one.level for one in Score.objects.all()]
    assert {title: levels.count(title) for title in levels} == {"Basic": 2, "Gold": 1}


def test_a_rule_alone_and_a_scorecard_of_cortex(saved: Scorecard) -> None:
    found = asked({"scorecard": "ready", "rule": rule(">", 4)}).json()["preview"]
    assert found["lowered"]["count"] == 1
    added = {"scorecard": "ready", "blueprint": "service", "rule": rule("<", 9, identifier="few")}
    assert [one["identifier"] for one in asked(added).json()["preview"]["rules"]] == [
        "stars",
        "few",
    ]
    cortex = {
        "tag": "x",
        "name": "X",
        "filter": {"kind": "GENERIC", "types": {"include": ["service"]}},
        "rules": [{"expression": 'custom("stars") > 3'}],
    }
    [only] = asked({"scorecard": cortex}).json()["preview"]["rules"]
    assert only["now"] == {"pass": 2, "fail": 1}


def test_one_entity_with_other_values(saved: Scorecard) -> None:
    body = {"scorecard": "ready", "entity": "c"}
    assert asked(body, ENTITY_URL).json()["result"]["level"] == "Basic"
    found = asked({**body, "properties": {"stars": 8}}, ENTITY_URL).json()["result"]
    assert (found["level"], found["rules"][0]["parts"][0]["actual"]) == ("Gold", 8)
    assert Entity.objects.get(identifier="c").properties == {"stars": 1}
    narrow = card(rule(">", 3), filter={"query": 'entity.tag() == "a"'})
    answer = asked({"scorecard": narrow, "entity": "c"}, ENTITY_URL).json()
    assert answer["result"] is None


@pytest.mark.parametrize(
    ("_case", "url", "body", "status", "said"),
    [
        ("nothing", URL, {}, 422, "scorecard"),
        ("no such", URL, {"scorecard": "gone"}, 404, "gone"),
        ("a list", URL, {"scorecard": []}, 422, "scorecard"),
        ("a rule", URL, {"scorecard": "ready", "rule": 1}, 422, "rule"),
        ("a level", URL, card(rule(">", 3, level="Top")), 422, "rules.0.level"),
        ("no entity", ENTITY_URL, {"scorecard": "ready", "entity": "gone"}, 404, "gone"),
        ("edits", ENTITY_URL, {"scorecard": "ready", "entity": "a", "facts": 1}, 422, "facts"),
        (
            "a wrong value",
            ENTITY_URL,
            {"scorecard": "ready", "entity": "a", "properties": {"stars": "x"}},
            422,
            "stars",
        ),
    ],
)
def test_refusals(
    _case: str, url: str, body: object, status: int, said: str, saved: Scorecard
) -> None:
    answer = asked(body, url)
    assert answer.status_code == status
    assert said in answer.content.decode()


def test_only_admins_and_the_owner_may_ask(saved: Scorecard) -> None:
    for role in (Role.MEMBER, Role.VIEWER):
        for body in ({"scorecard": "ready"}, card(rule(">", 3), identifier="new")):
            assert asked(body, role=role).status_code == 403
    owner = make_api(Role.MEMBER)
    mine = card(rule(">", 3), owner=ApiClient.objects.latest("pk").client_id)
    replace_scorecard("service", "ready", mine, actor=ACTOR)
    assert owner.post(URL, mine).status_code == 200
