import re

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory
from pytest_django import DjangoAssertNumQueries

from catalog.kernel.actors import Role
from catalog.models import TEAM, USER
from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply
from idp.portal.errors import server_error
from tests.factories import ACTOR, PASSWORD, make_blueprint, make_browser, make_entity, make_user

pytestmark = pytest.mark.django_db

PAGES = ["/", "/search", "/search/palette", "/teams", "/people", "/me", "/catalog"]


@pytest.fixture
def member(db: None) -> Client:
    return make_browser("ines")


@pytest.fixture
def organisation(db: None) -> None:
    """The team core, with Ines in it, owns one service whose relation dangles."""
    make_entity(TEAM, "core", title="Core team")
    make_entity(
        USER,
        "ines",
        title="Ines",
        properties={"email": "ines@example.com"},
        relations={"team": ["core"]},
    )
    make_blueprint(
        "service",
        title="Service",
        properties={"description": {"type": "string"}},
        relations={"needs": {"title": "Needs", "target": "service"}},
    )
    make_entity(
        "service",
        "pay",
        title="Payments",
        team=["core"],
        properties={"description": "Takes money from <customers>."},
        relations={"needs": "ledger"},
    )


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("path", PAGES)
def test_every_role_sees_the_portal_in_its_shell(path: str, role: Role, organisation: None) -> None:
    response = make_browser(role=role).get(path)
    assert response.status_code == 200
    html = response.content.decode()
    if path != "/search/palette":
        assert 'id="nav-sidebar"' in html
        assert 'href="/catalog/service"' in html
        assert ("/admin/catalog/blueprint/" in html) == (role is Role.ADMIN)
    assert "no-cache" in response["Cache-Control"]
    assert "private" in response["Cache-Control"]


@pytest.mark.parametrize("path", PAGES)
def test_nobody_comes_in_without_logging_in(path: str) -> None:
    response = Client().get(path)
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")


def test_home_shows_my_work(organisation: None, member: Client) -> None:
    html = member.get("/").content.decode()
    assert "Core team" in html
    assert 'href="/catalog/service?f=%24team%3Ahas%3Acore"' in html
    assert "service:ledger" in html  # it needs a hand
    assert "Payments" in html.partition("Changed lately among ours")[2]


def test_home_of_somebody_the_catalogue_does_not_know(organisation: None) -> None:
    html = make_browser("stranger").get("/").content.decode()
    assert "The catalogue does not know you yet" in html
    assert "stranger@example.com" in html
    make_entity(USER, "lone@example.com", title="Lone")
    assert "You are in no team yet" in make_browser("lone").get("/").content.decode()


def test_an_empty_catalogue_says_how_to_fill_it(member: Client) -> None:
    html = member.get("/").content.decode()
    assert "import_catalog path/to/repositories" in html
    assert "/v1/blueprints" in html
    assert "Ask an admin to add a kind" in html


def test_stars_stand_on_the_home_page(organisation: None, member: Client) -> None:
    member.post("/catalog/service/pay/star")
    starred = member.get("/").content.decode().partition("Starred")[2].partition("</section>")[0]
    assert "Payments" in starred
    assert (
        "Payments"
        not in make_browser()
        .get("/")
        .content.decode()
        .partition("Starred")[2]
        .partition("</section>")[0]
    )


def test_search_groups_by_kind_and_marks_what_matches(organisation: None, member: Client) -> None:
    html = member.get("/search?q=money").content.decode()
    assert 'href="/catalog/service/pay"' in html
    assert "Takes <mark>money</mark> from &lt;customers&gt;." in html
    part = member.get("/search?q=paym", headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<div id="results"')
    assert "Nothing was found for “zzz”" in member.get("/search?q=zzz").content.decode()


@pytest.mark.parametrize(
    "text", ["", "%00", "%3Cscript%3Ealert(1)%3C/script%3E", "a" * 5000, "'\"%25_"]
)
def test_search_takes_anything(text: str, organisation: None, member: Client) -> None:
    for path in ("/search", "/search/palette", "/people"):
        response = member.get(f"{path}?q={text}")
        assert response.status_code == 200
        assert "<script>alert" not in response.content.decode()


def test_the_palette_offers_pages_and_things(organisation: None, member: Client) -> None:
    html = member.get("/search/palette?q=pay").content.decode()
    assert 'role="option"' in html
    assert 'href="/catalog/service/pay"' in html
    assert "<html" not in html
    assert 'href="/teams"' in member.get("/search/palette?q=team").content.decode()
    admin = make_browser(role=Role.ADMIN)
    assert "/admin/catalog/change/" in admin.get("/search/palette?q=change").content.decode()
    assert "/admin/" not in member.get("/search/palette?q=change").content.decode()


def test_teams_are_a_tree(organisation: None, member: Client) -> None:
    make_entity(TEAM, "zeta", title="Zeta")
    make_entity(TEAM, "alpha", title="Alpha", relations={"parent": "zeta"})
    make_entity(TEAM, "beta", title="Beta", relations={"children": ["core"]})
    tree = member.get("/teams").context["tree"]
    assert [(node.entity.identifier, node.depth) for node in tree] == [
        ("beta", 0),
        ("core", 1),
        ("zeta", 0),
        ("alpha", 1),
    ]
    core = tree[1]
    assert (core.member_count, core.owned_count) == (1, 1)


def test_a_ring_of_teams_is_shown_too(member: Client) -> None:
    make_entity(TEAM, "a", relations={"parent": "b"})
    make_entity(TEAM, "b", relations={"parent": "a"})
    make_entity(TEAM, "c", relations={"parent": "a"})
    tree = member.get("/teams").context["tree"]
    assert [(node.entity.identifier, node.depth) for node in tree] == [("a", 0), ("c", 1), ("b", 0)]


def test_people_with_their_teams(organisation: None, member: Client) -> None:
    make_entity(USER, "tom", title="Tom")
    html = member.get("/people").content.decode()
    assert html.index("Ines") < html.index("Tom")
    assert "Core team" in html
    part = member.get("/people?q=tom", headers={"HX-Request": "true"}).content.decode()
    assert "Tom" in part
    assert "Ines" not in part


def test_people_are_paged(member: Client) -> None:
    apply([EntityDraft(USER, f"u{i:03d}") for i in range(60)], mode=Mode.CREATE, actor=ACTOR)
    first = member.get("/people")
    second = member.get(f"/people?after={first.context['after']}")
    assert len(first.context["people"]) == 48
    assert [one.identifier for one in second.context["people"]] == [
        f"u{i:03d}" for i in range(48, 60)
    ]
    assert second.context["after"] is None


def test_my_profile(organisation: None, member: Client) -> None:
    member.post("/catalog/service/-/views", {"name": "Mine", "query": "q=pay"})
    html = member.get("/me").content.decode()
    assert "ines@example.com" in html
    assert 'href="/catalog/_user/ines"' in html
    assert "Core team" in html
    assert "Mine" in html


@pytest.mark.parametrize(
    ("path", "count"), [("/", 18), ("/teams", 8), ("/people", 6), ("/catalog", 5)]
)
def test_query_counts_do_not_grow(
    path: str,
    count: int,
    organisation: None,
    member: Client,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(8):
        make_blueprint(f"kind{number}")
        make_entity(f"kind{number}", "x", team=["core"])
    apply(
        [EntityDraft(TEAM, f"t{i}", relations={"parent": "core"}) for i in range(20)]
        + [EntityDraft(USER, f"p{i}", relations={"team": [f"t{i}"]}) for i in range(20)]
        + [
            EntityDraft("service", f"s{i}", team=["core"], relations={"needs": f"n{i}"})
            for i in range(20)
        ],
        mode=Mode.CREATE,
        actor=ACTOR,
        missing_targets=MissingTargets.DANGLE,
    )
    member.post("/catalog/service/pay/star")
    member.get(path)
    with django_assert_num_queries(count):
        assert member.get(path).status_code == 200


# --- log-in


def test_logging_in_and_out() -> None:
    make_user("ines")
    browser = Client()
    page = browser.get("/accounts/login/").content.decode()
    assert "Username or e-mail address" in page
    assert "Sign up" not in page  # it is closed
    wrong = browser.post("/accounts/login/", {"login": "ines", "password": "wrong"})
    assert 'role="alert"' in wrong.content.decode()
    right = browser.post("/accounts/login/", {"login": "ines@example.com", "password": PASSWORD})
    assert right["Location"] == "/"
    assert browser.get("/accounts/logout/").status_code == 200
    assert browser.get("/").status_code == 200  # a GET logs nobody out
    browser.post("/accounts/logout/")
    assert browser.get("/").status_code == 302


@pytest.mark.parametrize(
    "path", ["/accounts/password/reset/", "/accounts/signup/", "/accounts/login/"]
)
def test_pages_outside_have_the_look_and_no_sidebar(path: str) -> None:
    html = Client().get(path).content.decode()
    assert 'class="ui-entrance"' in html
    assert 'id="nav-sidebar"' not in html
    assert "catalog/portal.css" in html


@pytest.mark.parametrize("path", ["/accounts/password/change/", "/accounts/2fa/"])
def test_account_pages_are_in_the_shell(path: str, member: Client) -> None:
    html = member.get(path).content.decode()
    assert 'id="nav-sidebar"' in html
    assert "ui-account" in html


# --- errors


def test_what_is_not_there_is_told_in_the_shell(organisation: None, member: Client) -> None:
    response = member.get("/nothing/here")
    assert response.status_code == 404
    assert 'id="nav-sidebar"' in response.content.decode()
    assert "There is nothing at this address." in response.content.decode()
    outside = Client().get("/nothing/here")
    assert outside.status_code == 404
    assert "/accounts/login/?next=%2Fnothing%2Fhere" in outside.content.decode()
    assert 'id="nav-sidebar"' not in outside.content.decode()


def test_the_admin_is_not_for_members(member: Client) -> None:
    response = member.get("/admin/", follow=True)
    assert response.status_code == 403
    assert "The admin is for people with the role Admin." in response.content.decode()


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ValueError("x"), 500, "Something broke here"),
        (OperationalError("x"), 503, "The database does not answer"),
    ],
)
def test_the_page_of_a_broken_server_needs_no_database(
    error: Exception,
    status: int,
    words: str,
    rf: RequestFactory,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_num_queries(0):
        try:
            raise error
        except type(error):
            response = server_error(rf.get("/"))
    assert response.status_code == status
    assert words in response.content.decode()


def test_no_page_runs_scripts_from_its_attributes(organisation: None, member: Client) -> None:
    for path in ("/", "/catalog/service", "/catalog/service/pay", "/search?q=pay", "/teams"):
        html = member.get(path).content.decode()
        main = html.partition('id="main"')[2]
        assert not re.search(r"\son[a-z]+=\"", main)
