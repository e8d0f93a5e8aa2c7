"""Sources in the admin: adding one step by step, its pages, what one can do with it."""

import re
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from catalog.ingest.integrations import create_source
from catalog.kernel.actors import Role
from catalog.models import (
    Blueprint,
    Change,
    Entity,
    InboundEvent,
    Integration,
    SyncMessage,
    SyncRun,
)
from catalog.registry import source_kinds
from catalog.services import exporters, secrets
from tests.catalog.ingest.toy import make_source, named, resource, sync
from tests.factories import ACTOR, make_blueprint, make_browser, make_entity

ADD = "/admin/catalog/integration/add/"
LIST = "/admin/catalog/integration/"
HTMX = {"HX-Request": "true"}


def url(source: Integration, page: str = "change") -> str:
    return reverse(f"admin:catalog_integration_{page}", args=[source.pk])


def text(answer) -> str:
    """What a person reads, without tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def settings_of(base_url: str, **more: str) -> dict[str, str]:
    return {
        "title": "CMDB",
        "identifier": "cmdb",
        "description": "",
        "settings-baseUrl": base_url,
        "settings-authentication": '"bearer"',
        "settings-secret": "t0p",
        **more,
    }


@pytest.fixture
def cmdb(admin_client: Client, vendor) -> Integration:
    """A source of applications, in the middle of being set up."""
    vendor.require("authorization", "Bearer t0p")
    vendor.json("/", {})
    vendor.json("/apps", [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
    admin_client.post(f"{ADD}http/", settings_of(vendor.url))
    return Integration.objects.get(identifier="cmdb")


MAPPING = """
resources:
  - kind: apps
    selector:
      query: .name != "b"
      path: /apps
    port:
      entity:
        mappings:
          identifier: .name
          blueprint: '"app"'
          properties:
            number: .id
            wrong: .name.nothing
"""


def test_kinds_are_explained_before_one_is_chosen(admin_client: Client) -> None:
    page = text(admin_client.get(ADD))
    assert "Github" in page or "GitHub" in page
    assert "it registers itself with its first call" in page
    assert admin_client.get(f"{ADD}nothing/").status_code == 404


def test_a_source_is_added_step_by_step(admin_client: Client, vendor) -> None:
    vendor.json("/", {})
    answer = admin_client.post(f"{ADD}http/", settings_of(vendor.url))
    source = Integration.objects.get(identifier="cmdb")
    assert answer["Location"] == f"{url(source, 'mapping')}?setup=1"
    assert source.is_enabled is False
    assert source.settings == {"baseUrl": vendor.url, "authentication": "bearer"}
    assert secrets.open_settings(source.sealed) == {"secret": "t0p"}

    make_blueprint("app", properties={"number": {"type": "number"}})
    answer = admin_client.post(f"{url(source, 'mapping')}?setup=1", {"mapping": MAPPING})
    assert answer["Location"] == f"{url(source, 'schedule')}?setup=1"

    answer = admin_client.post(
        f"{url(source, 'schedule')}?setup=1", {"usual": "every 1h", "_sync": "1"}
    )
    run = SyncRun.objects.get()
    assert answer["Location"] == reverse("admin:catalog_syncrun_change", args=[run.pk])
    source.refresh_from_db()
    assert (source.is_enabled, source.schedule, run.is_dry_run) == (True, "every 1h", False)
    assert run.requested_by.startswith("ada")
    assert Change.objects.filter(model="integration").count() == 3


def test_a_preview_leaves_the_source_off(admin_client: Client, cmdb: Integration) -> None:
    address = f"{url(cmdb, 'schedule')}?setup=1"
    admin_client.post(address, {"usual": "every 15m", "_preview": "1"})
    run = SyncRun.objects.get()
    cmdb.refresh_from_db()
    assert (run.is_dry_run, cmdb.is_enabled, cmdb.next_run_at) == (True, False, None)
    admin_client.post(reverse("admin:catalog_syncrun_do", args=[run.pk, "cancel"]))
    admin_client.post(reverse("admin:catalog_integration_do", args=[cmdb.pk, "start"]))
    cmdb.refresh_from_db()
    assert cmdb.is_enabled is True
    assert cmdb.next_run_at is not None
    assert SyncRun.objects.filter(is_dry_run=False, state="queued").count() == 1


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(
    admin_client: Client,
) -> None:
    Integration.objects.all().delete()
    sent = settings_of("", identifier="no good", **{"settings-headers": "{"})
    page = admin_client.post(f"{ADD}http/", sent)
    assert Integration.objects.count() == 0
    form, settings = page.context["form"], page.context["settings"]
    assert settings.errors.keys() == {"baseUrl", "headers"}
    assert "t0p" not in page.content.decode()
    # What was typed is there, the secret too, though nobody can read it.
    sent |= {"settings-baseUrl": "http://x.example", "settings-headers": "", "settings-secret": ""}
    page = admin_client.post(f"{ADD}http/", {**sent, "settings-kept": settings.kept})
    assert list(page.context["form"].errors) == ["identifier"]
    assert form.is_bound
    kept = page.context["settings"].kept
    admin_client.post(f"{ADD}http/", {**sent, "identifier": "good", "settings-kept": kept})
    made = Integration.objects.get()
    assert secrets.open_settings(made.sealed) == {"secret": "t0p"}


def test_sealed_secrets_are_only_for_who_typed_them(admin_client: Client) -> None:
    sent = settings_of("")
    kept = admin_client.post(f"{ADD}http/", sent).context["settings"].kept
    other = make_browser("eve", role=Role.ADMIN)
    sent |= {"settings-baseUrl": "http://x.example", "settings-secret": ""}
    other.post(f"{ADD}http/", {**sent, "settings-kept": kept})
    assert secrets.names_of_sealed(Integration.objects.get().sealed) == []


def test_a_connection_is_tried_and_not_stored(admin_client: Client, vendor) -> None:
    vendor.require("authorization", "Bearer t0p")
    vendor.json("/", {})
    sent = settings_of(vendor.url, _test="1")
    good = admin_client.post(f"{ADD}http/", sent, headers=HTMX)
    assert "answers (200)" in text(good)
    bad = admin_client.post(f"{ADD}http/", {**sent, "settings-secret": "no"}, headers=HTMX)
    assert "answers 401" in text(bad)
    whole = admin_client.post(f"{ADD}http/", {**sent, "settings-baseUrl": ""}, headers=HTMX)
    assert "Base address: This field is required." in text(whole)
    plain = admin_client.post(f"{ADD}http/", sent)  # without scripts: the page as it was
    assert "answers (200)" in text(plain)
    assert 'value="cmdb"' in plain.content.decode()
    assert Integration.objects.count() == 0


def test_settings_change_and_secrets_stay(admin_client: Client, cmdb: Integration) -> None:
    page = admin_client.get(url(cmdb, "settings")).content.decode()
    assert "t0p" not in page
    assert "Set; leave empty to keep it" in page
    base = cmdb.settings["baseUrl"]
    sent = {"title": "New", "description": "", "settings-baseUrl": base}
    sent["settings-authentication"] = '"none"'
    elsewhere = {**sent, "settings-baseUrl": "http://y.example"}
    answer = admin_client.post(url(cmdb, "settings"), elsewhere)
    assert list(answer.context["settings"].errors) == ["secret"]  # kept ones go nowhere else
    admin_client.post(url(cmdb, "settings"), sent)
    cmdb.refresh_from_db()
    assert (cmdb.title, cmdb.settings) == ("New", {"baseUrl": base, "authentication": "none"})
    assert secrets.open_settings(cmdb.sealed) == {"secret": "t0p"}
    admin_client.post(url(cmdb, "settings"), {**sent, "settings-clear-secret": "on"})
    cmdb.refresh_from_db()
    assert cmdb.sealed is None


def test_the_list_says_how_each_is_doing(admin_client: Client, toy, django_assert_max_num_queries):
    assert "No sources yet" in text(admin_client.get(LIST))
    make_blueprint("repo")
    for number in range(3):
        sync(make_source(f"toy-{number}", repo=named(f"a{number}")))
    admin_client.get(LIST)
    with django_assert_max_num_queries(40) as few:
        page = text(admin_client.get(LIST))
    assert page.count("Good") >= 3
    for number in range(3, 9):
        sync(make_source(f"toy-{number}", repo=named(f"a{number}")))
    with django_assert_max_num_queries(len(few)):
        admin_client.get(LIST)
    make_source("other", repo=named("x", fail_page=1, error="refused"))
    sync(Integration.objects.get(identifier="other"))
    page = text(admin_client.get(f"{LIST}?state=trouble"))
    assert "other" in page
    assert "toy-1" not in page
    assert "other" in text(admin_client.get(f"{LIST}?kind=toy"))


def test_the_page_of_a_source_asks_as_much_however_much_it_has(
    admin_client: Client,
    toy,
    django_assert_max_num_queries,
) -> None:
    make_blueprint("repo")
    source = make_source(repo=named("a"))
    sync(source)
    admin_client.get(url(source))
    with django_assert_max_num_queries(45) as few:
        assert "Good" in text(admin_client.get(url(source)))
    source.settings["kinds"]["repo"] = named(*(f"n{n}" for n in range(30)))
    source.save()
    for _ in range(3):
        sync(source)
    with django_assert_max_num_queries(len(few)):
        admin_client.get(url(source))


def test_every_page_of_a_source_opens(admin_client: Client, toy) -> None:
    make_blueprint("repo")
    source = make_source(repo=named("a", "b"))
    sync(source)
    for page in ("change", "settings", "mapping", "schedule", "runs", "log", "entities"):
        assert admin_client.get(url(source, page)).status_code == 200, page
    assert admin_client.get(url(source, "events")).status_code == 404  # a toy has none
    assert "a" in text(admin_client.get(f"{url(source, 'entities')}?kind=repo"))


def test_the_log_is_narrowed_and_shows_the_raw_object(admin_client: Client, toy) -> None:
    make_blueprint("repo", properties={"n": {"type": "number"}})
    mapping = {"resources": [resource("repo", properties={"n": ".n"})]}
    items = [{"name": "a", "n": 1}, {"name": "b", "n": "two", "token": "hush"}]
    source = make_source(mapping=mapping, repo={"items": items})
    sync(source)
    line = SyncMessage.objects.get(identifier="b")
    log = url(source, "log")
    assert "b" in text(admin_client.get(f"{log}?identifier=b&level=error"))
    assert "No line fits" in text(admin_client.get(f"{log}?identifier=a"))
    more = reverse("admin:catalog_integration_message", args=[source.pk, line.pk])
    shown = text(admin_client.get(more, headers=HTMX))
    assert '"n": "two"' in shown
    assert "hush" not in shown
    assert admin_client.get(more).status_code == 200
    assert admin_client.get(f"{log}?run=x&before=-1&identifier=%00").status_code == 200


def test_it_is_turned_off_and_on(admin_client: Client, cmdb: Integration) -> None:
    for what, is_on in (("enable", True), ("disable", False)):
        address = reverse("admin:catalog_integration_do", args=[cmdb.pk, what])
        assert admin_client.get(address).status_code == 405
        admin_client.post(address)
        cmdb.refresh_from_db()
        assert cmdb.is_enabled is is_on
    answer = admin_client.post(
        reverse("admin:catalog_integration_do", args=[cmdb.pk, "sync"]), follow=True
    )
    assert "is off" in text(answer)
    assert SyncRun.objects.count() == 0


@pytest.mark.parametrize(("choice", "left"), [("keep", 2), ("delete", 1)])
def test_a_source_goes_with_or_without_its_entities(
    admin_client: Client,
    toy,
    choice: str,
    left: int,
) -> None:
    make_blueprint("repo")
    make_entity("repo", "mine")
    source = make_source(repo=named("mine", "its"))
    sync(source)
    page = text(admin_client.get(url(source, "delete")))
    assert "answers for 2 entities" in page
    assert "Delete the 1 that it made" in page
    assert admin_client.post(url(source, "delete")).status_code == 200
    assert Integration.objects.count() == 1
    admin_client.post(url(source, "delete"), {"entities": choice})
    assert Integration.objects.count() == 0
    assert Entity.objects.count() == left


def test_an_exporter_keeps_its_settings_and_is_asked_for_a_resync(admin_client: Client) -> None:
    exporter = exporters.register(
        {"installationId": "ocean", "installationAppType": "github", "version": "1"}, actor=ACTOR
    )
    assert "configured there" in text(admin_client.get(url(exporter, "settings")))
    assert admin_client.get(url(exporter, "schedule")).status_code == 404
    admin_client.post(reverse("admin:catalog_integration_do", args=[exporter.pk, "resync"]))
    exporter.refresh_from_db()
    assert exporter.resync_requested_at is not None
    admin_client.post(url(exporter, "mapping"), {"mapping": MAPPING})
    exporter.refresh_from_db()
    assert exporter.mapping["resources"][0]["kind"] == "apps"
    bad = admin_client.post(url(exporter, "mapping"), {"mapping": "resources: 3"})
    assert bad.context["bench"].errors[0][0] == "resources"


def test_live_events_show_what_became_of_them(admin_client: Client) -> None:
    make_blueprint("build")
    source = create_source(
        identifier="ci",
        kind="webhook",
        actor=ACTOR,
        mapping={
            "mappings": [{"blueprint": "build", "entity": {"identifier": ".body.id", "title": "."}}]
        },
    )
    page = admin_client.get(url(source, "events"))
    assert f"/v1/webhooks/ingest/{source.webhook_key}" in text(page)
    event = InboundEvent.objects.create(
        integration=source, delivery="d1", body=b'{"id": 1}', state="failed", error="Gone wrong"
    )
    assert "Gone wrong" in text(admin_client.get(f"{url(source, 'events')}?state=failed"))
    one = reverse("admin:catalog_integration_event", args=[source.pk, event.pk])
    assert '{"id": 1}' in text(admin_client.get(one, headers=HTMX))
    assert admin_client.get(one).status_code == 200
    admin_client.post(f"{one}again/")
    event.refresh_from_db()
    assert event.state == "waiting"
    assert "Only an event that failed" in text(admin_client.post(f"{one}again/", follow=True))


def test_a_schedule_is_checked(admin_client: Client, cmdb: Integration) -> None:
    page = admin_client.post(url(cmdb, "schedule"), {"usual": "own", "own": "every blue moon"})
    assert list(page.context["form"].errors) == ["own"]
    admin_client.post(url(cmdb, "schedule"), {"usual": "own", "own": "0 3 * * *"})
    cmdb.refresh_from_db()
    assert cmdb.schedule == "0 3 * * *"


def test_only_admins_get_in(db: None) -> None:
    member = make_browser("mia")
    assert member.get(LIST).status_code in (302, 403)
    assert member.post(f"{ADD}http/", settings_of("http://x.example")).status_code in (302, 403)
    assert Blueprint.objects.filter(identifier="application").count() == 0
    assert Integration.objects.count() == 0


def test_every_kind_can_be_chosen_and_mapped(admin_client: Client) -> None:
    for name, kind in source_kinds.items():
        page = admin_client.get(f"{ADD}{name}/")
        assert page.status_code == 200, name
        fields = [field.name for field, _ in page.context["settings"].rows]
        assert fields == list(kind.settings_schema["properties"])
        source = Integration.objects.create(
            identifier=name,
            kind=name,
            settings=dict.fromkeys(kind.settings_schema.get("required", ()), "x"),
            mapping=kind.mapping(),
            created_at=timezone.now(),
            updated_at=timezone.now(),
        )
        for tab in ("change", "settings", "mapping", "schedule"):
            assert admin_client.get(url(source, tab)).status_code == 200, (name, tab)
        bench = admin_client.get(url(source, "mapping")).context["bench"]
        assert bench.errors == [], name
        assert bench.problem is None, name
