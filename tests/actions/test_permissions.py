"""Who sees, runs and approves what: role, ownership, policy and approval, through every face.

Each case is asked of every face in `FACES`; a face that is added is asked all of them.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from actions.models import Action, Run
from catalog.kernel.actors import Role
from catalog.models import Change
from tests.actions.actions import WEBHOOK, action, automation, day2
from tests.factories import make_api, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db

JSON = {"content_type": "application/json"}
AGENT = {**WEBHOOK, "agent": True, "headers": {}, "body": {}}  # nothing here calls it
NAME = "restart"


class Api:
    """/v1, with the session of a browser."""

    def sees(self, who, identifier=NAME):
        listed = [one["identifier"] for one in who.get("/v1/actions").json()["actions"]]
        answer = who.get(f"/v1/actions/{identifier}")
        assert answer.status_code == (200 if identifier in listed else 404)
        return identifier in listed

    def may_run(self, who, entity):
        body = {"entity": entity, "properties": {"size": 3}}
        answer = who.post(f"/v1/actions/{NAME}/runs", body, **JSON)
        assert answer.status_code in (202, 403, 404), answer.content
        return answer.status_code == 202

    def may_approve(self, who, run):
        url = f"/v1/actions/runs/{run.identifier}/approval"
        answer = who.patch(url, {"status": "APPROVE"}, **JSON)
        assert answer.status_code in (201, 403, 404), answer.content
        return answer.status_code == 201


class Portal:
    """The pages of self-service."""

    def sees(self, who, identifier=NAME):
        part = {"HX-Request": "true"}  # without the shell around it
        answer = who.get(f"/self-service/{identifier}", headers=part)
        assert answer.status_code in (200, 404)
        return answer.status_code == 200

    def lists(self, who, identifier=NAME):
        return f'"/self-service/{identifier}' in who.get("/self-service").content.decode()

    def may_run(self, who, entity):
        answer = who.post(f"/self-service/{NAME}", {"entity": entity, "input.size": "3"})
        assert answer.status_code in (302, 403, 404), answer.content
        return answer.status_code == 302

    def may_approve(self, who, run):
        answer = who.post(f"/runs/{run.identifier}/approve")
        assert answer.status_code in (302, 403, 404), answer.content
        return answer.status_code == 302


FACES = [Api(), Portal()]


@contextmanager
def undone():
    """What happens inside is forgotten: one set of things serves all cases."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def policy(*conditions, **queries):
    return {"queries": queries, "conditions": list(conditions)}


def rule(name, value):
    return {"combinator": "and", "rules": [{"property": name, "operator": "=", "value": value}]}


EMAIL = "pat@example.com"
MINE = {"users": [EMAIL.upper()], "roles": []}
NOBODY: dict[str, Any] = {"users": [], "roles": []}
OWNERS = {**NOBODY, "ownedByTeam": True}
YES, NO = policy("false", "true"), policy("false", "false")
FIRST = policy(
    '(.results.asked.entities | length == 1) and .user.email == "{{ .trigger.user.email }}"',
    asked=rule("$identifier", "{{ .entity.identifier }}"),
)
IS_MEMBER = '.user.role == "Member"'
ADMIN, MEMBER, VIEWER = Role.ADMIN, Role.MEMBER, Role.VIEWER


@pytest.fixture
def builder(db):
    """An admin who made the action and two services, the first of which is the person's team's."""
    make_blueprint("service")
    api = make_api()
    size = {"userInputs": {"properties": {"size": {"type": "number"}}}}
    assert (
        api.post("/v1/actions", day2(NAME, trigger=size, invocationMethod=AGENT)).status_code == 201
    )
    make_entity("_team", "core", title="Core team")
    make_entity("_user", EMAIL, relations={"team": ["core"]})
    make_entity("service", "own", team=["core"])
    make_entity("service", "other")
    return api


def grant(api, **grants):
    answer = api.patch(f"/v1/actions/{NAME}/permissions", grants)
    assert answer.status_code == 200, answer.content


def person(role):
    return make_browser("pat", role=role)


def take_role(who, role):
    """Roles count from the next request on."""
    get_user_model().objects.filter(pk=who.user.pk).update(role=role.value)


# role, grant of `execute`: sees it, may run it on what its team owns, on what others own
RUNNING = [
    # by default
    (ADMIN, {}, True, True, True),
    (MEMBER, {}, True, True, True),
    (VIEWER, {}, False, False, False),
    # roles
    (VIEWER, {"roles": ["Viewer"]}, True, True, True),
    (MEMBER, {"roles": ["Viewer"]}, False, False, False),
    (MEMBER, {"roles": ["service-moderator"]}, False, False, False),
    # users
    (MEMBER, MINE, True, True, True),
    (VIEWER, MINE, True, True, True),
    (MEMBER, {**NOBODY, "users": ["other@example.com"]}, False, False, False),
    # teams, by identifier and by title
    (MEMBER, {**NOBODY, "teams": ["core"]}, True, True, True),
    (VIEWER, {**NOBODY, "teams": ["Core team"]}, True, True, True),
    (MEMBER, {**NOBODY, "teams": ["ops"]}, False, False, False),
    # owners
    (MEMBER, OWNERS, True, True, False),
    (VIEWER, OWNERS, True, True, False),
    (ADMIN, OWNERS, True, True, True),
    (ADMIN, NOBODY, True, True, True),
    (MEMBER, NOBODY, False, False, False),
    # policies narrow down what grants allow; everybody, admins too
    (MEMBER, {"policy": YES}, True, True, True),
    (VIEWER, {"policy": YES}, False, False, False),
    (MEMBER, {"policy": NO}, True, False, False),
    (ADMIN, {"policy": NO}, True, False, False),
    (MEMBER, {"policy": policy('.entity.team == ["core"]')}, True, True, False),
    (MEMBER, {**OWNERS, "policy": policy('.entity.identifier == "other"')}, True, False, False),
    (MEMBER, {"policy": policy(f".inputs.size == 3 and {IS_MEMBER}")}, True, True, True),
    (MEMBER, {"policy": policy('.user.relations.team == ["core"]')}, True, True, True),
    (MEMBER, {"policy": policy(".inputs.size > 3")}, True, False, False),
    (MEMBER, {"policy": FIRST}, True, True, True),
    (ADMIN, {"policy": policy('.action.identifier == "restart"')}, True, True, True),
    # what cannot be evaluated allows nothing
    (MEMBER, {"policy": policy(".entity | error")}, True, False, False),
    (MEMBER, {"policy": policy(".entity.identifier")}, True, False, False),
    (ADMIN, {"policy": policy("true", q=rule("$nope", "{{ .user }}"))}, True, False, False),
]  # fmt: skip


@pytest.mark.parametrize("face", FACES, ids=lambda face: type(face).__name__)
def test_who_sees_and_runs(builder, face, subtests):
    who = person(MEMBER)
    for role, execute, sees, own, other in RUNNING:
        with subtests.test(role=str(role), execute=execute), undone():
            grant(builder, execute=execute)
            take_role(who, role)
            assert face.sees(who) is sees
            assert face.may_run(who, "own") is own
            assert face.may_run(who, "other") is other
            started = {run.entity["identifier"] for run in Run.objects.all()}
            assert started == {name for name, is_one in (("own", own), ("other", other)) if is_one}
            noted = Change.objects.filter(model="run", action="create")
            assert noted.count() == len(started)


def test_what_one_does_not_see_is_found_nowhere(builder):
    who = person(VIEWER)
    url = f"/v1/actions/{NAME}"
    for part in ("", "/versions", "/permissions", "?version=1"):
        assert who.get(url + part).status_code == 404
    of_blueprint = "/v1/blueprints/service/actions"
    assert who.get(f"{of_blueprint}/{NAME}").status_code == 404
    assert who.get(of_blueprint).json()["actions"] == []
    assert who.post(f"{url}/runs", {"entity": "own"}, **JSON).status_code == 404
    for below in ("", "/entities/own"):
        old = f"/v1/blueprints/service{below}/actions/{NAME}/runs"
        assert who.post(old, {"entity": "own"}, **JSON).status_code == 404
    assert not Run.objects.exists()


def test_the_portal_lists_what_it_opens(builder):
    portal, member, viewer = Portal(), person(MEMBER), make_browser("vic", role=VIEWER)
    assert (portal.lists(member), portal.lists(viewer)) == (True, False)
    grant(builder, execute={"roles": ["Viewer"]})
    assert (portal.lists(member), portal.lists(viewer)) == (False, True)


def team_leader():
    return policy("[.results.leaders.entities[].identifier]", leaders=rule("$title", "Pat"))


STARTER = "starter@example.com"
APART = policy(f'["{STARTER}", "{EMAIL}"] - [.trigger.user.email]')


# role, grant of `approve`: may approve
APPROVING = [
    (ADMIN, {}, True),
    (MEMBER, {}, False),
    (VIEWER, {}, False),
    (MEMBER, {"roles": ["Member"]}, True),
    (MEMBER, MINE, True),
    (VIEWER, MINE, True),
    (MEMBER, {**NOBODY, "teams": ["core"]}, True),
    (MEMBER, {**NOBODY, "teams": ["ops"]}, False),
    (ADMIN, NOBODY, True),
    # a policy names approvers beside the grant; admins may then do no more than it says
    (MEMBER, {**NOBODY, "policy": APART}, True),
    (VIEWER, {**NOBODY, "policy": APART}, True),
    (ADMIN, {**NOBODY, "policy": policy("[]")}, False),
    (ADMIN, {"roles": ["Admin"], "policy": policy("[]")}, True),
    (MEMBER, {**NOBODY, "policy": team_leader()}, True),
    (MEMBER, {**NOBODY, "policy": policy("[]", '["PAT@example.com"]')}, True),
    # what cannot be evaluated names nobody
    (MEMBER, {**NOBODY, "policy": policy('"pat@example.com"')}, False),
    (MEMBER, {**NOBODY, "policy": policy('["pat@example.com"]', ".inputs | error")}, False),
]  # fmt: skip


@pytest.mark.parametrize("face", FACES, ids=lambda face: type(face).__name__)
def test_who_approves(builder, face, subtests):
    make_entity("_user", "lead@example.com", title="Lead")
    builder.patch("/v1/blueprints/_user/entities/pat@example.com", {"title": "Pat"})
    document = builder.get(f"/v1/actions/{NAME}").json()["action"]
    builder.put(f"/v1/actions/{NAME}", {**document, "requiredApproval": True})
    starter, who = make_browser("starter"), person(MEMBER)
    for role, approve, may in APPROVING:
        with subtests.test(role=str(role), approve=approve), undone():
            grant(builder, approve=approve)
            body = {"entity": "own"}
            assert starter.post(f"/v1/actions/{NAME}/runs", body, **JSON).status_code == 202
            run = Run.objects.get()
            take_role(who, role)
            assert face.may_approve(who, run) is may
            run.refresh_from_db()
            assert run.status == ("IN_PROGRESS" if may else "WAITING_FOR_APPROVAL")
            assert [one["user"] for one in run.approvals] == ([EMAIL] if may else [])


def test_automations_and_drafts_are_for_admins(builder):
    builder.post("/v1/actions", automation("auto"))
    builder.post("/v1/actions", action("draft", publish=False))
    admin, member = make_browser("adam", role=ADMIN), person(MEMBER)
    for identifier in ("auto", "draft"):
        assert Api().sees(admin, identifier)
        assert not Api().sees(member, identifier)
        # people start neither, so the portal has neither
        assert not Portal().sees(admin, identifier)
        assert not Portal().sees(member, identifier)


@pytest.mark.parametrize("model", ["action", "run"])
def test_the_admin_is_for_admins(builder, model):
    builder.post(f"/v1/actions/{NAME}/runs", {"entity": "own"})
    pk = (Action if model == "action" else Run).objects.get().pk
    for role in (MEMBER, VIEWER, ADMIN):
        with undone():
            who = person(role)
            pages = (f"/admin/actions/{model}/", f"/admin/actions/{model}/{pk}/change/")
            for page in pages:
                assert (who.get(page).status_code == 200) is (role is ADMIN)


def test_what_one_may_run_is_said_in_words_that_clients_know(builder):
    builder.post("/v1/actions", action("make"))
    builder.post("/v1/actions", automation("auto"))
    owners_only = {"execute": OWNERS}
    grant(builder, **owners_only)
    builder.patch("/v1/actions/make/permissions", owners_only)  # which has nothing to own

    def permissions(who):
        return who.get("/v1/auth/permissions?action_version=v2").json()["permissions"]

    assert permissions(person(MEMBER)) == [f"execute:team_entities:actions:{NAME}"]
    assert permissions(make_api(Role.VIEWER)) == []
    assert permissions(builder) == [f"execute:actions:{NAME}", "execute:actions:make"]


def test_only_admins_are_told_why_a_policy_says_no(builder):
    grant(builder, execute={"policy": policy('"{{ .entity.identifier }}" == "secret-thing"')})
    body = {"entity": "own"}
    url = f"/v1/actions/{NAME}/runs"
    told = builder.post(url, body)
    assert (told.status_code, "secret-thing" in told.json()["message"]) == (403, True)
    hidden = person(MEMBER).post(url, body, **JSON)
    assert (hidden.status_code, "secret-thing" in hidden.json()["message"]) == (403, False)
    grant(builder, execute={"policy": policy(".entity | error")})
    assert "cannot be evaluated" in builder.post(url, body).json()["message"]
    assert not Run.objects.exists()


def test_admins_are_told_of_a_policy_that_names_nobody_by_mistake(builder):
    document = builder.get(f"/v1/actions/{NAME}").json()["action"]
    builder.put(f"/v1/actions/{NAME}", {**document, "requiredApproval": True})
    grant(builder, approve={"policy": policy(".entity.nobody.x | error")})
    run = builder.post(f"/v1/actions/{NAME}/runs", {"entity": "own"}).json()["run"]["id"]
    url = f"/v1/actions/runs/{run}/approvers"
    assert "error" in builder.get(url).json()["problem"]
    assert "problem" not in person(MEMBER).get(url).json()
    grant(builder, approve={"policy": policy("[]")})
    assert "problem" not in builder.get(url).json()


def test_inputs_are_values_for_a_policy_and_no_rules(builder):
    trigger = {
        "userInputs": {"properties": {"name": {"type": "string"}, "any": {"type": "object"}}}
    }
    builder.put(f"/v1/actions/{NAME}", day2(NAME, trigger=trigger, invocationMethod=AGENT))
    url = f"/v1/actions/{NAME}/runs"

    def answer(**inputs):
        return builder.post(url, {"entity": "own", "properties": inputs}).status_code

    grant(builder, execute={"policy": policy('"{{ .inputs.name }}" == "a"')})
    assert answer(name="a") == 202
    assert answer(name='a" or true or "') == 403
    assert answer(name='" == "a" or "a') == 403
    grant(builder, execute={"policy": policy("[.inputs.name] | .[0] == '{{ .inputs.name }}'")})
    assert answer(name="it's") == 202
    found = ".results.q.entities | length == 1"
    grant(
        builder,
        execute={"policy": policy(found, q=rule("$identifier", {"jqQuery": ".inputs.any"}))},
    )
    everything = {
        "combinator": "and",
        "rules": [{"property": "$identifier", "operator": "=", "value": "own"}],
    }
    assert answer(any=everything) == 403
    grant(builder, execute={"policy": policy(found, q=rule("$identifier", "{{ .inputs.name }}"))})
    assert [answer(name="own"), answer(name="nope")] == [202, 403]


def test_conditions_say_where_an_action_is_offered(builder, django_assert_max_num_queries):
    from actions.services.access import Access
    from catalog.models import Entity

    for identifier in ("small", "large"):
        make_entity("service", identifier, team=["core"])
    condition = {
        "type": "SEARCH",
        "combinator": "and",
    }
    for name in ("small", "large", "x"):
        rules = [{"property": "$identifier", "operator": "=", "value": name}]
        body = day2(f"on-{name}", trigger={"condition": {**condition, "rules": rules}})
        assert builder.post("/v1/actions", body).status_code == 201
    member = person(MEMBER).user
    entity = Entity.objects.select_related("blueprint").get(identifier="small")
    with django_assert_max_num_queries(3):  # the actions, the conditions, the blueprints they name
        offered = Access(member).offered_on(entity)
    assert [one.identifier for one in offered] == [NAME, "on-small"]
    assert Action.objects.count() == 4


def test_runs_of_closed_actions_are_for_those_concerned(builder):
    closed = {"allowAnyoneToViewRuns": False, "requiredApproval": True}
    builder.post("/v1/actions", action("c", trigger={"userInputs": {}}, **closed))
    theirs = builder.post("/v1/actions/c/runs", {}).json()["run"]["id"]
    member = person(MEMBER)
    own = member.post("/v1/actions/c/runs", {}, **JSON).json()["run"]["id"]
    url = f"/v1/actions/runs/{theirs}"

    def listed():
        return [one["id"] for one in member.get("/v1/actions/runs").json()["runs"]]

    assert listed() == [own]
    for answer in (
        member.get(url),
        *(
            member.get(f"{url}/{part}")
            for part in ("logs", "deliveries", "entities", "files", "files/x", "approvers")
        ),
        member.patch(url, {"status": "SUCCESS"}, **JSON),
        member.post(f"{url}/logs", {"message": "x"}, **JSON),
        member.patch(f"{url}/response", {"response": 1}, **JSON),
        member.patch(f"{url}/approval", {"status": "APPROVE"}, **JSON),
        *(member.post(f"{url}/{deed}", {}, **JSON) for deed in ("cancel", "repeat", "redeliver")),
    ):
        assert answer.status_code == 404
    assert Run.objects.get(identifier=theirs).status == "WAITING_FOR_APPROVAL"
    assert make_api(Role.VIEWER).patch(url, {"status": "SUCCESS"}).status_code == 404
    builder.patch("/v1/actions/c/permissions", {"approve": MINE})
    assert sorted(listed()) == sorted([own, theirs])
    builder.delete("/v1/actions/c")
    assert listed() == [own]
    builder.post("/v1/actions", action("open", trigger={"userInputs": {}}, invocationMethod=AGENT))
    run = builder.post("/v1/actions/open/runs", {}).json()["run"]["id"]
    viewer = make_api(Role.VIEWER)
    assert viewer.get(f"/v1/actions/runs/{run}").status_code == 200
    assert viewer.patch(f"/v1/actions/runs/{run}", {"summary": "x"}).status_code == 403
    builder.delete("/v1/actions/open")
    assert run in listed()
