from __future__ import annotations

import json

import pytest
from django.urls import reverse

from catalog.ingest.locations import orphans, refresh, registering
from catalog.kernel.actors import Actor, Role
from catalog.models import Entity, LocatedEntity, Location
from catalog.services import catalog_settings
from tests.catalog.ingest.test_locations import Files, document
from tests.factories import make_browser

pytestmark = pytest.mark.django_db

ACTOR = Actor.system("test")


@pytest.fixture
def files(tmp_path, settings):
    settings.IDP_FILES = [str(tmp_path)]
    return Files(tmp_path)


def register(target):
    return registering.register("file", target, actor=ACTOR)


def text_of(answer):
    assert answer.status_code == 200, answer.content[:500]
    return " ".join(answer.content.decode().split())


def url(name, location):
    return reverse(f"catalog:{name}", args=[location.pk])


def test_the_list_tells_how_each_location_is_doing(files, django_assert_max_num_queries):
    for number in range(3):
        register(files.write(f"{number}.yaml", document(name=f"c{number}")))
    bad = document(name="bad", owner="")
    register(files.write("bad.yaml", bad))
    browser = make_browser()
    with django_assert_max_num_queries(20):
        page = text_of(browser.get("/locations"))
    assert "bad.yaml" in page
    assert "2.yaml" in page
    shown = text_of(browser.get("/locations?state=problems&q=BAD"))
    assert "2.yaml" not in shown
    assert "Has problems" in shown
    assert "No such location" in text_of(browser.get("/locations?q=nothing%00&page=9999999999"))


def test_a_location_shows_its_files_and_problems(files):
    root = files.write("all.yaml", document("Location", "more", targets=["./a.yaml", "./no.yaml"]))
    files.write("a.yaml", document(name="good"), document(name="bad", lifecycle=7))
    location = register(root)
    page = text_of(make_browser().get(url("location", location)))
    assert "spec.lifecycle must be non-empty text, not the number 7" in page
    assert "a.yaml:3" in page
    assert "./no.yaml: there is no such file" in page
    assert "good" in page
    assert "Remove it" not in page


def test_whoever_is_logged_in_may_have_it_read(files):
    location = register(files.write("a.yaml", document(name="a")))
    files.write("a.yaml", document(name="a"), document(name="b"))
    browser = make_browser(role=Role.VIEWER)
    assert "just been read" in text_of(browser.post(url("location-refresh", location), follow=True))
    Location.objects.update(refreshed_at=None)
    assert "1 new" in text_of(browser.post(url("location-refresh", location), follow=True))
    assert Entity.objects.filter(identifier="b").exists()
    assert browser.get(url("location-refresh", location)).status_code == 405


def test_a_location_is_removed_by_admins(files):
    location = register(files.write("a.yaml", document(name="a")))
    assert make_browser().post(url("location-remove", location)).status_code == 403
    assert Location.objects.exists()
    page = text_of(
        make_browser(role=Role.ADMIN).post(url("location-remove", location), follow=True)
    )
    assert "2 of its entities are deleted" in page
    assert not LocatedEntity.objects.exists()


def test_orphans_are_removed_one_by_one_or_all(files):
    catalog_settings.update(actor=ACTOR, orphan_strategy="keep")
    location = register(files.write("a.yaml", *(document(name=name) for name in "abc")))
    files.write("a.yaml", document(name="a"))
    refresh.refresh(location)
    lost = LocatedEntity.objects.filter(orphaned_at__isnull=False).order_by("pk")
    browser = make_browser(role=Role.ADMIN)
    page = text_of(browser.get(url("location", location)))
    assert "No file holds these any more" in page
    data = {"entity": lost[0].pk}
    assert (
        make_browser(role=Role.VIEWER).post(url("location-orphans", location), data).status_code
        == 403
    )
    browser.post(url("location-orphans", location), data)
    assert lost.count() == 1
    assert browser.post(url("location-orphans", location), {"entity": "x"}).status_code == 404
    assert "1 orphans are deleted" in text_of(
        browser.post(url("location-orphans", location), follow=True)
    )
    assert orphans.origins() == []


def test_owners_see_what_is_wrong_with_their_descriptors(files):
    good, bad = document(name="mine"), document(name="mine", owner="team-a", lifecycle=7)
    location = register(files.write("a.yaml", good))
    files.write("a.yaml", bad)
    refresh.refresh(location)
    browser = make_browser()
    page = text_of(browser.get(reverse("catalog:entity", args=["component", "mine"])))
    assert "Its descriptor has problems" in page
    assert "a.yaml:1" in page
    assert "No problem in the descriptors of your teams" in text_of(
        browser.get("/locations?state=own")
    )


def test_a_location_is_looked_at_before_it_is_registered(vendor):
    host = vendor.url.partition("//")[2]
    catalog_settings.update(actor=ACTOR, reading_allow=[{"host": host}])
    vendor.text("/a.yaml", json.dumps(document(name="fresh")))
    vendor.text("/bad.yaml", json.dumps(document(name="worn", owner="")))
    browser = make_browser()
    target = f"{vendor.url}/a.yaml"
    page = text_of(browser.post("/locations/-/new", {"target": target, "act": "look"}))
    assert "This is in it" in page
    assert "fresh" in page
    assert not Location.objects.exists()
    bad = browser.post("/locations/-/new", {"target": f"{vendor.url}/bad.yaml", "act": "look"})
    assert bad.status_code == 422
    assert "spec.owner must be non-empty text" in bad.content.decode()
    page = text_of(
        browser.post("/locations/-/new", {"target": target, "act": "register"}, follow=True)
    )
    assert "is read from now on" in page
    assert Location.objects.get().created_by
    assert browser.post("/locations/-/new", {"target": "x", "act": "look"}).status_code == 422


def test_who_may_register():
    viewer, member = make_browser(role=Role.VIEWER), make_browser()
    assert viewer.get("/locations/-/new").status_code == 403
    file = {"target": "/etc/passwd", "act": "register"}
    assert member.post("/locations/-/new", file).status_code == 403
    assert not Location.objects.exists()


def test_pages_of_the_admin(files):
    location = register(files.write("a.yaml", document(name="a"), document("System", "s")))
    browser = make_browser(role=Role.ADMIN)
    assert "a.yaml" in text_of(browser.get("/admin/catalog/location/"))
    settings = "/admin/catalog/catalogsettings/"
    assert "Further hosts" in text_of(browser.get(settings))
    said = {"rules": "- allow: [", "orphan_strategy": "keep", "refresh_interval_s": 60}
    said["service_locator"] = "multiTenant"
    assert browser.post(settings, said).status_code == 200
    assert catalog_settings.current().rules == []
    wrong = browser.post(settings, {**said, "rules": "- deny: [A]"})
    assert "no keys but allow" in wrong.content.decode()
    assert browser.post(settings, {**said, "rules": "- allow: [System]"}).status_code == 302
    current = catalog_settings.current()
    assert (current.orphan_strategy, current.kubernetes) == ("keep", {})
    refresh.refresh(location)
    change = f"/admin/catalog/location/{location.pk}/change/"
    assert "not allowed" in text_of(browser.get(url("location", location)))
    said = {"type": "file", "target": location.target, "rules": "- allow: [Component]"}
    refused = browser.post(change, {**said, "target": "not absolute"})
    assert "absolute" in refused.content.decode()
    location.refresh_from_db()
    assert location.rules == []  # all of it or nothing
    Location.objects.update(is_trusted=False)
    assert browser.post(change, said).status_code == 302
    location.refresh_from_db()
    assert (location.state, location.rules, location.is_trusted) == (
        *(Location.State.READY, [{"allow": ["Component"]}], False),
    )
    assert make_browser().get(settings).status_code in (302, 403)


def test_settings_close_registration_to_all_but_administrators():
    member, admin = make_browser(role=Role.MEMBER), make_browser(role=Role.ADMIN)
    assert member.get("/locations/-/new").status_code == 200
    catalog_settings.update(actor=ACTOR, is_readonly=True)
    assert member.get("/locations/-/new").status_code == 403
    assert "Register a location" not in text_of(member.get("/locations"))
    assert admin.get("/locations/-/new").status_code == 200
