"""The scorecard builder: what is sent is stored, and shown first; nothing is lost on the way."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from catalog.kernel.actors import Role
from catalog.models import Change, Entity
from scorecards.models import Evaluation, Score, Scorecard, ScoreChange
from scorecards.services.definitions import create_scorecard, replace_scorecard, save
from scorecards.services.evaluating import evaluate
from tests.factories import ACTOR, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db

ADD = "/admin/scorecards/scorecard/add/"
LIST = "/admin/scorecards/scorecard/"
LEVELS = [{"title": "Basic", "color": "paleBlue"}, {"title": "Gold", "color": "gold", "x-own": 1.0}]


def asking(operator: str, value: object) -> dict[str, Any]:
    condition = {"property": "stars", "operator": operator, "value": value, "x-own": [1, None]}
    return {"combinator": "and", "conditions": [condition]}


RULE = {"identifier": "stars", "title": "Stars", "level": "Gold", "query": asking(">", 3), "z": 1}
DOCUMENT = {
    "identifier": "production",
    "blueprint": "service",
    "title": "Production",
    "zone": {"b": 1.5, "a": None},
    "levels": LEVELS,
    "rules": [RULE, {"identifier": "cql", "level": "Gold", "expression": "description != null"}],
    "state": "active",
}
CORTEX = {
    "tag": "ready",
    "name": "Ready",
    "x-own": {"b": 1, "a": 2.0},
    "draft": False,
    "ladder": {
        "name": "L",
        "levels": [{"name": "Top", "rank": 7, "color": "cd7f32"}, {"name": "Low", "rank": 3}],
    },
    "rules": [{"title": "Named", "expression": "entity.name() != null", "level": "Low", "y": 1}],
}


@pytest.fixture
def admin() -> Client:
    schema = {
        "properties": {"stars": {"type": "number"}, "tier": {"type": "string", "enum": ["a"]}}
    }
    make_blueprint("service", title="Service", schema=schema)
    return make_browser("ada", role=Role.ADMIN)


def url(page: str, *args: object, model: str = "scorecard") -> str:
    return reverse(f"admin:scorecards_{model}_{page}", args=args)


def sent(document: object, **fields: object) -> dict[str, object]:
    return {"document": json.dumps(document), "_confirmed": "1", **fields}


def stored(identifier: str) -> Scorecard:
    return Scorecard.objects.get(identifier=identifier)


def made(**parts: Any) -> Scorecard:
    body = {**DOCUMENT, "rules": [RULE], **parts}
    return create_scorecard("service", body, actor=ACTOR)


def make_services(*stars: float | None) -> None:
    for number, value in enumerate(stars):
        properties = {} if value is None else {"stars": value}
        make_entity("service", f"s{number}", properties=properties, team=["core"])


def changed(operator: str, value: object, **parts: Any) -> dict[str, Any]:
    """The document with its rule asking something else."""
    return {**DOCUMENT, "rules": [{**RULE, "query": asking(operator, value), **parts}]}


# --- storing


def test_a_built_scorecard_is_stored_to_the_letter(admin: Client) -> None:
    assert admin.post(ADD, sent(DOCUMENT)).status_code == 302
    found = stored("production")
    kept = {"identifier": "production", "blueprint": "service", **found.document}
    assert json.dumps({**kept, "state": found.state}) == json.dumps(DOCUMENT)
    change = Change.objects.get(model="scorecard", action="create")
    assert (change.actor, change.datasource) == ("ada@example.com", "idp/admin")


def test_the_page_shows_what_it_stores_and_looking_changes_nothing(admin: Client) -> None:
    found = create_scorecard("service", DOCUMENT, actor=ACTOR)
    changes = Change.objects.count()
    shown = admin.get(url("change", found.pk)).context["form"]["document"].value()
    assert json.loads(shown) == DOCUMENT
    answer = admin.post(url("change", found.pk), {"document": shown, "version": 1})
    assert answer.status_code == 302
    assert (stored("production").version, Change.objects.count()) == (1, changes)


def test_a_scorecard_of_cortex_is_edited_as_what_it_is(admin: Client) -> None:
    admin.post(ADD, {**sent(CORTEX), "dialect": "cortex"})
    found = stored("ready")
    [rule] = found.document["rules"]
    assert json.dumps({**found.document, "rules": [{**rule, "identifier": ""}]}) == json.dumps(
        {**CORTEX, "rules": [{**CORTEX["rules"][0], "identifier": ""}]}
    )
    shown = admin.get(url("change", found.pk)).context["form"]["document"].value()
    document = {**json.loads(shown), "tag": "ready-2", "name": "Ready?"}
    admin.post(url("change", found.pk), sent(document, version=1))
    found.refresh_from_db()
    assert (found.identifier, found.version, found.dialect) == ("ready-2", 2, "cortex")
    assert found.document["rules"] == [rule]


@pytest.mark.parametrize(
    ("_case", "change", "field", "message"),
    [
        ("a level", {"rules": [{**RULE, "level": "Basic"}]}, "rules.0.level", "everybody starts"),
        (
            "the second rule",
            {"rules": [RULE, {**RULE, "identifier": "x", "query": {"combinator": "and"}}]},
            "rules.1.query",
            "conditions",
        ),
        (
            "CQL",
            {"rules": [RULE, {"identifier": "c", "expression": "a ==\n  == b"}]},
            "rules.1",
            "Line 2, column 3",
        ),
        ("a date", {"rules": [{**RULE, "effectiveFrom": "soon"}]}, "rules.0.effectiveFrom", "date"),
        ("its blueprint", {"blueprint": "gone"}, "", "gone"),
        ("a filter", {"filter": {"query": "("}}, "filter", "column"),
    ],
)
def test_a_refusal_stands_at_its_place_and_stores_nothing(
    _case: str, change: dict[str, Any], field: str, message: str, admin: Client
) -> None:
    text = json.dumps({**DOCUMENT, **change})
    page = admin.post(ADD, {"document": text, "_confirmed": "1"})
    assert page.status_code == 200
    told = [one for one in page.context["builder"]["problems"] if one["field"] == field]
    assert message in (told[0]["message"] if field else page.content.decode())
    assert page.context["form"]["document"].value() == text  # nothing typed is lost
    assert not Scorecard.objects.exists()


@pytest.mark.parametrize("text", ["[]", '{"title": }', '{"a": 1, "a": 2}', '{"rules": 1}'])
def test_what_is_no_scorecard_is_refused(text: str, admin: Client) -> None:
    page = admin.post(ADD, {"document": text})
    assert page.context["form"].errors
    assert not Scorecard.objects.exists()
    assert admin.post(url("preview"), {"document": text}).context["error"]


def test_nobody_undoes_what_another_has_saved_and_names_are_not_taken(admin: Client) -> None:
    found = made()
    replace_scorecard("service", "production", changed(">", 1), actor=ACTOR)
    page = admin.post(url("change", found.pk), sent(changed(">", 2), version=1))
    assert "has saved version 2 of this scorecard meanwhile" in page.content.decode()
    assert "exists already" in admin.post(ADD, sent(DOCUMENT)).content.decode()
    moved = sent({**DOCUMENT, "blueprint": None}, version=2)
    assert "stays with its blueprint" in admin.post(url("change", found.pk), moved).content.decode()
    assert stored("production").document["rules"][0]["query"] == asking(">", 1)


# --- what would come of it


def test_who_would_pass_is_shown_and_nothing_is_stored(admin: Client) -> None:
    make_services(5, 4, 1, None)
    found = made()
    evaluate(found.pk, cause="data")
    before = list(Score.objects.order_by("pk").values())
    document = changed(">", 4)
    document["rules"] += [
        {"identifier": "broken"},
        {
            **RULE,
            "identifier": "nope",
            "query": {
                "combinator": "and",
                "conditions": [{"property": "starz", "operator": "isNotEmpty"}],
            },
        },
    ]
    page = admin.post(url("preview"), {**sent(document), "scorecard": found.pk})
    shown, told = page.context["shown"], page.context["told"]
    first = shown.rules[0]
    assert (first.passed, first.of, first.unknown, first.was, first.change) == (1, 4, 1, 2, -1)
    assert [one.title for one in first.preview.passing] == ["s0"]
    assert next((one.level.title, one.was, one.now) for _, one in shown.levels) == ("Basic", 2, 4)
    assert [one.title for one in shown.preview.lowered.names] == ["s0", "s1"]
    assert told["rules"][0] == {"text": "1 of 4 pass, 1 without data"}
    assert {one["field"] for one in told["problems"]} == {"rules.1"}  # that one is left out
    [remark] = [one for one in told["remarks"] if one["field"].startswith("rules.2.")]
    assert "is it stars?" in remark["message"]
    assert list(Score.objects.order_by("pk").values()) == before
    assert stored("production").version == 1


def test_one_entity_is_tried_with_other_values(admin: Client) -> None:
    make_services(1)
    fields = {**sent(changed(">", 3)), "sample": "s0"}
    page = admin.post(url("try"), {**fields, "properties": '{"stars": 9}'})
    assert (page.context["explained"].level.title, Entity.objects.get().properties) == (
        "Gold",
        {"stars": 1},
    )
    assert admin.post(url("try"), fields).context["explained"].level.title == "Basic"
    for wrong in (
        {"properties": "["},
        {"properties": "[1]"},
        {"properties": '{"stars": "x"}'},
        {"sample": "gone"},
        {"facts": "1"},
    ):
        assert admin.post(url("try"), {**fields, **wrong}).context["error"], wrong
    narrow = {**changed(">", 3), "filter": asking(">", 100)}
    assert "is not about" in admin.post(url("try"), {**fields, **sent(narrow)}).content.decode()


def test_lowering_many_asks_from_when(admin: Client) -> None:
    make_services(*[5] * 12)
    found = made()
    evaluate(found.pk, cause="data")
    fields = {"document": json.dumps(changed(">", 9)), "version": 1, "_continue": ""}
    page = admin.post(url("change", found.pk), fields)
    assert page.context["shown"].preview.lowered.count == 12
    assert stored("production").version == 1
    back = {**fields, "document": page.context["document"], "_back": "1"}
    assert (
        admin.post(url("change", found.pk), back).context["form"]["document"].value()
        == (fields["document"])
    )
    later = {**fields, "_from": "1", "effective_from": "2999-01-01"}
    assert admin.post(url("change", found.pk), later).status_code == 302
    held, announced = stored("production").document["rules"]
    assert held == {**RULE, "effectiveUntil": "2998-12-31"}
    assert (announced["identifier"], announced["effectiveFrom"]) == ("stars_2", "2999-01-01")
    evaluate(found.pk, cause="data")
    assert {(one.level, one.statuses) for one in Score.objects.all()} == {("Gold", "Pf")}


def test_small_changes_drafts_and_new_scorecards(admin: Client) -> None:
    make_services(*[5] * 20, 1)
    page = admin.post(ADD, {"document": json.dumps(changed(">", 3))})
    assert page.context["shown"].preview.entities == 21  # what is new is looked at first
    assert not Scorecard.objects.exists()
    draft = {**changed(">", 3), "state": "draft"}
    assert admin.post(ADD, {"document": json.dumps(draft)}).status_code == 302
    found = stored("production")
    evaluate(found.pk, cause="data")
    harsh = {"document": json.dumps({**changed(">", 9), "state": "draft"}), "version": 1}
    assert admin.post(url("change", found.pk), harsh).status_code == 302


def test_the_same_as_yaml(admin: Client) -> None:
    def told(text: str, to: str, dialect: str) -> dict[str, str]:
        answer = admin.post(url("text"), {"text": text, "to": to, "dialect": dialect})
        return answer.json()  # type: ignore[no-any-return]

    yaml = told(json.dumps(CORTEX), "yaml", "cortex")["text"]
    assert json.loads(told(yaml, "json", "cortex")["text"]) == CORTEX
    assert 'custom("stars") > 3' in told(json.dumps(changed(">", 3)), "yaml", "native")["text"]
    assert "YAML:2" in told("tag: x\n  y: z", "json", "cortex")["error"]
    assert told("[", "yaml", "native")["error"]


# --- around it


def test_deeds_ask_first(admin: Client) -> None:
    make_services(5)
    found = made()
    for name in ("evaluate", "archive"):
        assert admin.get(url("do", found.pk, name)).status_code == 200
    assert not Evaluation.objects.exists()
    admin.post(url("do", found.pk, "evaluate"))
    assert Evaluation.objects.get().entities == 1
    admin.post(url("do", found.pk, "archive"))
    assert stored("production").state == "archived"
    assert admin.post(url("do", found.pk, "evaluate")).status_code == 404
    copy = {"identifier": "again", "new_title": "Again"}
    admin.post(url("duplicate", found.pk), copy)
    assert (stored("again").state, stored("again").document["rules"]) == ("draft", [RULE])
    assert admin.post(url("duplicate", found.pk), copy).status_code == 409
    admin.post(url("delete", found.pk))
    assert [one.identifier for one in Scorecard.objects.all()] == ["again"]


def test_versions_are_compared_and_brought_back(admin: Client) -> None:
    found = made()
    replace_scorecard("service", "production", changed(">", 1), actor=ACTOR)
    page = admin.get(url("versions", found.pk))
    [change] = page.context["changes"]
    assert change["path"] == "rules.stars.query.conditions"
    admin.post(url("restore", found.pk, 1))
    assert (stored("production").version, stored("production").document["rules"]) == (3, [RULE])
    assert admin.get(url("versions", found.pk), {"v": "9"}).status_code == 404


def test_lists(admin: Client, django_assert_num_queries: Any) -> None:
    make_services(5, 1)
    found = made()
    evaluate(found.pk, cause="data")
    with CaptureQueriesContext(connection) as before:
        assert admin.get(LIST).status_code == 200
    save("ready", CORTEX, dialect="cortex", blueprint=None, actor=ACTOR)
    made(identifier="other")
    with django_assert_num_queries(len(before)):  # it does not grow with the list
        assert admin.get(LIST).status_code == 200
    for query in ("", "?state=active&kind=service&dialect=native", "?trouble=rules"):
        assert admin.get(LIST + query).status_code == 200
    assert "Low › Top" in admin.get(LIST).content.decode()
    for model, query in (
        ("evaluation", {"scorecard": found.pk, "outcome": "changed", "cause": "rules"}),
        ("score", {"scorecard": found.pk, "level": "Gold", "kind": "service"}),
        ("scorechange", {"scorecard": found.pk, "direction": "in", "identifier": "s0"}),
    ):
        page = admin.get(url("changelist", model=model), query)
        assert len(page.context["cl"].result_list) == (0 if model == "evaluation" else 1), model
    score = Score.objects.get(entity__identifier="s1")
    assert "stars" in admin.get(url("change", score.pk, model="score")).content.decode()
    Entity.objects.get(identifier="s1").delete()
    assert admin.get(url("changelist", model="score")).status_code == 200
    assert ScoreChange.objects.count() == 2
    member = make_browser("mia")
    assert member.get(LIST).status_code in (302, 403)
    assert member.post(url("preview"), sent(DOCUMENT)).status_code in (302, 403)
