"""Facts and metrics of entities: through the API, on pages, in the feed, and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from catalog.kernel.actors import Actor, Role
from catalog.kernel.errors import InvalidInput, LimitExceeded, PermissionDenied
from catalog.models import Change, Fact, MetricPoint
from catalog.services import facts, metrics
from catalog.services.blueprint_permissions import update_permissions
from catalog.services.entities import delete
from catalog.services.facts import FactDraft, put_facts
from catalog.services.permissions import actor_of
from catalog.tasks import prune_metrics
from tests.factories import ACTOR, make_api, make_blueprint, make_browser, make_entity, make_user

PAY = "/v1/blueprints/service/entities/pay"


@pytest.fixture
def api(db):
    make_blueprint("service", properties={"tier": {"type": "string"}})
    make_entity("service", "pay", team=["core"])
    make_entity("service", "mail")
    return make_api()


def told(model):
    rows = Change.objects.filter(model=model).order_by("id")
    return list(rows.values_list("action", "identifier", "before", "after"))


def draft(entity="pay", key="coverage", value=80, **more):
    return FactDraft("service", entity, key, value, **more)


def test_a_fact_is_written_read_replaced_and_deleted(api, django_assert_max_num_queries):
    at = "2026-03-03T10:00:00.000Z"
    made = api.put(f"{PAY}/facts/coverage", {"value": 80, "description": "Of lines",
                                             "collectedAt": at})  # fmt: skip
    assert made.status_code == 200, made.content
    fact = made.json()["fact"]
    assert fact["updatedAt"]
    assert {key: fact[key] for key in ("key", "value", "description", "origin", "collectedAt")} == {
        "key": "coverage",
        "value": 80,
        "description": "Of lines",
        "origin": "API",
        "collectedAt": at,
    }
    # what is known already: it was collected anew, and nothing else
    again = api.put(f"{PAY}/facts/coverage", {"value": 80}).json()["fact"]
    assert again["collectedAt"] > at
    assert {**again, "collectedAt": at} == fact

    api.put(f"{PAY}/facts/coverage", {"value": None, "description": ""})
    api.put(f"{PAY}/facts/a%2Fb", {"value": {"x": [1, None]}})
    with django_assert_max_num_queries(5):
        shown = api.get(f"{PAY}/facts").json()["facts"]
    assert [(one["key"], one["value"]) for one in shown] == [
        ("a/b", {"x": [1, None]}),
        ("coverage", None),
    ]
    assert api.delete(f"{PAY}/facts/coverage").status_code == 200
    assert api.delete(f"{PAY}/facts/coverage").status_code == 404
    assert told("fact") == [
        ("create", "pay", None, {"coverage": 80}),
        ("update", "pay", {"coverage": 80}, {"coverage": None}),
        ("create", "pay", None, {"a/b": {"x": [1, None]}}),
        ("delete", "pay", {"coverage": None}, None),
    ]
    log = api.get("/v1/audit-log?resources=fact&entity=pay&blueprint=service").json()
    assert len(log["audits"]) == 4
    assert api.get(f"{PAY}/history").json()["history"][0]["action"] == "create"  # of the entity


def test_many_are_written_at_once_and_the_bad_ones_are_named(api, django_assert_num_queries):
    body = {"facts": [
        {"blueprint": "service", "entity": "pay", "key": "coverage", "value": 81},
        {"blueprint": "service", "entity": "gone", "key": "coverage", "value": 1},
        {"blueprint": "service", "entity": "pay", "key": "coverage", "value": 82},
        {"blueprint": "service", "entity": "mail", "key": "", "value": 1},
        {"blueprint": "service", "entity": "mail", "key": "big", "value": "x" * 100_001},
        {"blueprint": "service", "entity": "mail", "key": "soon", "value": 1,
         "collectedAt": "2999-01-01T00:00:00Z"},
        {"blueprint": "service", "entity": "mail", "key": "when", "value": 1,
         "collectedAt": "2026-01-01T00:00:00"},
        {"blueprint": "service", "entity": "mail", "key": "none"},
        "x",
        {"blueprint": "service", "entity": "mail", "key": "lines", "value": 7},
    ]}  # fmt: skip
    answer = api.put("/v1/facts", body)
    assert answer.status_code == 207
    said = answer.json()
    assert said["facts"] == [
        {"index": 0, "blueprint": "service", "entity": "pay", "key": "coverage",
         "status": "created"},
        {"index": 9, "blueprint": "service", "entity": "mail", "key": "lines",
         "status": "created"},
    ]  # fmt: skip
    assert [(e["index"], e["statusCode"], e["details"].get("field")) for e in said["errors"]] == [
        (1, 404, None),
        (2, 422, "key"),
        (3, 422, "key"),
        (4, 422, "value"),
        (5, 422, "collectedAt"),
        (6, 422, "collectedAt"),
        (7, 422, "value"),
        (8, 422, "fact"),
    ]
    whole = api.put("/v1/facts?all_or_nothing=true", body)
    assert (whole.status_code, len(whole.json()["details"]["errors"])) == (422, 3)  # of form
    bad = [{**body["facts"][0], "value": 5}, body["facts"][1]]
    whole = api.put("/v1/facts?all_or_nothing=true", {"facts": bad})
    assert whole.json()["details"]["errors"][0]["index"] == 1
    assert Fact.objects.get(key="coverage").value == 81

    drafts = [draft(entity, f"k{n}", n) for entity in ("pay", "mail") for n in range(50)]
    # the transaction, entities, lock, count, upsert, feed
    with django_assert_num_queries(7):
        results = put_facts(drafts, actor=ACTOR)
    assert {one.status for one in results} == {"created"}
    before = Change.objects.count()
    assert {one.status for one in put_facts(drafts, actor=ACTOR)} == {"unchanged"}
    assert Change.objects.count() == before


def test_an_entity_has_so_many_facts_and_no_more(api, monkeypatch):
    monkeypatch.setattr(facts, "MAX_FACTS", 2)
    results = put_facts([draft(key=key) for key in "abc"], actor=ACTOR)
    assert [one.status for one in results] == ["created", "created", "rejected"]
    assert isinstance(results[2].error, LimitExceeded)
    assert put_facts([draft(key="a", value=1)], actor=ACTOR)[0].status == "updated"


def test_whoever_may_update_the_entity_may_write_of_it(api):
    viewer, member = make_api(Role.VIEWER), make_api(Role.MEMBER)
    body = {"facts": [{"blueprint": "service", "entity": "pay", "key": "a", "value": 1}]}
    point = {"points": [{"key": "a", "at": "2026-03-03T10:00:00Z", "value": 1}]}
    assert viewer.put(f"{PAY}/facts/a", {"value": 1}).status_code == 403
    assert viewer.post(f"{PAY}/metrics", point).status_code == 403
    assert viewer.put("/v1/facts", body).json()["errors"][0]["error"] == "forbidden"
    assert not Fact.objects.exists()
    assert member.put("/v1/facts", body).status_code == 200

    nobody = {"update": {"users": [], "roles": [], "teams": [], "ownedByTeam": True}}
    update_permissions("service", {"entities": nobody}, actor=ACTOR)
    assert member.put("/v1/facts", body).status_code == 207
    assert member.delete(f"{PAY}/facts/a").status_code == 403
    actor = actor_of(make_user())
    with pytest.raises(PermissionDenied):
        metrics.delete_points("service", "pay", "a", actor=actor)
    assert Fact.objects.count() == 1


def test_points_are_written_read_page_by_page_and_deleted(api, django_assert_max_num_queries):
    start = timezone.now().replace(microsecond=0) - timedelta(days=10)
    points = [
        {"key": "requests", "at": (start + timedelta(days=n)).isoformat(), "value": n}
        for n in range(5)
    ]
    written = api.post(f"{PAY}/metrics", {"points": [*points, {**points[0], "value": 0.5}]})
    assert written.json() == {"ok": True, "changedPoints": 5}
    assert api.post(f"{PAY}/metrics", {"points": points[1:]}).json()["changedPoints"] == 0
    with django_assert_max_num_queries(5):
        [series] = api.get(f"{PAY}/metrics").json()["metrics"]
    assert (series["key"], series["points"], series["value"]) == ("requests", 5, 4)

    page = api.get(f"{PAY}/metrics/requests?limit=2").json()
    rest = api.get(f"{PAY}/metrics/requests", {"cursor": page["next"]}).json()
    assert [one["value"] for one in page["points"] + rest["points"]] == [4, 3, 2, 1, 0.5]
    assert rest["next"] is None
    span = {"from": points[1]["at"], "to": points[2]["at"]}
    found = api.get(f"{PAY}/metrics/requests", span).json()["points"]
    assert [one["value"] for one in found] == [2, 1]

    assert api.delete(f"{PAY}/metrics/requests?from={points[4]['at'][:19]}Z").json() == {
        "ok": True,
        "deletedPoints": 1,
    }
    assert api.delete(f"{PAY}/metrics/nope").json()["deletedPoints"] == 0
    first, last = (f"{start + timedelta(days=n):%Y-%m-%dT%H:%M:%S}.000Z" for n in (0, 4))
    assert told("metric") == [
        ("update", "pay", None,
         {"key": "requests", "points": 5, "first": first, "last": last}),
        ("delete", "pay",
         {"key": "requests", "points": 1, "first": last, "last": last}, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("point", "field"),
    [
        ({"at": "2026-01-01T00:00:00"}, "points[0].at"),
        ({"at": "2026-02-31T00:00:00Z"}, "points[0].at"),
        ({"at": "2999-01-01T00:00:00Z"}, "points[0].at"),
        ({"at": "1999-01-01T00:00:00Z"}, "points[0].at"),
        ({"key": "x" * 201}, "points[0].key"),
        ({"value": True}, "points[0].value"),
        ({"value": "1"}, "points[0].value"),
    ],
)
def test_a_point_that_is_none_is_refused(api, point, field):
    good = {"key": "requests", "at": timezone.now().isoformat(), "value": 1}
    answer = api.post(f"{PAY}/metrics", {"points": [{**good, **point}, good]})
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, field)
    with pytest.raises(InvalidInput, match="finite"):
        metrics.put_points(
            "service", "pay", [metrics.PointDraft("a", timezone.now(), 10**400)], actor=ACTOR
        )
    assert not MetricPoint.objects.exists()


def test_old_points_go_and_all_goes_with_its_entity(api, settings):
    now = timezone.now()
    said = [metrics.PointDraft("a", now - timedelta(days=n), n) for n in (1, 20)]
    metrics.put_points("service", "pay", said, actor=Actor.system("test"))
    settings.IDP_METRIC_DAYS = 0
    prune_metrics()
    assert MetricPoint.objects.count() == 2
    settings.IDP_METRIC_DAYS = 10
    prune_metrics()
    assert MetricPoint.objects.get().value == 1

    at = datetime(2026, 1, 1, tzinfo=UTC)
    put_facts([draft(collected_at=at), draft("mail")], actor=ACTOR)
    delete([("service", "pay")], actor=ACTOR)
    assert not MetricPoint.objects.exists()
    assert Fact.objects.get().entity.identifier == "mail"


def test_the_page_of_an_entity_shows_what_is_known_of_it(api, django_assert_max_num_queries):
    member = make_browser()
    assert "?tab=facts" not in member.get("/catalog/service/pay").content.decode()
    said = [draft(value={"lines": 80, "<b>": True}, description="Of tests"), draft(key="a")]
    put_facts(said, actor=ACTOR)
    point = metrics.PointDraft("requests", timezone.now(), 1200)
    metrics.put_points("service", "pay", [point], actor=ACTOR)
    assert "?tab=facts" in member.get("/catalog/service/pay").content.decode()
    with django_assert_max_num_queries(16):
        page = member.get("/catalog/service/pay?tab=facts").content.decode()
    for words in ("&lt;b&gt;", "Of tests", "tester@example.com", ">1200<", "requests"):
        assert words in page
    assert "/admin/catalog/fact/" not in page


def test_admins_add_correct_and_delete_facts(api):
    browser = make_browser(role=Role.ADMIN)
    add = "/admin/catalog/fact/add/"
    said = {"blueprint": "service", "entity": "pay", "key": "coverage", "value": "80"}
    refused = browser.post(add, {**said, "value": "{1"}).content.decode()
    assert "Line 1, column 2" in refused
    assert "was not found" in browser.post(add, {**said, "entity": "gone"}).content.decode()
    assert browser.post(add, said).status_code == 302
    fact = Fact.objects.get()
    url = f"/admin/catalog/fact/{fact.pk}"
    assert "80" in browser.get(f"{url}/change/").content.decode()
    assert browser.post(f"{url}/change/", {"value": "null", "description": "x"}).status_code == 302
    fact.refresh_from_db()
    assert (fact.value, fact.description) == (None, "x")

    listed = "/admin/catalog/fact/?entity=pay&kind=service&key=coverage&origin=API"
    assert f"{url}/change/" in browser.get(listed).content.decode()
    assert f"{url}/change/" not in browser.get(f"{listed}x").content.decode()
    history = browser.get(f"{url}/history/", follow=True).content.decode()
    assert history.count("coverage") >= 2
    changed = Change.objects.filter(model="fact", action="update").get()
    page = browser.get(f"/admin/catalog/change/{changed.pk}/change/").content.decode()
    assert f"/admin/catalog/entity/{fact.entity_id}/change/" in page

    assert "Delete" in browser.get(f"{url}/delete/").content.decode()
    assert browser.post(f"{url}/delete/").status_code == 302
    assert not Fact.objects.exists()
    assert make_browser().get("/admin/catalog/fact/").status_code in (302, 403)
