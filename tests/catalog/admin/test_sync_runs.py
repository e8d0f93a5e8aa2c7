"""Sync runs in the admin: progress, what is held, the way back."""

import pytest
from django.test import Client
from django.urls import reverse

from catalog.models import Entity, SyncRun
from tests.catalog.ingest.toy import make_source, named, now_has, resource, sync
from tests.factories import make_blueprint, make_browser

pytestmark = pytest.mark.usefixtures("toy")


def url(run: SyncRun, page: str = "change", *more: str) -> str:
    return reverse(f"admin:catalog_syncrun_{page}", args=[run.pk, *more])


def names() -> list[str]:
    return sorted(Entity.objects.values_list("identifier", flat=True))


@pytest.fixture
def held(admin_client: Client) -> SyncRun:
    """A run that found most entities gone."""
    make_blueprint("repo")
    source = make_source(repo=named("a", "b", "c", "d"))
    sync(source)
    now_has(source, repo=named("a"))
    return sync(source)


def test_a_run_asks_for_its_progress_until_it_is_over(admin_client: Client) -> None:
    make_blueprint("repo")
    source = make_source(repo=named("a"))
    run = SyncRun.objects.create(integration=source, state="running")
    page = admin_client.get(url(run)).content.decode()
    assert f'hx-get="{url(run, "progress")}" hx-trigger="every 2s ' in page
    admin_client.post(url(run, "do", "cancel"))
    run.refresh_from_db()
    assert run.state == "cancelled"
    part = admin_client.get(url(run, "progress")).content.decode()
    assert "every 2s" not in part
    assert "The run was cancelled." in part


def test_held_deletions_are_decided_on_and_undone(admin_client: Client, held: SyncRun) -> None:
    page = admin_client.get(url(held))
    assert page.context["is_held"]
    assert [one.identifier for one in page.context["listed"]] == ["b", "c", "d"]
    assert names() == ["a", "b", "c", "d"]
    assert admin_client.get(url(held, "do", "delete-held")).status_code == 405
    admin_client.post(url(held, "do", "delete-held"))
    assert names() == ["a"]
    assert admin_client.get(url(held)).context["can_undo"]
    admin_client.post(url(held, "do", "undo"))
    assert names() == ["a", "b", "c", "d"]
    assert not admin_client.get(url(held)).context["can_undo"]
    again = admin_client.post(url(held, "do", "delete-held"), follow=True)
    assert "holds nothing back" in again.content.decode()


def test_held_deletions_can_be_left(admin_client: Client, held: SyncRun) -> None:
    admin_client.post(url(held, "do", "keep-held"))
    held.refresh_from_db()
    assert held.stale["state"] == "ignored"
    assert names() == ["a", "b", "c", "d"]


def test_a_preview_names_what_it_would_write_and_delete(admin_client: Client) -> None:
    make_blueprint("repo")
    source = make_source(repo=named("a", "b"))
    sync(source)
    now_has(source, repo={"items": [{"name": "a", "title": "New"}, {"name": "c"}]})
    run = sync(source, is_dry_run=True)
    context = admin_client.get(url(run)).context
    foretold = {one.identifier: one.message for one in context["foretold"]}
    assert foretold == {"a": "It would be updated", "c": "It would be created"}
    assert [one["identifier"] for one in context["listed"]] == ["b"]
    assert names() == ["a", "b"]


def test_what_went_wrong_most_comes_first(admin_client: Client) -> None:
    make_blueprint("repo", properties={"n": {"type": "number"}})
    items = [{"name": f"r{n}", "n": "x"} for n in range(3)] + [{"n": 1}]
    mapping = {"resources": [resource("repo", properties={"n": ".n"})]}
    run = sync(make_source(mapping=mapping, repo={"items": items}))
    troubles = admin_client.get(url(run)).context["troubles"]
    assert [one["count"] for one in troubles] == [3, 1]
    assert troubles[0]["field"] == "properties.n"


def test_the_error_of_a_vendor_is_on_the_page(admin_client: Client) -> None:
    make_blueprint("repo")
    run = sync(make_source(repo=named("a", fail_page=1, error="refused")))
    assert "401 from toy.example: bad token" in admin_client.get(url(run)).content.decode()


def test_runs_are_listed_and_narrowed(admin_client: Client, held: SyncRun) -> None:
    other = make_source("other", repo=named("z"))
    sync(other)
    address = reverse("admin:catalog_syncrun_changelist")
    assert admin_client.get(address).content.decode().count("/change/") >= 3
    page = admin_client.get(f"{address}?source={other.pk}&state=succeeded")
    assert len(page.context["cl"].result_list) == 1


def test_only_admins_decide(held: SyncRun) -> None:
    member = make_browser("mia")
    assert member.post(url(held, "do", "delete-held")).status_code in (302, 403)
    assert names() == ["a", "b", "c", "d"]
