"""Scorecards: checked in shape, kept as sent, not evaluated."""

import json

import pytest

from catalog.kernel.actors import Role
from scorecards.models import Scorecard
from tests.factories import make_api, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db

URL = "/v1/blueprints/service/scorecards"
ADDED = (
    "id", "blueprint", "createdAt", "createdBy", "updatedAt", "updatedBy",
    "state", "dialect", "version", "evaluatedAt",
)  # fmt: skip
QUERY = {"combinator": "and", "conditions": [{"value": 3, "operator": ">", "property": "stars"}]}


def rule(identifier="hasOwner", **parts):
    return {"identifier": identifier, "level": "Gold", "title": "T", "query": QUERY, **parts}


def card(identifier="production", **parts):
    return {
        "identifier": identifier,
        "title": "Production",
        "levels": [
            {"title": "Start", "color": "paleBlue"},
            {"title": "Gold", "color": "gold"},
            {"color": "bronze", "title": "Bronze"},
        ],
        "rules": [rule("z"), rule("a", level="Bronze", description=None)],
        "filter": {
            "combinator": "or",
            "conditions": [{"relation": "owner", "operator": "isEmpty", "not": True}],
        },
        **parts,
    }


@pytest.fixture
def admin(db):
    make_blueprint("service", properties={"stars": {"type": "number"}})
    return make_api()


def said(answer):
    document = json.loads(answer.content)["scorecard"]
    return json.dumps({key: value for key, value in document.items() if key not in ADDED})


def test_a_scorecard_lives_as_terraform_keeps_it(admin):
    made = admin.post(URL, card())
    assert made.status_code == 201
    assert made.json()["scorecard"]["id"].startswith("sc_")
    assert made.json()["scorecard"]["blueprint"] == "service"
    assert said(made) == said(admin.get(f"{URL}/production")) == json.dumps(card())
    assert admin.post(URL, card()).status_code == 409
    before = admin.get(f"{URL}/production").json()["scorecard"]
    assert admin.put(f"{URL}/production", card()).json()["scorecard"] == before
    changed = card(title="New", rules=[], zzz={"b": 1, "a": 2})
    del changed["filter"]
    answer = admin.put(f"{URL}/production", changed)
    assert said(answer) == said(admin.get(f"{URL}/production")) == json.dumps(changed)
    assert admin.get("/v1/scorecards?page=service").json()["scorecards"] == [
        answer.json()["scorecard"]
    ]
    assert admin.get(URL).json()["scorecards"] == [answer.json()["scorecard"]]
    assert admin.delete(f"{URL}/production").json() == {"ok": True}
    assert admin.get(f"{URL}/production").json()["error"] == "not_found"


def test_the_usual_levels(admin):
    body = card(rules=[rule(level="Silver")])
    del body["levels"]
    made = admin.post(URL, body).json()["scorecard"]
    assert [one["title"] for one in made["levels"]] == ["Basic", "Bronze", "Silver", "Gold"]
    assert "levels" not in Scorecard.objects.get().document


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"identifier": "a b"}, "identifier"),
        ({"identifier": "a" * 101}, "identifier"),
        ({"title": None}, "title"),
        ({"rules": [rule(level="Start")]}, "rules.0.level"),
        ({"rules": [rule(level="Platinum")]}, "rules.0.level"),
        ({"rules": [rule("a b")]}, "rules.0.identifier"),
        ({"rules": [rule(), rule()]}, "rules.1.identifier"),
        ({"rules": [rule(query={"combinator": "and", "conditions": []})]},
         "rules.0.query.conditions"),
        ({"rules": [rule(query={"combinator": "and", "conditions": [{"operator": "isEmpty"}]})]},
         "rules.0.query.conditions.0"),
        ({"rules": [{"identifier": "x", "level": "Gold"}]}, "rules.0"),
        ({"levels": [{"title": "A"}, {"title": "A"}], "rules": []}, "levels"),
        ({"levels": [{"title": "A", "color": "mauve"}], "rules": []}, "levels.0.color"),
    ],
)  # fmt: skip
def test_bad_scorecards(admin, change, field):
    answer = admin.post(URL, card(**change))
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, field)
    assert not Scorecard.objects.exists()


def test_all_of_a_blueprint_at_once(admin):
    admin.post(URL, card("old"))
    kept = admin.post(URL, card("kept")).json()["scorecard"]
    answer = admin.put(URL, [card("new"), card("kept")])
    assert [one["identifier"] for one in answer.json()["scorecards"]] == ["new", "kept"]
    assert answer.json()["scorecards"][1] == kept
    refused = admin.put(URL, [card("fine"), card("bad", rules=[rule(level="Start")])])
    assert (refused.status_code, refused.json()["details"]["index"]) == (422, 1)
    assert admin.put(URL, {"a": 1}).status_code == 400
    assert admin.put(URL, [card("a"), card("a")]).status_code == 422
    assert sorted(Scorecard.objects.values_list("identifier", flat=True)) == ["kept", "new"]


def test_a_scorecard_goes_with_its_blueprint_and_gives_no_results(admin):
    make_blueprint("empty")
    admin.post("/v1/blueprints/empty/scorecards", card())
    admin.post(URL, card())
    make_entity("service", "pay", properties={"stars": 5})
    entity = admin.get("/v1/blueprints/service/entities/pay").json()["entity"]
    assert entity["scorecards"] == {}
    admin.delete("/v1/blueprints/empty")
    assert Scorecard.objects.count() == 1
    assert admin.get("/v1/blueprints/empty/scorecards").status_code == 404
    assert admin.post("/v1/blueprints/empty/scorecards", card()).status_code == 404


def test_only_admins_change_them(admin):
    admin.post(URL, card())
    member = make_api(Role.MEMBER)
    for method, url, body in (
        ("post", URL, card("n")),
        ("put", URL, []),
        ("put", f"{URL}/production", card(title="x")),
        ("delete", f"{URL}/production", {}),
    ):
        assert getattr(member, method)(url, body).status_code == 403
    assert member.get(URL).json()["scorecards"][0]["title"] == "Production"
    page = make_browser(role=Role.ADMIN).get("/admin/scorecards/scorecard/")
    assert "Start › Gold › Bronze" in page.content.decode()
