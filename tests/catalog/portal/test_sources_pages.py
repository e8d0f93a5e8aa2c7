import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from catalog.ingest.runs import request_sync
from catalog.kernel.actors import Role
from catalog.models import InboundEvent, Integration, SyncMessage, SyncRun
from catalog.services import entities
from catalog.services.integrations import set_enabled
from tests.catalog.ingest.toy import make_source, named, now_has, resource, sync
from tests.factories import ACTOR, make_blueprint, make_browser

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toy")]


@pytest.fixture
def source(db: None) -> Integration:
    make_blueprint("repo", properties={"n": {"type": "number"}})
    mapping = {"resources": [resource("repo", query=".keep != false", properties={"n": ".n"})]}
    items = [{"name": f"r{n}", "n": n} for n in range(10)]
    items += [{"name": "odd", "n": "x"}, {"name": "left-out", "keep": False}]
    return make_source("acme", mapping=mapping, repo={"items": items})


def text(browser: Client, url: str, status: int = 200) -> str:
    response = browser.get(url)
    assert response.status_code == status
    return " ".join(response.content.decode().split())


def fail(source: Integration) -> SyncRun:
    now_has(source, repo={**named("r1"), "fail_page": 1, "error": "refused"})
    return sync(source)


def test_the_list_says_how_each_source_is(source: Integration, member: Client) -> None:
    make_source("new", repo=named("a"))
    set_enabled(make_source("off", repo=named("a")), False, actor=ACTOR)
    fail(source)
    html = text(member, "/sources")
    assert "1 of 3 needs a look" in html
    assert html.index("/sources/acme") < html.index("/sources/new")  # trouble first
    for words in ("Failed", "Never ran", "Off", "401 from toy.example: bad token", "by hand"):
        assert words in html
    assert "Manage sources" not in html
    assert "s3cret-token" not in html


def test_admins_are_led_to_the_admin(source: Integration) -> None:
    admin = make_browser(role=Role.ADMIN)
    assert f"/admin/catalog/integration/{source.pk}/change/" in text(admin, "/sources/acme")
    fail(source)
    assert "Sources that need a hand" in text(admin, "/")
    assert "with problems" in text(admin, "/admin/")


def test_without_sources_it_says_what_they_are(member: Client) -> None:
    assert "No sources yet" in text(member, "/sources")


def test_a_source_shows_runs_kinds_and_what_is_gone(source: Integration, member: Client) -> None:
    first = sync(source)
    now_has(source, repo=named("r1"))
    held = sync(source)
    html = text(member, "/sources/acme")
    assert f"/sources/acme/runs/{first.pk}" in html
    assert f"/sources/acme/runs/{held.pk}" in html
    assert "Has problems" in html
    assert "more than the 50% that are deleted without asking" in html
    assert html.count("/catalog/repo/") == 9


def test_a_run_tells_counts_and_its_log(source: Integration, member: Client) -> None:
    run = sync(source)
    html = text(member, f"/sources/acme/runs/{run.pk}")
    assert "Completed with errors" in html
    assert "hx-trigger" not in html
    assert "odd" in html
    assert "properties.n" in html
    assert "s3cret-token" not in html
    assert "No line fits" in text(member, f"/sources/acme/runs/{run.pk}?q=nothing-like-it")
    assert "odd" in text(member, f"/sources/acme/runs/{run.pk}?q=odd&level=warning")


def test_progress_is_asked_for_until_the_end(source: Integration, member: Client) -> None:
    run = request_sync(source)
    url = f"/sources/acme/runs/{run.pk}"
    assert 'hx-trigger="every 2s"' in text(member, url)
    SyncRun.objects.update(
        state="running", started_at=timezone.now(), kinds=[{"kind": "repo", "fetched": 1200}]
    )
    part = text(member, f"{url}?part=progress")
    assert "<html" not in part
    assert "1,200" in part
    SyncRun.objects.update(state="cancelled", ended_at=timezone.now())
    assert "It is over" in text(member, f"{url}?part=progress")
    assert "hx-trigger" not in text(member, f"{url}?part=progress")


def test_long_logs_come_in_pages(source: Integration, member: Client) -> None:
    run = request_sync(source)
    SyncMessage.objects.bulk_create(
        SyncMessage(integration=source, run=run, message=f"line {n}.") for n in range(150)
    )
    url = f"/sources/acme/runs/{run.pk}"
    first = text(member, url)
    assert "line 149." in first
    assert "line 49." not in first
    older = first.partition('href="?before=')[2].partition("#")[0]
    second = text(member, f"{url}?before={older}")
    assert "line 49." in second
    assert "Older lines" not in second


def test_viewers_read_no_logs(source: Integration) -> None:
    run = sync(source)
    html = text(make_browser(role=Role.VIEWER), f"/sources/acme/runs/{run.pk}")
    assert "Logs are for members and admins" in html
    assert "properties.n" not in html


@pytest.mark.parametrize(
    "url",
    ["/sources/none", "/sources/acme/runs/1", "/sources/-/webhooks/acme", "/sources/a%00b"],
)
def test_what_is_not_there(url: str, source: Integration, member: Client) -> None:
    text(member, url, 404)


@pytest.mark.parametrize("url", ["/sources", "/sources/acme", "/sources/-/missing?q=r1"])
def test_nobody_reads_without_logging_in(url: str, source: Integration) -> None:
    assert Client().get(url).status_code == 302


def test_why_it_is_missing(source: Integration, member: Client) -> None:
    run = sync(source)
    assert "It is in the catalogue" in text(member, "/sources/-/missing?q=r9")
    now_has(source, repo={"items": [{"name": f"r{n}", "n": n} for n in range(9)]})
    second = sync(source)
    html = text(member, "/sources/-/missing?q=r9&kind=repo")
    assert "It is not in the catalogue" in html
    assert f'<a class="ui-link" href="/sources/acme/runs/{second.pk}">' in html
    assert f'<a class="ui-link" href="/sources/acme/runs/{run.pk}">' in html
    assert html.index("Deleted") < html.index("Created")
    assert "Bring it back" in html


def test_what_was_refused_or_never_seen(source: Integration, member: Client) -> None:
    sync(source)
    unknown = text(member, "/sources/-/missing?q=left-out")
    assert "Never seen" in unknown
    assert "Left out by selectors" in unknown  # counted, not named
    refused = text(member, "/sources/-/missing?q=odd")
    assert "It is not in the catalogue" in refused
    assert "properties.n" in refused
    assert "Never seen" not in refused
    assert "Perhaps you mean" in text(member, "/sources/-/missing?q=R")
    text(member, "/sources/-/missing?q=%00&kind=%00")


def test_old_names_and_live_events_are_found(source: Integration, member: Client) -> None:
    sync(source)
    entities.rename("repo", "r1", "first", actor=ACTOR)
    assert "Renamed to first" in text(member, "/sources/-/missing?q=r1")
    InboundEvent.objects.create(
        integration=source,
        delivery="d-1",
        body=b"{}",
        state="failed",
        results=[{"blueprint": "repo", "identifier": "z", "status": "rejected", "message": "No z"}],
    )
    html = text(member, "/sources/-/missing?q=z")
    assert "No z" in html
    assert "d-1" in text(member, "/sources/acme")


def test_what_sources_say_is_escaped(source: Integration, member: Client) -> None:
    run = request_sync(source)
    evil = "<script>alert(1)</script>"
    SyncRun.objects.update(error=evil, stale={"state": "held", "reason": evil})
    SyncMessage.objects.create(
        integration=source, run=run, message=evil, item={"a": evil}, details={"value": evil}
    )
    for url in ("/sources/acme", f"/sources/acme/runs/{run.pk}", f"/sources/-/missing?q={evil}"):
        assert "<script>alert" not in text(member, url)


def test_query_counts_do_not_grow(
    source: Integration, member: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    run = sync(source)
    for name in ("one", "two", "three"):
        sync(make_source(name, repo=named("a", "b")))
    for url, count in (
        ("/sources", 9),
        ("/sources/acme", 14),
        (f"/sources/acme/runs/{run.pk}", 7),
        ("/sources/-/missing?q=a", 14),
    ):
        member.get(url)
        with django_assert_num_queries(count):
            member.get(url)
