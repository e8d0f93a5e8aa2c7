"""A run's way to a real receiver: signed, tried again, delivered once more after a worker died."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from actions import dispatching
from actions.models import Delivery, Run
from actions.services import reporting, signing
from catalog.kernel.actors import Role
from catalog.models import Change
from catalog.services import secrets
from tests.factories import ACTOR, make_api
from tests.vendors import Answer, failing, hang_up, refused

pytestmark = pytest.mark.django_db

KEY = "k" * 40


@pytest.fixture
def admin(vendor):
    signing.set_key(KEY, ACTOR)
    api = make_api()
    method = {
        "type": "WEBHOOK",
        "url": f"{vendor.url}/hook",
        "headers": {"X-Run": "{{ .run.id }}", "Authorization": "Bearer {{ .secrets.CI_TOKEN }}"},
        "body": {"name": "{{ .inputs.name }}", "pin": "{{ .inputs.pin }}"},
    }
    api.post(
        "/v1/organization/secrets",
        {"secretName": "CI_TOKEN", "secretValue": "ci-secret-1", "description": ""},
    )
    document = {
        "identifier": "deploy",
        "title": "Deploy",
        "trigger": {
            "type": "self-service",
            "operation": "CREATE",
            "userInputs": {
                "properties": {
                    "name": {"type": "string"},
                    "pin": {"type": "string", "encryption": "aes256-gcm"},
                }
            },
        },
        "invocationMethod": method,
    }
    assert api.post("/v1/actions", document).status_code == 201
    return api


def start(api, key="", **inputs):
    inputs = {"name": "pay", "pin": "secret-pin-4711", **inputs}
    headers = {"HTTP_IDEMPOTENCY_KEY": key} if key else {}
    answer = api.post("/v1/actions/deploy/runs", {"properties": inputs}, **headers)
    assert answer.status_code == 202, answer.json()
    return Run.objects.get(identifier=answer.json()["run"]["id"])


def work(run: Run, rounds: int = 1) -> Run:
    """Let a worker take the run, as often as it comes due."""
    for _ in range(rounds):
        run.refresh_from_db()
        with time_machine.travel(run.due_at or timezone.now(), tick=True):
            dispatching.dispatch(run.pk)
    run.refresh_from_db()
    return run


def test_a_webhook_from_request_to_report(admin, vendor):
    vendor.json("/hook", {"queued": True}, method="POST", status=202)
    vendor.trouble("/hook", failing(), failing())
    run = work(start(admin, key="once"), rounds=3)
    assert start(admin, key="once").pk == run.pk
    # what the receiver checks for itself
    assert len(vendor.calls) == 3
    for call in vendor.calls:
        at, proof = call.headers["x-port-timestamp"], call.headers["x-port-signature"]
        expected = hmac.new(KEY.encode(), f"{at}.".encode() + call.body, hashlib.sha256).digest()
        assert proof == f"v1,{base64.b64encode(expected).decode()}"
        assert call.headers["idempotency-key"] == run.identifier
        assert call.headers["authorization"] == "Bearer ci-secret-1"
    assert len({call.body for call in vendor.calls}) == 1, "each attempt sends the same"
    assert signing.decrypt(vendor.calls[0].json()["pin"]) == "secret-pin-4711"
    # what people see
    assert run.status == "IN_PROGRESS"
    states = list(run.deliveries.values_list("number", "state", "status_code"))
    assert states == [(1, "FAILED", 500), (2, "FAILED", 500), (3, "DELIVERED", 202)]
    path = f"/v1/actions/runs/{run.identifier}"
    admin.post(f"{path}/logs", {"message": "half way"})
    admin.patch(path, {"status": "SUCCESS", "link": "https://ci.example.com/1"})
    run.refresh_from_db()
    assert (run.status, run.is_open, run.sealed) == ("SUCCESS", False, None)
    assert Run.objects.count() == 1
    shown = " ".join(
        [
            *map(str, run.logs.values_list("message", flat=True)),
            str(admin.get(path).json()),
            str(list(Delivery.objects.values())),
            str(list(Change.objects.filter(model="run").values())),
        ]
    )
    assert "half way" in shown
    for secret in ("ci-secret-1", "secret-pin-4711", KEY):
        assert secret not in shown


def test_the_same_key_for_something_else_is_a_conflict(admin):
    start(admin, key="k1")
    again = admin.post(
        "/v1/actions/deploy/runs", {"properties": {"name": "other"}}, HTTP_IDEMPOTENCY_KEY="k1"
    )
    assert again.status_code == 409
    assert Run.objects.count() == 1


def test_a_receiver_that_stays_down_fails_the_run_and_it_can_be_sent_again(admin, vendor):
    vendor.json("/hook", {}, method="POST")
    vendor.trouble("/hook", hang_up(), times=9)
    run = work(start(admin), rounds=9)
    assert (run.status, run.attempts) == ("FAILURE", 9)
    assert "Given up after 9 attempts" in run.summary
    assert admin.post(f"/v1/actions/runs/{run.identifier}/redeliver").status_code == 202
    run = work(run)
    assert (run.status, run.deliveries.count()) == ("IN_PROGRESS", 10)
    assert vendor.calls[-1].headers["authorization"] == "Bearer ci-secret-1"


def test_a_refusal_is_not_tried_again(admin, vendor):
    vendor.json("/hook", {}, method="POST")
    vendor.trouble("/hook", refused(422, "name is taken"))
    run = work(start(admin))
    assert run.status == "FAILURE"
    assert "name is taken" in run.summary


def test_a_worker_that_died_after_sending(admin, vendor, monkeypatch):
    vendor.json("/hook", {}, method="POST", status=202)
    run = start(admin)

    def die(*_):
        raise SystemExit  # as far as the database is concerned, the process is gone

    with monkeypatch.context() as patch:
        patch.setattr(dispatching._Attempt, "keep", die)
        with pytest.raises(SystemExit):
            dispatching.dispatch(run.pk)
    run.refresh_from_db()
    assert run.deliveries.get().state == "SENDING"
    dispatching.dispatch(run.pk)  # the broker hands the task out again at once: the lease holds
    assert len(vendor.calls) == 1
    later = timezone.now() + dispatching.LEASE + timedelta(seconds=1)
    assert dispatching.due_runs(timezone.now()) == []
    with time_machine.travel(later, tick=True):
        assert dispatching.due_runs(later) == [(run.pk, False)]
        dispatching.dispatch(run.pk)
    assert [one.state for one in run.deliveries.all()] == ["UNKNOWN", "DELIVERED"]
    assert len({call.headers["idempotency-key"] for call in vendor.calls}) == 1


def test_a_worker_that_comes_back_too_late_changes_nothing(admin, vendor, monkeypatch):
    vendor.json("/hook", {}, method="POST", status=202)
    run = start(admin)
    late = dispatching._take(run.pk)
    with time_machine.travel(timezone.now() + dispatching.LEASE * 2, tick=True):
        dispatching.dispatch(run.pk)
        late.give_up("too late")
    run.refresh_from_db()
    assert run.status == "IN_PROGRESS"


def test_a_synchronous_webhook_ends_with_its_answer(admin, vendor):
    document = admin.get("/v1/actions/deploy").json()["action"]
    document["invocationMethod"]["synchronized"] = True
    assert admin.put("/v1/actions/deploy", document).status_code == 200
    vendor.route("/hook", method="POST")(lambda _: Answer(201, {"id": 7, "said": "ci-secret-1"}))
    run = work(start(admin))
    assert (run.status, run.response) == ("SUCCESS", {"id": 7, "said": "***"})


def test_a_payload_that_cannot_be_filled_in_fails_the_run(admin):
    document = admin.get("/v1/actions/deploy").json()["action"]
    document["invocationMethod"]["body"] = {"n": "{{ .inputs.name | tonumber }}"}
    assert admin.put("/v1/actions/deploy", document).status_code == 200
    run = start(admin)
    assert run.status == "FAILURE"
    assert "invocationMethod.body.n" in run.summary


def test_nobody_reports_its_end(admin, vendor):
    vendor.json("/hook", {}, method="POST", status=202)
    run = work(start(admin))
    assert reporting.expire_overdue(timezone.now()) == 0
    assert reporting.expire_overdue(run.expires_at) == 1
    shown = admin.get(f"/v1/actions/runs/{run.identifier}").json()["run"]
    assert (shown["status"], shown["statusLabel"]) == ("FAILURE", "Timed out")
    late = admin.patch(f"/v1/actions/runs/{run.identifier}", {"status": "SUCCESS"})
    assert late.json()["run"]["status"] == "SUCCESS", "whoever did the work knows better"


def test_a_cancelled_run_stays_cancelled(admin, vendor):
    run = start(admin)
    path = f"/v1/actions/runs/{run.identifier}"
    assert admin.post(f"{path}/cancel", {"reason": "wrong one"}).status_code == 200
    dispatching.dispatch(run.pk)
    assert vendor.calls == []
    assert admin.patch(path, {"status": "SUCCESS"}).json()["run"]["status"] == "CANCELLED"
    assert admin.post(f"{path}/cancel", {}).status_code == 409


def test_a_trial_calls_nothing(admin, vendor):
    from actions.services.starting import start_run
    from tests.factories import make_user

    user = make_user(role=Role.ADMIN)
    run = start_run(
        "deploy", {"properties": {"name": "x"}}, principal=user, actor=ACTOR, is_test=True
    )
    run = work(run)
    assert (run.status, vendor.calls) == ("SUCCESS", [])
    sent = run.deliveries.get()
    assert "x-port-signature" in sent.request_headers
    assert "ci-secret-1" not in str(sent.request_headers)


def test_a_secret_says_which_actions_use_it(admin):
    assert [str(one) for one in secrets.references()["CI_TOKEN"]] == ["Deploy"]


def test_old_runs_are_forgotten(admin, vendor):
    vendor.json("/hook", {}, method="POST", status=202)
    old, young = work(start(admin)), work(start(admin))
    for run in (old, young):
        admin.patch(f"/v1/actions/runs/{run.identifier}", {"status": "SUCCESS"})
    Run.objects.filter(pk=old.pk).update(ended_at=timezone.now() - timedelta(days=400))
    assert reporting.prune(timezone.now() - timedelta(days=365)) == 1
    assert list(Run.objects.all()) == [young]
    assert list(Delivery.objects.values_list("run", flat=True)) == [young.pk]


def test_only_admins_see_credentials_typed_into_an_action(admin):
    document = admin.get("/v1/actions/deploy").json()["action"]
    document["invocationMethod"]["headers"]["Authorization"] = "Bearer typed-by-hand-1"
    admin.put("/v1/actions/deploy", document)
    paths = ("/v1/actions/deploy", "/v1/actions", "/v1/actions/deploy?version=2")
    for path in paths:
        assert "typed-by-hand-1" in admin.get(path).content.decode()
        shown = make_api(role=Role.MEMBER).get(path).content.decode()
        assert "Deploy" in shown
        assert "typed-by-hand-1" not in shown
