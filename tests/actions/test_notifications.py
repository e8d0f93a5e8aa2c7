"""Notifications: who is told of runs, how it reaches them, and what they see of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from actions.models import Channel, Message, Notification, Run
from actions.notifications import following, reading, sending
from actions.notifications.notices import notify
from actions.services import reporting, signing
from catalog.kernel.actors import Role
from catalog.models import Change
from tests.actions.actions import day2
from tests.catalog.following import as_row
from tests.factories import ACTOR, make_api, make_blueprint, make_browser, make_entity
from tests.vendors import failing, refused

pytestmark = pytest.mark.django_db

KEY = "k" * 40


class Feed:
    def __init__(self):
        self.position = 0

    def follow(self):
        rows = list(Change.objects.filter(id__gt=self.position).order_by("id"))
        self.position = rows[-1].pk if rows else self.position
        following.follow([as_row(row) for row in rows])


@pytest.fixture
def feed():
    return Feed()


@pytest.fixture
def people(db):
    make_blueprint("service")
    make_entity("service", "pay", title="Pay")
    make_entity("_team", "core", title="Core")
    for name in ("ann", "bob"):
        make_entity("_user", f"{name}@example.com", properties={}, relations={"team": ["core"]})
    return {name: make_browser(name) for name in ("ann", "bob", "cid")}


def told(name):
    """Title, topic and severity of what somebody was told and has not read."""
    found = Notification.objects.filter(recipient=f"{name}@example.com", read_at=None)
    return [(one.title, one.topic, one.severity) for one in found.order_by("pk")]


def ask(approvers=None, **parts):
    """An action on a service that needs approval, and a run of it that Cid started."""
    admin = make_api()
    body = {"title": "Restart", "requiredApproval": True, **parts}
    answer = admin.post("/v1/actions", day2("restart", **body))
    assert answer.status_code == 201, answer.json()
    grant = {"users": [], "roles": [], "teams": ["core"], **(approvers or {})}
    admin.patch("/v1/actions/restart/permissions", {"approve": grant})
    made = admin.post("/v1/actions/restart/runs?run_as=cid@example.com", {"entity": "pay"})
    assert made.status_code == 202, made.json()
    return Run.objects.get(identifier=made.json()["run"]["id"])


WAITS = ("“Restart” waits for your approval", "approval", "high")


def test_approvers_are_asked_and_starters_are_answered(people, feed, vendor):
    run = ask(
        approvalNotification={
            "type": "webhook",
            "format": "slack",
            "url": f"{vendor.url}/hook/{{{{ .run.id }}}}?key={{{{ .secrets.HOOK }}}}",
        }
    )
    feed.follow()
    assert told("ann") == told("bob") == [WAITS]
    assert told("cid") == []
    mails = Message.objects.filter(kind="email").values_list("target", flat=True)
    assert sorted(mails) == ["ann@example.com", "bob@example.com"]
    own = Message.objects.get(kind="webhook")
    assert own.target == f"{vendor.url}/hook/{run.identifier}?key=${{HOOK}}"
    assert own.format == "slack"

    page = people["ann"].get("/notifications").content.decode()
    assert "Cid".lower() in page.lower()
    assert "cid@example.com wants to run it on Pay." in page
    verdict = {"status": "APPROVE", "description": "Go on"}
    answer = make_api().patch(f"/v1/actions/runs/{run.identifier}/approval", verdict)
    assert answer.status_code == 201
    feed.follow()
    assert told("ann") == told("bob") == []  # nobody need do it any more
    assert told("cid")[0] == ("“Restart” on Pay was approved", "approval", "normal")
    assert "Go on" in Notification.objects.get(recipient="cid@example.com").description


def test_a_place_that_cannot_be_worked_out_is_told_in_the_log(people, feed):
    url = "https://hooks.example.com/{{ .inputs.name | error }}"
    run = ask(approvalNotification={"type": "webhook", "url": url})
    feed.follow()
    assert told("ann") == [WAITS]
    assert not Message.objects.filter(kind="webhook").exists()
    assert "approvalNotification: nobody was told" in run.logs.last().message


@pytest.mark.parametrize(
    ("status", "expected", "is_mailed"),
    [
        ("SUCCESS", ("“Restart” on Pay is done", "run", "normal"), False),
        ("FAILURE", ("“Restart” on Pay failed", "failure", "high"), True),
        ("CANCELLED", ("“Restart” on Pay was cancelled", "run", "normal"), False),
        ("TIMED_OUT", ("“Restart” on Pay was given up", "failure", "high"), True),
        ("DECLINED", ("“Restart” on Pay was declined", "approval", "high"), True),
    ],
)
def test_whoever_started_a_run_hears_of_its_end(people, feed, status, expected, is_mailed):
    run = ask(requiredApproval=status == "DECLINED")
    feed.follow()
    if status == "DECLINED":
        body = {"status": "DECLINE"}
        make_api().patch(f"/v1/actions/runs/{run.identifier}/approval", body)
    elif status == "TIMED_OUT":
        reporting.expire_overdue(timezone.now() + timedelta(days=60))
    else:
        body = {"status": status, "summary": "So it went"}
        make_api().patch(f"/v1/actions/runs/{run.identifier}", body)
    feed.follow()
    assert told("cid") == [expected]
    assert Message.objects.filter(target="cid@example.com").exists() is is_mailed
    feed.position = 0
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        feed.follow()  # what is old is no news
    assert len(told("cid")) == 1


def test_nobody_is_told_what_they_did_themselves(people, feed):
    run = ask(requiredApproval=False)
    feed.follow()
    answer = people["cid"].post(f"/runs/{run.identifier}/cancel", {"reason": "Not now"})
    assert answer.status_code == 302
    assert Run.objects.get().status == "CANCELLED"
    feed.follow()
    assert told("cid") == []


def test_e_mails_have_two_forms_and_a_link(people, settings):
    notify(
        "A <b> & c",
        topic="run",
        description="One\nTwo",
        link="/runs/r_1",
        recipients=["Ann@example.com", "login-name"],
        teams=["Core"],
        is_mailed=True,
    )
    assert sending.send_due(timezone.now()) == 2
    assert sorted(one.to[0] for one in mail.outbox) == ["ann@example.com", "bob@example.com"]
    [html] = mail.outbox[0].alternatives
    assert mail.outbox[0].subject == "A <b> & c"
    assert f"{settings.IDP_URL}/runs/r_1" in mail.outbox[0].body
    assert "A <b> & c" in mail.outbox[0].body
    assert "A &lt;b&gt; &amp; c" in html.content
    assert "One<br>Two" in html.content
    assert Notification.objects.filter(recipient="login-name").exists()
    assert sending.send_due(timezone.now() + timedelta(days=1)) == 0


def make_channel(url, **parts):
    now = timezone.now()
    signed = {"created_at": now, "created_by": "x", "updated_at": now, "updated_by": "x"}
    return Channel.objects.create(title=parts.pop("title", "hook"), url=url, **signed, **parts)


def test_channels_get_what_they_want_to_hear_signed(vendor):
    signing.set_key(KEY, ACTOR)
    vendor.json("/hook", {}, method="POST")
    make_channel(f"{vendor.url}/hook", topics=["failure"])
    make_channel(f"{vendor.url}/off", title="off", is_active=False)
    notify("Fine", topic="run")
    notify("Bad", topic="failure", link="/runs/r_1")
    [message] = Message.objects.all()
    sending.send_due(timezone.now())
    [call] = vendor.calls
    stamp = call.headers["x-port-timestamp"]
    proof = hmac.new(KEY.encode(), f"{stamp}.".encode() + call.body, hashlib.sha256).digest()
    assert call.headers["x-port-signature"] == f"v1,{base64.b64encode(proof).decode()}"
    assert call.headers["idempotency-key"] == f"message_{message.pk}"
    assert call.json()["title"] == "Bad"
    assert call.json()["link"].endswith("/runs/r_1")


def test_slack_understands_it(vendor):
    vendor.json("/hook", {}, method="POST")
    make_channel(f"{vendor.url}/hook", format="slack")
    notify("A <b> & c", topic="run", description="It *ended*", link="/runs/r_1")
    sending.send_due(timezone.now())
    [call] = vendor.calls
    assert call.json()["text"].startswith("A &lt;b&gt; &amp; c http")
    section, buttons = call.json()["blocks"]
    assert section["text"] == {
        "type": "mrkdwn",
        "text": "*A &lt;b&gt; &amp; c*\nIt *ended*",
    }
    assert buttons["elements"][0]["url"].endswith("/runs/r_1")
    assert "x-port-signature" not in call.headers


def test_a_message_is_tried_until_it_arrives_or_cannot(vendor):
    vendor.json("/a", {}, method="POST")
    vendor.trouble("/a", failing(), failing())
    vendor.trouble("/b", *[refused(404, "No such hook") for _ in range(3)])
    vendor.trouble("/c", *[failing() for _ in range(20)])
    for name in "abc":
        make_channel(f"{vendor.url}/{name}", title=name)
    notify("Told", topic="run")
    for _ in range(20):
        due = Message.objects.filter(state="WAITING").order_by("due_at").first()
        if due:
            sending.send_due(due.due_at)
    found = {one.channel.title: one for one in Message.objects.select_related("channel")}
    states = {name: (one.state, one.attempts) for name, one in found.items()}
    assert states == {"a": ("SENT", 3), "b": ("FAILED", 1), "c": ("FAILED", 9)}
    assert found["a"].error == ""
    assert "404" in found["b"].error
    assert all(one.due_at is None and one.ended_at for one in found.values())


def test_secrets_of_addresses_are_shown_to_nobody(vendor):
    admin = make_api()
    secret = {"secretName": "HOOK", "secretValue": "very-secret-1", "description": ""}
    admin.post("/v1/organization/secrets", secret)
    vendor.trouble("/hook/very-secret-1", *[refused(403, "very-secret-1 is wrong")] * 2)
    browser = make_browser(role=Role.ADMIN)
    url = "/admin/actions/channel/add/"
    said = {"title": "Slack", "format": "slack", "topics": [], "is_active": "on"}
    wrong = browser.post(url, {**said, "url": "ftp://x"}).content.decode()
    assert "The address is not one of the web" in wrong
    refused_ = browser.post(url, {**said, "url": "http://169.254.169.254/x"}).content.decode()
    assert "169.254.169.254" in refused_
    assert not Channel.objects.exists()
    made = browser.post(url, {**said, "url": f"{vendor.url}/hook/${{HOOK}}"})
    channel = Channel.objects.get()
    assert made.headers["Location"] == f"/admin/actions/channel/{channel.pk}/change/"
    tried = browser.post(f"/admin/actions/channel/{channel.pk}/try/", follow=True)
    page = tried.content.decode()
    assert "The message did not arrive." in page
    message = Message.objects.get()
    assert (message.state, message.attempts) == ("FAILED", 1)
    shown = [
        page,
        browser.get("/admin/actions/channel/").content.decode(),
        browser.get("/admin/actions/message/").content.decode(),
        browser.get(f"/admin/actions/message/{message.pk}/change/").content.decode(),
        message.error,
    ]
    assert not any("very-secret-1" in one for one in shown)
    browser.post(f"/admin/actions/channel/{channel.pk}/change/", {**said, "title": "Chat",
                 "url": channel.url})  # fmt: skip
    browser.post(f"/admin/actions/channel/{channel.pk}/delete/")
    acts = Change.objects.filter(model="channel").order_by("id").values_list("action", flat=True)
    assert list(acts) == ["create", "update", "delete"]
    assert make_browser().get("/admin/actions/channel/").status_code in (302, 403)


def test_the_inbox(people, django_assert_num_queries):
    for n in range(45):
        notify(f"No. {n}", topic="run", recipients=["ann@example.com"], link=f"/runs/r_{n}")
    reading.mark(people["ann"].user, [Notification.objects.order_by("-pk").first().pk])
    notify("For Bob", topic="run", recipients=["bob@example.com"])
    ann = people["ann"]
    page = ann.get("/notifications")
    text = page.content.decode()
    assert 'aria-hidden="true">44<' in text
    assert text.index("No. 43") < text.index("No. 10")
    assert "No. 44" not in text  # the read one comes last
    assert "For Bob" not in text
    assert "after=" in text

    newest = Notification.objects.get(title="No. 43")
    opened = ann.post("/notifications/read", {"one": newest.pk, "open": "1"})
    assert opened.headers["Location"] == "/runs/r_43"
    newest.refresh_from_db()
    assert newest.read_at
    ann.post("/notifications/read", {"one": newest.pk, "as": "unread", "next": "/notifications"})
    newest.refresh_from_db()
    assert newest.read_at is None
    bobs = Notification.objects.get(title="For Bob")
    assert ann.post("/notifications/read", {"one": bobs.pk}).status_code == 404
    assert ann.get("/notifications/read").status_code == 405
    back = ann.post("/notifications/read", {"one": newest.pk, "next": "//evil.example.com"})
    assert back.headers["Location"] == "/notifications"
    ann.post("/notifications/read", {"all": "1"})
    assert told("ann") == []
    assert told("bob") == [("For Bob", "run", "normal")]
    assert "Nothing is unread" in ann.get("/notifications?unread=1").content.decode()


def test_a_scope_keeps_one(people):
    for title in ("First", "Second"):
        notify(title, topic="x", scope="s", recipients=["ann@example.com"])
        if title == "First":
            reading.mark(people["ann"].user, None)
    notify("Other topic", topic="y", scope="s", recipients=["ann@example.com"])
    assert [one[0] for one in told("ann")] == ["Second", "Other topic"]
    assert Notification.objects.count() == 2


URL = "/api/notifications"


def send(api, refs, **payload):
    recipients = {"type": "entity", "entityRef": refs} if refs else {"type": "broadcast"}
    return api.post(
        f"{URL}/notifications", {"recipients": recipients, "payload": {"title": "Hi", **payload}}
    )


def test_backstage_clients_send(people):
    program = make_api(Role.MEMBER)
    make_entity("service", "shop", team=["core"])
    sent = send(program, "user:default/ann@example.com", severity="critical", topic="deploys")
    assert sent.status_code == 200
    assert [one["user"] for one in sent.json()] == ["ann@example.com"]
    assert told("ann") == [("Hi", "deploys", "critical")]
    for ref in ("group:default/core", "service:default/shop"):
        assert len(send(program, [ref]).json()) == 2
    assert send(program, "user:default/nobody").json() == []
    everybody = [one["user"] for one in send(program, None).json()]
    assert {"ann@example.com", "bob@example.com", "cid@example.com"} <= set(everybody)
    for wrong in (send(program, ["a:b:/"]), send(program, "user:x", link="javascript:x")):
        assert wrong.status_code == 400
    assert send(program, "user:x", severity="loud").status_code == 400
    assert send(make_api(Role.VIEWER), "user:x").status_code == 403
    person = people["ann"]
    body = {"recipients": {"type": "broadcast"}, "payload": {"title": "Spam"}}
    refused_ = person.post(f"{URL}/notifications", body, content_type="application/json")
    assert refused_.status_code == 403
    assert refused_.json()["error"]["name"] == "NotAllowedError"


def test_backstage_clients_read(people):
    program = make_api(Role.MEMBER)
    for n, severity in enumerate(("low", "normal", "high")):
        send(program, "user:ann@example.com", title=f"N{n}", severity=severity, topic=f"t{n % 2}")
    ann = people["ann"]

    def get(path="/notifications", **query):
        return ann.get(f"{URL}{path}", query).json()

    def titles(**query):
        return [one["payload"]["title"] for one in get(**query)["notifications"]]

    assert titles() == ["N2", "N1", "N0"]
    assert get(limit=1)["totalCount"] == 3
    assert titles(limit=1, offset=1) == ["N1"]
    assert titles(minimumSeverity="normal") == ["N2", "N1"]
    assert titles(topic="t0", orderField="created,asc") == ["N0", "N2"]
    assert titles(search="n1") == ["N1"]
    assert titles(saved="true") == []
    assert get("/status") == {"unread": 3, "read": 0}
    ids = [one["id"] for one in get()["notifications"]]
    update = {"ids": ids[:2], "read": True}
    changed = ann.post(f"{URL}/notifications/update", update, content_type="application/json")
    assert all(one["read"] for one in changed.json())
    assert get("/status") == {"unread": 1, "read": 2}
    assert titles(read="false") == ["N0"]
    assert get(f"/notifications/{ids[0]}")["payload"]["title"] == "N2"
    assert [one["topic"] for one in get("/topics")["topics"]] == ["t0", "t1"]
    assert people["bob"].get(f"{URL}/notifications/{ids[0]}").status_code == 404
    assert people["bob"].get(f"{URL}/status").json() == {"unread": 0, "read": 0}


def test_old_ones_are_forgotten(people):
    notify("Old", topic="run", recipients=["ann@example.com"], is_mailed=True)
    assert reading.prune(timezone.now() + timedelta(seconds=1)) == 1  # what waits stays
    sending.send_due(timezone.now())
    assert reading.prune(timezone.now() + timedelta(seconds=1)) == 1
