"""Software templates of the catalogue: their actions, and runs of these from start to end."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import DatabaseError
from django.utils import timezone

from actions import dispatching
from actions.backends.template import _Reporter
from actions.models import Action, Run
from actions.scaffolder import registry, template_actions
from actions.scaffolder.registry import TemplateAction
from actions.services import reporting, starting
from catalog.ingest.locations import refresh, registering
from catalog.kernel.actors import Actor, Role
from catalog.kernel.errors import InvalidInput, NotFound, UpstreamUnavailable
from catalog.models import Change, Entity, Location
from catalog.services import catalog_settings
from catalog.services.entities import delete
from catalog.services.permissions import actor_of
from tests.actions.scaffolding import step, template
from tests.catalog.following import as_row
from tests.factories import make_user

pytestmark = pytest.mark.django_db

ADMIN = Actor.system("test")
PARAMETERS = [
    {"title": "Basics", "required": ["name"], "properties": {"name": {"type": "string"}}},
    {"title": "Access", "properties": {"token": {"type": "string", "ui:field": "Secret"}}},
]


@pytest.fixture
def folder(tmp_path, settings):
    settings.IDP_FILES = [str(tmp_path)]
    (tmp_path / "skeleton").mkdir()
    (tmp_path / "skeleton/README.md").write_text("# ${{ values.name }}\n")
    return tmp_path


def register(folder, document, actor=ADMIN):
    """Let the catalogue read a template, and its actions follow."""
    (folder / "template.yaml").write_text(json.dumps(document))
    last = Change.objects.order_by("-id").values_list("id", flat=True).first() or 0
    location = registering.register(
        "file", f"{folder}/template.yaml", actor=actor, on_conflict="refresh"
    )
    refresh.refresh(location)
    rows = [as_row(one) for one in Change.objects.filter(id__gt=last).order_by("id")]
    template_actions.follow(rows)
    return Entity.objects.get(blueprint__identifier="template")


def start(user, identifier="template:new-service", **values):
    body = {"properties": {"name": "pay", **values}}
    return starting.start_run(identifier, body, principal=user, actor=actor_of(user))


def work(run):
    Run.objects.filter(pk=run.pk, due_at__isnull=False).update(due_at=timezone.now())
    dispatching.dispatch(run.pk)
    run.refresh_from_db()
    return run


def lines(run):
    return list(run.logs.values_list("message", flat=True))


FETCH = step("fetch:template", "fetch", name="Skeleton", url="./skeleton",
             values={"name": "${{ parameters.name }}"})  # fmt: skip


def test_a_template_becomes_an_action_and_its_run_a_download(folder, settings):
    register(
        folder,
        template(
            FETCH,
            step("catalog:fetch", "me", entityRef="${{ user.ref }}", optional=True),
            step("debug:log", message="token ${{ secrets.token }}"),
            step("debug:log", message="${{ parameters | dump }}"),
            step("roadiehq:utils:fs:write", path="secret.env", content="T=${{ secrets.token }}"),
            parameters=PARAMETERS,
            output={
                "links": [
                    {"title": "Site", "url": "https://site.example/${{ parameters.name }}"},
                    {"title": "Entity", "entityRef": "component:default/${{ parameters.name }}"},
                ]
            },
        ),
    )
    action = Action.objects.get()
    assert action.identifier == "template:new-service"
    assert action.document["title"] == "New service"
    assert action.document["category"] == "service"
    run = work(start(make_user(), token="tok-123456"))
    assert (run.status, run.summary) == ("SUCCESS", None), lines(run)
    assert run.link == [
        "https://site.example/pay",
        f"{settings.IDP_URL}/catalog/component/pay",
    ]
    assert [one["status"] for one in run.steps] == ["completed"] * 5
    assert '{"name":"pay","token":"••••••"}' in lines(run)
    assert run.logs.filter(step="fetch", step_status="completed").count() == 1
    assert "***" in lines(run)
    assert "secret.env is not in new-service.zip: a secret stands in it" in lines(run)
    kept = run.artifacts.get()
    with zipfile.ZipFile(io.BytesIO(kept.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "README.md": b"# pay\n"
        }
    everything = json.dumps([run.output, run.steps, run.properties, run.payload, lines(run)])
    assert "tok-123456" not in everything
    assert run.deliveries.get().url == "template:default/new-service"


def test_the_action_follows_its_template_and_keeps_what_admins_set(folder):
    register(folder, template(FETCH))
    template_actions.change_settings(
        "template:new-service", {"requiredApproval": {"type": "ALL"}, "publish": False}, actor=ADMIN
    )
    Action.objects.update(permissions={"execute": {"roles": ["Viewer"]}})
    document = template(FETCH)
    document["metadata"]["title"] = "Another title"
    entity = register(folder, document)
    action = Action.objects.get()
    assert (action.title, action.version) == ("Another title", 3)
    assert action.document["requiredApproval"] == {"type": "ALL"}
    assert action.document["publish"] is False
    assert action.permissions == {"execute": {"roles": ["Viewer"]}}
    assert [one.number for one in action.versions.all()] == [3, 2, 1]
    assert template_actions.ensure_action(entity).version == 3
    for changes in ({"title": "x"}, {"requiredApproval": 3}, {"timeoutMinutes": 0}):
        with pytest.raises(InvalidInput):
            template_actions.change_settings("template:new-service", changes, actor=ADMIN)
    # it goes with its template, and comes back with what was set when that was but a moment away
    last = Change.objects.order_by("-id").values_list("id", flat=True).first()
    delete([("template", entity.identifier)], actor=ADMIN)
    gone = [as_row(one) for one in Change.objects.filter(id__gt=last)]
    Location.objects.all().delete()
    register(folder, document)
    template_actions.follow(gone)
    assert Action.objects.get().document["publish"] is False
    Entity.objects.filter(blueprint__identifier="template").delete()
    template_actions.follow(gone)
    assert not Action.objects.exists()


def test_what_no_admin_vouches_for_is_not_published(folder, settings):
    member = make_user()
    untrusted = actor_of(member)
    register(folder, template(FETCH), actor=untrusted)
    assert Action.objects.get().document["publish"] is False
    Action.objects.all().delete()
    catalog_settings.update(actor=ADMIN, rules=[{"allow": ["Component", "Template", "Location"]}])
    template_actions.ensure_action(Entity.objects.get(blueprint__identifier="template"))
    assert "publish" not in Action.objects.get().document


def test_a_broken_template_fails_in_words(folder):
    register(folder, template(FETCH))
    (folder / "skeleton/README.md").write_text("${{ values.name | nosuch }}")
    run = work(start(make_user()))
    assert run.status == "FAILURE"
    assert run.summary.startswith('Step "Skeleton": README.md: Template error at line 1')
    assert [one["status"] for one in run.steps] == ["failed"]
    Entity.objects.filter(blueprint__identifier="template").update(descriptor=None)
    run = start(make_user())
    assert "no steps" in work(run).summary


@pytest.fixture
def publishing(monkeypatch):
    """An action that changes something elsewhere; gives the list of its calls."""
    calls = []

    def publish(context):
        calls.append(context.run)
        if context.input.get("breaks"):
            raise KeyboardInterrupt  # as if the worker were gone

    made = TemplateAction(id="test:publish", description="", input={"type": "object"}, run=publish)
    monkeypatch.setitem(registry.template_actions, "test:publish", made)
    return calls


def lose(run):
    """Its worker is gone, and its lease has run out."""
    with pytest.raises(KeyboardInterrupt):
        work(run)
    Run.objects.filter(pk=run.pk).update(leased_until=timezone.now() - timedelta(minutes=1))


def test_a_lost_worker_repeats_nothing_lasting(folder, publishing):
    register(folder, template(FETCH, step("test:publish", name="Publish", breaks=True)))
    run = start(make_user())
    lose(run)
    work(run)
    assert (run.status, publishing) == ("FAILURE", [run.identifier])
    assert 'after the step "Publish" had begun to change things elsewhere' in run.summary
    assert not list(folder.glob("scaffolder-*"))


def test_a_lost_worker_begins_anew_where_nothing_lasting_had_begun(folder, publishing, monkeypatch):
    register(folder, template(FETCH, step("test:publish", name="Publish")))
    run = start(make_user())
    with monkeypatch.context() as patched:
        patched.setattr(
            "actions.scaffolder.builtin.fetching.render_skeleton",
            lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt),
        )
        lose(run)
    work(run)
    assert (run.status, publishing) == ("SUCCESS", [run.identifier])


def test_what_is_away_is_tried_again_later(folder, publishing, monkeypatch):
    register(folder, template(step("test:read"), step("test:publish")))
    answers = [UpstreamUnavailable("It is away."), None]

    def read(context):
        if answer := answers.pop(0):
            raise answer

    made = TemplateAction(
        id="test:read", description="", input={"type": "object"}, run=read, supports_dry_run=True
    )
    monkeypatch.setitem(registry.template_actions, "test:read", made)
    run = work(start(make_user()))
    assert (run.status, publishing) == ("IN_PROGRESS", [])
    assert (work(run).status, publishing) == ("SUCCESS", [run.identifier])


def test_cancelling_a_run_stops_it(folder, publishing, monkeypatch):
    monkeypatch.setattr("actions.backends.template._LOOK_EVERY_S", 0.0)
    register(folder, template(step("test:cancel"), step("test:publish")))
    user = make_user()

    def cancel(context):
        reporting.cancel_run(context.run, "enough", principal=user, actor=actor_of(user))

    made = TemplateAction(id="test:cancel", description="", input={"type": "object"}, run=cancel)
    monkeypatch.setitem(registry.template_actions, "test:cancel", made)
    run = work(start(user))
    assert (run.status, publishing) == ("CANCELLED", [])


def test_who_may_run_a_template(folder):
    register(folder, template(FETCH))
    with pytest.raises(NotFound):
        start(make_user(role=Role.VIEWER))
    assert start(make_user(role=Role.MEMBER)).status == "IN_PROGRESS"


def test_a_descriptor_is_registered_at_once(folder, settings, vendor):
    host = vendor.url.removeprefix("http://")
    catalog_settings.update(actor=ADMIN, reading_allow=[{"host": host}])
    vendor.text(
        "/files/catalog-info.yaml",
        "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: pay}\n"
        "spec: {type: service, lifecycle: production, owner: team-a}\n",
    )
    given = {"repoContentsUrl": f"{vendor.url}/files"}
    register(
        folder,
        template(
            step("catalog:register", "a", **given),
            step("catalog:register", "b", **given, catalogInfoPath="/no.yaml", optional=True),
            step("catalog:fetch", "c", entityRef="component:pay"),
            step("catalog:register", "d", **given, catalogInfoPath="/none.yaml"),
            output={"links": [{"entityRef": "${{ steps.a.output.entityRef }}"}]},
        ),
    )
    run = work(start(make_user()))
    assert [one["status"] for one in run.steps] == ["completed"] * 3 + ["failed"], lines(run)
    assert "none.yaml was registered, but brought nothing" in run.summary
    assert Entity.objects.filter(blueprint__identifier="component", identifier="pay").exists()


def test_a_long_step_keeps_its_run_leased(monkeypatch):
    monkeypatch.setattr("actions.backends.template._EXTEND_EVERY_S", 0.001)
    told = threading.Event()
    calls = []

    def extend():
        calls.append(1)
        if len(calls) == 1:
            raise DatabaseError("gone for a moment")
        told.set()

    with _Reporter(SimpleNamespace(extend=extend)):
        assert told.wait(5)
