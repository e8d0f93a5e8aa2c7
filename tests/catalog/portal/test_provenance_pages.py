import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from catalog.ingest.provenance import locks_of, origins_of
from catalog.kernel.actors import Actor, Role
from catalog.models import Entity, Integration
from catalog.services.derived import refresh_written
from catalog.services.entities import EntityDraft, Mode, apply
from catalog.services.exporters import register
from tests.catalog.ingest.toy import make_source, named, now_has, resource, sync
from tests.factories import ACTOR, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db

URL = "/catalog/repo/pay"


@pytest.fixture
def source(toy: None) -> Integration:
    make_blueprint("owner")
    make_blueprint(
        "repo",
        properties={
            "url": {"type": "string", "title": "Address", "format": "url"},
            "stars": {"type": "number", "title": "Stars"},
            "tier": {"type": "string", "title": "Tier"},
        },
        calculationProperties={
            "half": {"title": "Half", "type": "number", "calculation": ".properties.stars / 2"},
            "bad": {"title": "Bad", "type": "number", "calculation": ".identifier | tonumber"},
        },
        relations={"owner": {"title": "Owner", "target": "owner"}},
    )
    mapping = {
        "resources": [
            resource(
                "repo",
                properties={"url": ".url", "stars": ".n"},
                relations={"owner": ".owner"},
            )
        ]
    }
    items = [{"name": "pay", "url": "https://git.example/pay", "n": 4, "owner": "core"}]
    items += [{"name": f"r{n}", "n": n} for n in range(9)]
    return make_source("acme", mapping=mapping, repo={"items": items})


def text(browser: Client, url: str) -> str:
    response = browser.get(url)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def mark(html: str, title: str) -> str:
    """What the mark beside a title says."""
    return html.partition(f"Where {title} comes from")[2].partition("</dt>")[0]


def test_each_value_says_where_it_comes_from(source: Integration, member: Client) -> None:
    run = sync(source)
    apply([EntityDraft("repo", "pay", properties={"tier": "gold"})], mode=Mode.MERGE, actor=ACTOR)
    refresh_written("repo", list(Entity.objects.values_list("pk", flat=True)))
    html = text(member, URL)
    header = html.partition("ui-keeper")[2].partition("</header>")[0]
    assert '<a class="ui-link" href="/sources/acme">Toy (acme)</a>' in header
    assert 'href="https://git.example/pay"' in header
    stars = mark(html, "Stars")
    assert "Toy (acme)" in stars
    assert f'href="/sources/acme/runs/{run.pk}"' in stars
    assert "As it was made" in stars
    tier = mark(html, "Tier")
    assert "By hand" in tier
    assert "by tester@example.com" in tier
    assert "Toy" in mark(html, "Owner")
    assert "Calculated: .properties.stars / 2" in mark(html, "Half")
    assert "Could not be computed" in mark(html, "Bad")


def test_a_change_by_a_sync_names_the_run(source: Integration, member: Client) -> None:
    sync(source)
    now_has(source, repo={"items": [{"name": "pay", "n": 5}]})
    second = sync(source)
    stars = mark(text(member, URL), "Stars")
    assert "Changed" in stars
    assert stars.count(f"/sources/acme/runs/{second.pk}") == 2


def test_what_a_person_made_says_who(source: Integration, member: Client) -> None:
    make_entity("repo", "own", properties={"tier": "gold"})
    html = text(member, "/catalog/repo/own")
    assert "ui-keeper" not in html
    assert "by tester@example.com" in mark(html, "Tier")


def test_what_is_gone_from_the_source_is_marked(source: Integration, member: Client) -> None:
    sync(source)
    now_has(source, repo=named("r1", "r2"))
    held = sync(source)
    assert held.stale["state"] == "held"
    assert "Gone from the source" in text(member, URL)
    assert "The source no longer lists it" in mark(text(member, URL), "Stars")
    table = text(member, "/catalog/repo")
    assert table.count("gone from its source") == 8
    assert "It will come back" not in text(member, f"{URL}/delete")
    # nobody writes over it any more
    entity = Entity.objects.select_related("blueprint").get(identifier="pay")
    assert locks_of(entity, origins_of(entity)) == {}


def test_an_exporter_is_told_from_the_datasource(source: Integration, member: Client) -> None:
    agent = "port-ocean/github/1.2.3/gh-acme/0.30.0"
    exporter = Actor("client", "ocean-client", agent)
    register(
        {
            "installationId": "gh-acme",
            "installationAppType": "GitHub",
            "config": {"resources": [resource("repository", "repo", properties={"stars": ".n"})]},
        },
        actor=exporter,
    )
    make_entity("repo", "web", actor=exporter, properties={"stars": 3, "tier": "x"})
    html = text(member, "/catalog/repo/web")
    assert "an exporter" in html
    assert "GitHub (gh-acme)" in mark(html, "Stars")
    entity = Entity.objects.select_related("blueprint").get(identifier="web")
    assert set(locks_of(entity, origins_of(entity))) == {"title", "properties.stars"}


def test_values_of_a_source_are_not_edited_by_hand(source: Integration, member: Client) -> None:
    sync(source)
    form = member.get(f"{URL}/edit").context["form"]
    assert set(form.locks) == {"title", "p-url", "p-stars", "r-owner"}
    html = text(member, f"{URL}/edit")
    assert 'name="p-stars"' not in html
    assert "acme</a> writes this: its next sync would undo a change made here." in html
    sent = {"p-tier": "gold", "if_hash": form["if_hash"].value()}
    assert member.post(f"{URL}/edit", sent).status_code == 302
    stored = Entity.objects.get(identifier="pay")
    assert stored.properties == {"url": "https://git.example/pay", "stars": 4, "tier": "gold"}
    assert stored.relations == {"owner": "core"}


def test_who_sends_a_change_all_the_same_is_refused(source: Integration, member: Client) -> None:
    sync(source)
    form = member.get(f"{URL}/edit").context["form"]
    sent = {"p-stars": "9", "p-tier": "gold", "if_hash": form["if_hash"].value()}
    response = member.post(f"{URL}/edit", sent)
    assert response.status_code == 422
    assert response.context["form"].errors["p-stars"][0].startswith("Not changed. acme writes this")
    assert "tier" not in Entity.objects.get(identifier="pay").properties


def test_a_source_that_is_off_locks_nothing(source: Integration, member: Client) -> None:
    sync(source)
    Integration.objects.update(is_enabled=False)
    assert member.get(f"{URL}/edit").context["form"].locks == {}
    assert "That source is off" in text(member, f"{URL}/delete")


def test_the_admin_form_is_locked_too(source: Integration) -> None:
    sync(source)
    entity = Entity.objects.get(identifier="pay")
    admin = make_browser(role=Role.ADMIN)
    html = text(admin, f"/admin/catalog/entity/{entity.pk}/change/")
    assert "acme</a> writes this" in html
    assert "It will come back with the next sync" in text(
        admin, f"/admin/catalog/entity/{entity.pk}/delete/"
    )


def test_deleting_what_a_source_keeps_is_warned_about(source: Integration, member: Client) -> None:
    sync(source)
    assert "It will come back with the next sync" in text(member, f"{URL}/delete")


def test_a_mapping_that_replaces_answers_for_everything(toy: None, member: Client) -> None:
    make_blueprint("repo", properties={"tier": {"type": "string", "title": "Tier"}})
    mapping = {"enableMergeEntity": False, "resources": [resource("repo")]}
    sync(make_source(mapping=mapping, repo=named("pay")))
    assert set(member.get(f"{URL}/edit").context["form"].locks) == {
        "title",
        "icon",
        "team",
        "p-tier",
    }


def test_the_ingestion_tab_tells_what_happened(source: Integration, member: Client) -> None:
    run = sync(source)
    now_has(source, repo={"items": [{"name": "pay", "n": "many"}]})
    sync(source)
    html = text(member, f"{URL}?tab=ingestion")
    assert "What the sources said" in html
    assert "stars" in html
    assert "many" in html
    assert "Toy" in html
    assert "Answers for" in html
    assert f"/sources/acme/runs/{run.pk}" in html
    viewer = make_browser(role=Role.VIEWER)
    assert "The object as the source gave it" not in text(viewer, f"{URL}?tab=ingestion")


@pytest.mark.parametrize(("tab", "count"), [("overview", 32), ("ingestion", 20)])
def test_query_counts_do_not_grow_with_the_sources(
    tab: str,
    count: int,
    source: Integration,
    member: Client,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for name in ("one", "two", "three"):
        sync(make_source(name, mapping=source.mapping, **source.settings["kinds"]))
    member.get(URL)
    with django_assert_num_queries(count):
        assert member.get(f"{URL}?tab={tab}").status_code == 200
