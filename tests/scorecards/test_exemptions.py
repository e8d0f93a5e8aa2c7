"""Exemptions: asked for, decided on by somebody else, in effect at once, over by themselves."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from actions.models import Notification
from catalog.kernel.actors import Role
from catalog.kernel.errors import Conflict, InvalidInput, PermissionDenied
from catalog.models import Change
from catalog.services.entities import delete
from catalog.services.permissions import actor_of
from scorecards.models import Exemption, Score, ScoreChange
from scorecards.selectors.exemptions import find_rule
from scorecards.services import exemptions
from scorecards.services.definitions import save
from tests.factories import (
    ACTOR,
    make_api,
    make_blueprint,
    make_browser,
    make_client,
    make_entity,
    make_user,
)
from tests.scorecards.goals import card, evaluated, members_of

pytestmark = pytest.mark.django_db

Status = Exemption.Status
URL = "/v1/scorecards/ready/exemptions"


@pytest.fixture
def ready():
    make_blueprint("service", properties={"stars": {"type": "number"}, "docs": {"type": "string"}})
    make_entity("service", "pay", team=["core"], properties={"stars": 1})
    make_entity("service", "shop", properties={"stars": 5, "docs": "x"})
    return evaluated(card())


def ask(scorecard, person, entity="pay", *, rule="stars", reason="It is a prototype", **told):
    return exemptions.request(
        find_rule(scorecard, rule),
        Score.objects.get(scorecard=scorecard, entity__identifier=entity).entity,
        reason=reason,
        principal=person,
        actor=actor_of(person),
        **told,
    )


def decide(exemption, person, status=Status.APPROVED, reason=""):
    return exemptions.decide(
        exemption, status=status, reason=reason, principal=person, actor=actor_of(person)
    )


def level(entity="pay"):
    return Score.objects.get(entity__identifier=entity).level


def told(person):
    rows = Notification.objects.filter(recipient=person.email, topic="scorecards")
    return [one.title for one in rows.order_by("pk")]


def test_it_holds_once_somebody_else_says_so(ready):
    ann, boss = make_user("ann"), make_user("boss", role=Role.ADMIN)
    asked = ask(ready, ann, days=10, ticket="https://t.example/1")
    assert (asked.status, level()) == (Status.PENDING, "Start")
    assert told(boss) == ["1 exemption waits for a decision: Ready"]
    ask(ready, ann, rule="docs")
    assert told(boss) == ["2 exemptions wait for a decision: Ready"]  # in the place of the first
    with pytest.raises(PermissionDenied):
        decide(asked, ann)
    decided = decide(asked, boss, reason="Fine")
    assert (decided.status, level()) == (Status.APPROVED, "Silver")
    today = timezone.now().date()
    assert decided.ends_at == datetime(today.year, today.month, today.day, tzinfo=UTC) + timedelta(
        days=11
    )
    assert told(ann) == ["An exemption approved"]
    assert ScoreChange.objects.latest("pk").cause == ScoreChange.Cause.EXEMPTION
    with pytest.raises(Conflict, match="approved already, by boss@"):
        decide(asked, make_user(role=Role.ADMIN), Status.DENIED, "Too late")
    with pytest.raises(Conflict, match="exempt already, until"):
        ask(ready, ann)
    feed = Change.objects.filter(model="exemption", object_id=asked.pk).order_by("id")
    assert [(one.action, one.actor, one.after["status"]) for one in feed] == [
        ("create", "ann@example.com", "PENDING"),
        ("update", "boss@example.com", "APPROVED"),
    ]


def test_four_eyes_may_be_two(ready, settings):
    boss, ann = make_user("boss", role=Role.ADMIN), make_user("ann")
    own = ask(ready, boss)
    assert own.status == Status.PENDING
    with pytest.raises(PermissionDenied, match="Somebody else decides"):
        decide(own, boss)
    assert exemptions.revoke(own, principal=boss, actor=actor_of(boss)).status == Status.REVOKED
    settings.IDP_EXEMPTION_FOUR_EYES = False
    assert ask(ready, boss).status == Status.APPROVED
    assert ask(ready, ann, rule="docs").status == Status.PENDING
    client, _ = make_client(role=Role.ADMIN)
    settings.IDP_EXEMPTION_FOUR_EYES = True
    assert ask(ready, client, "shop").status == Status.APPROVED
    assert ask(ready, make_client()[0], "shop", rule="docs").status == Status.PENDING


def test_who_may(ready):
    owner, viewer = make_user("owner"), make_user("viewer", role=Role.VIEWER)
    members_of("core", owner)
    save("ready", card(owner="core"), dialect="native", blueprint="service", actor=ACTOR)
    ready.refresh_from_db()
    evaluated(ready)
    ann = make_user("ann")
    asked = ask(ready, ann)
    assert told(owner) == ["1 exemption waits for a decision: Ready"]
    with pytest.raises(PermissionDenied):
        ask(ready, viewer, rule="docs")
    for person in (viewer, make_user("ben")):
        with pytest.raises(PermissionDenied):
            decide(asked, person)
        with pytest.raises(PermissionDenied):
            exemptions.revoke(asked, reason="x", principal=person, actor=actor_of(person))
    with pytest.raises(InvalidInput, match="reason"):
        decide(asked, owner, Status.DENIED)
    asked.refresh_from_db()
    assert (asked.status, level()) == (Status.PENDING, "Start")
    assert decide(asked, owner, Status.DENIED, "No").status == Status.DENIED
    assert ask(ready, ann).status == Status.PENDING  # one may ask again


REFUSED = [
    ({"longestDays": 30}, {"days": 31}, "days is 31; expected a whole number from 1 to 30"),
    ({"longestDays": 30}, {"days": 0}, "days is 0; expected a whole number from 1 to 30"),
    ({"longestDays": 30}, {}, "days is 0"),
    ({}, {"days": -1}, "days is -1"),
    ({}, {"days": True}, "days is True"),
    ({}, {"days": 10**30}, "days is 1"),
    ({}, {"reason": "  "}, "reason"),
    ({}, {"reason": None}, "reason"),
    ({}, {"reason": "a\x00"}, "reason"),
    ({}, {"ticket": "javascript:alert(1)"}, "ticket is javascript"),
    ({}, {"rule": "docs", "entity": "gone"}, "gone"),
    ({"enabled": False}, {}, "grants no exemptions"),
]


def test_what_is_refused(ready):
    api = make_api()
    for parts, told, word in REFUSED:
        document = card(exemptions=parts)
        save("ready", document, dialect="native", blueprint="service", actor=ACTOR)
        answer = api.post(URL, {"rule": "stars", "entity": "pay", "reason": "x", **told})
        assert answer.status_code in (404, 409, 422), told
        assert word in answer.json()["message"], told
    assert not Exemption.objects.exists()


def test_the_scorecard_may_approve_by_itself(ready):
    parts = {"autoApprove": True, "longestDays": 5}
    save("ready", card(exemptions=parts), dialect="native", blueprint="service", actor=ACTOR)
    ready.refresh_from_db()
    evaluated(ready)
    made = ask(ready, make_user("ann"), days=5)
    assert (made.status, made.decided_by, level()) == (Status.APPROVED, "scorecards", "Silver")


def test_many_at_once_by_a_search(ready):
    for number in range(3):
        make_entity("service", f"s{number}", properties={"stars": number})
    evaluated(ready)
    api = make_api()
    query = {
        "combinator": "and",
        "rules": [{"property": "stars", "operator": ">=", "value": 1}],
    }
    body = {"rule": "stars", "reason": "Old", "query": query}
    answer = api.post(URL, body).json()
    assert sorted(one["entity"] for one in answer["exemptions"]) == ["pay", "s1", "s2"]
    assert answer["passedOver"] == 1
    again = api.post(URL, body).json()
    assert (again["exemptions"], again["passedOver"]) == ([], 4)
    listed = api.get(f"{URL}?status=APPROVED&limit=2").json()
    assert [one["entity"] for one in listed["exemptions"]] == ["s2", "s1"]
    assert api.get(f"{URL}?from={listed['next']}").json()["exemptions"][0]["entity"] == "pay"
    assert listed["byRule"] == [{"rule": "stars", "held": 3, "waiting": 0, "ever": 3}]
    assert api.get(f"{URL}?status=maybe").status_code == 400
    assert api.post(URL, {**body, "entity": "pay"}).status_code == 422


def test_it_ends_by_itself_at_midnight_and_warns_before(ready):
    ann, core = make_user("ann"), make_user("cora")
    members_of("core", core)
    boss = make_user("boss", role=Role.ADMIN)
    held = decide(ask(ready, ann, days=20), boss)
    gone = decide(ask(ready, ann, "shop"), boss)
    end = held.ends_at
    assert exemptions.warn(end - timedelta(days=15)) == 0
    assert exemptions.warn(end - timedelta(days=13)) == 1
    assert exemptions.warn(end - timedelta(days=12)) == 0
    assert exemptions.warn(end - timedelta(days=2)) == 1
    assert exemptions.warn(end - timedelta(hours=1)) == 0
    assert told(core) == ["An exemption ends soon"]
    assert exemptions.end_due(end - timedelta(seconds=1)) == 0
    assert level() == "Silver"
    assert exemptions.end_due(end) == 1
    assert exemptions.end_due(end) == 0
    held.refresh_from_db()
    assert (held.status, held.decided_by, level()) == (Status.EXPIRED, boss.email, "Start")
    assert told(core) == ["An exemption ends soon", "An exemption has ended"]
    assert told(ann)[-1] == "An exemption has ended"
    delete([("service", "shop")], actor=ACTOR)
    assert exemptions.end_due(end) == 1
    gone.refresh_from_db()
    assert gone.status == Status.EXPIRED


def test_a_short_one_is_not_warned_of_as_it_begins(ready):
    boss = make_user("boss", role=Role.ADMIN)
    held = decide(ask(ready, make_user("ann"), days=7), boss)
    assert exemptions.warn(timezone.now()) == 0
    assert exemptions.warn(held.ends_at - timedelta(days=2)) == 1


def test_revoked_and_decided_over_the_api(ready):
    api, member = make_api(), make_api(Role.MEMBER)
    made = member.post(URL, {"rule": "stars", "entity": "pay", "reason": "x"}).json()
    path = f"/v1/exemptions/{made['exemptions'][0]['id']}"
    assert member.post(f"{path}/approve").status_code == 403
    assert api.post(f"{path}/deny", {}).status_code == 422
    approved = api.post(f"{path}/approve", {"reason": "Fine"}).json()["exemption"]
    assert (approved["status"], approved["decisionReason"]) == ("APPROVED", "Fine")
    assert level() == "Silver"
    assert api.post(f"{path}/deny", {"reason": "x"}).status_code == 409
    assert api.post(f"{path}/revoke").status_code == 422  # it is not its own
    assert member.post(f"{path}/revoke").json()["exemption"]["status"] == "REVOKED"
    assert level() == "Start"
    assert api.get(path).json()["exemption"]["status"] == "REVOKED"
    assert api.get("/v1/exemptions/ex_x").status_code == 404


def test_some_are_decided_on_together(ready):
    ann, boss = make_user("ann"), make_user("boss", role=Role.ADMIN)
    one, other = ask(ready, ann), ask(ready, ann, rule="docs")
    decide(one, boss)
    decided = exemptions.decide_many(
        [one.pk, other.pk], status=Status.APPROVED, principal=boss, actor=actor_of(boss)
    )
    statuses = Score.objects.get(entity__identifier="pay").statuses
    assert ([row.pk for row in decided], statuses) == ([other.pk], "XX")


def test_the_pages_ask_and_decide_without_a_script(ready):
    ann, boss = make_browser("ann"), make_browser("boss", role=Role.ADMIN)
    about = f"scorecard={ready.pk}&rule=stars&blueprint=service&entity=pay"
    form = f"/scorecards/-/exempt?{about}"
    assert "Has three stars" in ann.get(form).text
    refused = ann.post(form, {"reason": "", "days": ""})
    assert (refused.status_code, "reason is" in refused.text) == (422, True)
    assert ann.post(form, {"reason": "Old", "days": "30"}).status_code == 302
    made = Exemption.objects.get()
    own = ann.get("/exemptions").text
    assert "Take it back" in own
    assert "Approve" not in own
    assert f"approve:ex_{made.pk}" in boss.get("/exemptions").text
    decide = "/exemptions/decide"
    assert ann.post(decide, {"do": f"approve:ex_{made.pk}"}).status_code == 403
    boss.post(decide, {"do": "deny", "one": [str(made.pk)], "reason": ""})
    boss.post(decide, {"do": "approve", "one": [str(made.pk), "x"], "next": "//evil.example"})
    made.refresh_from_db()
    assert (made.status, made.days, level()) == (Status.APPROVED, 30, "Silver")
    assert "Has three stars" in boss.get("/exemptions?show=held").text
    viewer = make_browser(role=Role.VIEWER)
    assert viewer.get(form).status_code == 403
    assert viewer.get("/exemptions").status_code == 200
    assert ann.get(form.replace("entity=pay", "entity=%00")).status_code == 404


def test_the_inbox_costs_as_much_for_many(ready, django_assert_num_queries):
    browser, person = make_browser(role=Role.ADMIN), make_user()
    ask(ready, person)
    browser.get("/exemptions")
    with CaptureQueriesContext(connection) as few:
        browser.get("/exemptions")
    ask(ready, person, "shop", rule="docs")
    ask(ready, person, "shop")
    ask(ready, person, rule="docs")
    with django_assert_num_queries(len(few)):
        browser.get("/exemptions")


@pytest.mark.django_db(transaction=True)
def test_of_two_decisions_at_once_one_wins():
    make_blueprint("service", properties={"stars": {"type": "number"}, "docs": {"type": "string"}})
    make_entity("service", "pay", properties={"stars": 1})
    asked = ask(evaluated(card()), make_user("ann"))
    bosses = [make_user(role=Role.ADMIN) for _ in range(2)]
    start = Barrier(2)

    def judge(boss):
        start.wait(10)
        try:
            return str(decide(asked, boss).status)
        except Conflict as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(judge, bosses)) == ["APPROVED", "conflict"]
    assert level() == "Silver"
