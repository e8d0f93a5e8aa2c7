import csv
import io
import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from catalog.kernel.actors import Role
from catalog.models import TEAM, USER, Blueprint
from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply
from tests.factories import ACTOR, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db

URL = "/catalog/service"


@pytest.fixture
def services(db: None) -> Blueprint:
    """Three services: gold (2 replicas), silver (10) and one without a tier."""
    make_blueprint("system")
    make_entity("system", "shop", title="Web shop")
    make_entity(TEAM, "core", title="Core team")
    blueprint = make_blueprint(
        "service",
        title="Service",
        properties={
            "tier": {"type": "string", "title": "Tier", "enum": ["gold", "silver"]},
            "replicas": {"type": "number", "title": "Replicas"},
            "monitored": {"type": "boolean", "title": "Monitored"},
            "tags": {"type": "array", "title": "Tags", "items": {"type": "string"}},
            "deployed": {"type": "string", "title": "Deployed", "format": "date-time"},
        },
        relations={"system": {"title": "System", "target": "system"}},
    )
    now = timezone.now().isoformat()
    make_entity(
        "service",
        "pay",
        title="Payments",
        team=["core"],
        properties={
            "tier": "gold",
            "replicas": 2,
            "monitored": True,
            "tags": ["go", "grpc"],
            "deployed": now,
        },
        relations={"system": "shop"},
    )
    make_entity(
        "service",
        "search",
        title="search",
        properties={"tier": "silver", "replicas": 10, "deployed": "2020-01-01T00:00:00Z"},
        relations={"system": "gone"},
    )
    make_entity("service", "mail", properties={"tags": []})
    return blueprint


def shown(response: Any) -> list[str]:
    """The identifiers of the rows, in their order."""
    assert response.status_code == 200, response.content
    body = response.content.decode().partition("<tbody")[2].partition("</tbody")[0]
    return re.findall(r'<a class="ui-strong" href="/catalog/service/([^"]+)"', body)


@pytest.mark.parametrize(
    ("_case", "query", "rows"),
    [
        ("is", "f=tier:is:gold", ["pay"]),
        ("several values are alternatives", "f=tier:is:gold&f=tier:is:silver", ["pay", "search"]),
        ("is not also finds what has none", "f=tier:not:gold", ["mail", "search"]),
        ("empty", "f=tier:empty:", ["mail"]),
        ("not empty", "f=tier:filled:", ["pay", "search"]),
        ("numbers are compared as numbers", "f=replicas:gt:9", ["search"]),
        ("at most", "f=replicas:lte:2", ["pay"]),
        ("boolean", "f=monitored:is:true", ["pay"]),
        ("in a list", "f=tags:has:grpc", ["pay"]),
        ("not in a list", "f=tags:lacks:grpc", ["mail", "search"]),
        ("an empty list is empty", "f=tags:empty:", ["mail", "search"]),
        ("in the last days", "f=deployed:within:7", ["pay"]),
        ("before a date", "f=deployed:before:2021-01-01", ["search"]),
        ("relation", "f=relations.system:has:shop", ["pay"]),
        ("relation to what is not there", "f=relations.system:has:gone", ["search"]),
        ("no relation", "f=relations.system:empty:", ["mail"]),
        ("owner", "f=$team:has:core", ["pay"]),
        ("nobody's", "f=$team:empty:", ["mail", "search"]),
        ("identifier", "f=$identifier:starts:se", ["search"]),
        ("filters on two columns both hold", "f=tier:is:gold&f=replicas:gt:9", []),
        ("words in the title", "q=paym", ["pay"]),
        ("words in any order and case", "q=MENTS%20pay", ["pay"]),
        ("sort by number", "sort=-replicas", ["search", "pay", "mail"]),
        ("what has no value is last either way", "sort=replicas", ["pay", "search", "mail"]),
        ("sort by text", "sort=tier", ["pay", "search", "mail"]),
        ("sort by relation", "sort=relations.system", ["search", "pay", "mail"]),
        ("sort by owner", "sort=-$team", ["pay", "mail", "search"]),
    ],
)
def test_the_address_says_which_rows(
    _case: str, query: str, rows: list[str], services: Blueprint, member: Client
) -> None:
    found = shown(member.get(f"{URL}?{query}"))
    assert (found if "sort=" in query else sorted(found)) == (
        rows if "sort=" in query else sorted(rows)
    )


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("f=replicas:gt:many", "needs a number"),
        ("f=deployed:after:soon", "needs a date such as 2026-03-31"),
        ("f=deployed:within:-1", "needs a number of days"),
        ("f=monitored:is:maybe", "needs true or false"),
        ("f=tier:is:", "needs a value"),
        ("f=nothing:is:x", "Unknown filter"),
        ("f=tier:resembles:x", "Unknown filter"),
        ("f=%00", "Unknown filter"),
    ],
)
def test_a_filter_that_makes_no_sense_is_shown_and_not_applied(
    query: str, words: str, services: Blueprint, member: Client
) -> None:
    response = member.get(f"{URL}?{query}")
    assert words in response.content.decode()
    assert len(shown(response)) == 3


def test_filters_are_chips_that_can_be_taken_away(services: Blueprint, member: Client) -> None:
    html = member.get(f"{URL}?f=tier:is:gold&f=$team:has:core&q=pay").content.decode()
    assert "Core team" in html  # the chip shows the title of the team
    assert 'href="?q=pay&amp;f=$team:has:core"' in html
    assert 'href="?q=pay&amp;f=tier:is:gold"' in html


def test_values_of_a_column_are_counted_under_the_other_filters(
    services: Blueprint, member: Client
) -> None:
    html = member.get(
        f"{URL}/-/values?column=tier&query=f%3Dreplicas:gt:5%26f%3Dtier:is:gold"
    ).content.decode()
    assert 'value="silver"' in html
    assert 'value="gold"' not in html


@pytest.mark.parametrize(
    ("column", "value", "label"),
    [
        ("$team", "core", "Core team"),
        ("tags", "grpc", "grpc"),
        ("relations.system", "shop", "Web shop"),
        ("replicas", "10", "10"),
    ],
)
def test_values_come_with_what_people_call_them(
    column: str, value: str, label: str, services: Blueprint, member: Client
) -> None:
    html = member.get(f"{URL}/-/values?column={column}").content.decode()
    assert f'value="{value}"' in html
    assert f">{label}</span>" in html


def test_the_filter_panel_leads_to_the_tables_own_address(
    services: Blueprint, member: Client
) -> None:
    response = member.get(
        f"{URL}/-/filter?query=q%3Dpay%26sort%3D-replicas&column=tier&operator=is"
        "&value=gold&value=&value=silver"
    )
    assert response.status_code == 302
    assert response["Location"] == (f"{URL}?q=pay&f=tier:is:gold&f=tier:is:silver&sort=-replicas")


def test_pages_go_forth_and_back_and_show_every_row_once(member: Client) -> None:
    make_blueprint("service", properties={"n": {"type": "number"}})
    drafts = [
        EntityDraft("service", f"s{i:03d}", properties={"n": i % 7} if i % 5 else {})
        for i in range(60)
    ]
    apply(drafts, mode=Mode.CREATE, actor=ACTOR)
    pages = [shown(member.get(f"{URL}?sort=-n&size=25"))]
    response = member.get(f"{URL}?sort=-n&size=25")
    while response.context["after"]:
        response = member.get(URL + response.context["after"])
        pages.append(shown(response))
    assert [len(page) for page in pages] == [25, 25, 10]
    assert len({identifier for page in pages for identifier in page}) == 60
    back = member.get(URL + response.context["before"])
    assert shown(back) == pages[1]


def test_a_cursor_of_another_list_is_a_clear_error(services: Blueprint, member: Client) -> None:
    response = member.get(f"{URL}?after=nonsense")
    assert response.status_code == 400
    assert "is not a cursor of this list" in response.content.decode()


def test_counts_stop_at_a_thousand(member: Client) -> None:
    make_blueprint("service")
    apply([EntityDraft("service", f"s{i}") for i in range(1001)], mode=Mode.CREATE, actor=ACTOR)
    assert "1,000+ in all" in member.get(URL).content.decode()


def test_htmx_gets_the_table_alone(services: Blueprint, member: Client) -> None:
    response = member.get(f"{URL}?q=pay", headers={"HX-Request": "true"})
    html = response.content.decode()
    assert html.lstrip().startswith('<div id="table-region"')
    assert "HX-Request" in response["Vary"]
    restored = member.get(URL, headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert "<!DOCTYPE html>" in restored.content.decode()


def test_owned_by_me_follows_the_persons_teams(services: Blueprint, member: Client) -> None:
    assert shown(member.get(f"{URL}?mine=1")) == []
    make_entity(
        USER, "ines", properties={"email": "ines@example.com"}, relations={"team": ["core"]}
    )
    assert shown(member.get(f"{URL}?mine=1")) == ["pay"]


def test_columns_are_chosen_in_the_address_or_remembered(
    services: Blueprint, member: Client
) -> None:
    def heads(response: Any) -> list[str]:
        return [head.column.key for head in response.context["heads"]]

    assert heads(member.get(f"{URL}?columns=tier,$title,nothing")) == ["tier", "$title"]
    response = member.post(
        f"{URL}/-/columns", {"column": ["$title", "tags", "tags"], "query": "q=pay"}
    )
    assert response["Location"] == f"{URL}?q=pay"
    assert heads(member.get(URL)) == ["$title", "tags"]
    assert heads(make_browser().get(URL)) != ["$title", "tags"]  # each person for themselves
    member.post(f"{URL}/-/columns", {"reset": "", "column": ["tier"]})
    assert "$team" in heads(member.get(URL))


def test_views_are_kept_and_shared(services: Blueprint, member: Client) -> None:
    response = member.post(
        f"{URL}/-/views", {"name": "Gold ones", "query": "f=tier:is:gold", "shared": "on"}
    )
    assert "f=tier:is:gold" in response["Location"]
    assert "columns=" in response["Location"]  # a view shows the same to everybody
    member.post(f"{URL}/-/views", {"name": "My own", "query": "q=pay"})
    other = make_browser()
    html = other.get(URL).content.decode()
    assert "Gold ones" in html
    assert "My own" not in html
    view = member.user.saved_views.get(name="Gold ones")  # type: ignore[attr-defined]
    assert other.post(f"{URL}/-/views/{view.pk}/delete").status_code == 404
    assert member.post(f"{URL}/-/views/{view.pk}/delete").status_code == 302
    assert "Gold ones" not in other.get(URL).content.decode()


def test_csv_has_every_row_and_runs_nothing(services: Blueprint, member: Client) -> None:
    make_entity("service", "evil", title="=cmd|' /C calc'!A0", properties={"tags": ["@x", "y"]})
    response = member.get(f"{URL}?format=csv&columns=$title,tags,relations.system&sort=$title")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert rows[0] == ["Identifier", "Title", "Tags", "System"]
    assert ["evil", "'=cmd|' /C calc'!A0", "'@x, y", ""] in rows
    assert ["pay", "Payments", "go, grpc", "shop"] in rows
    assert len(rows) == 5


def test_what_users_wrote_is_escaped(services: Blueprint, member: Client) -> None:
    make_entity("service", "xss", title="<script>alert(1)</script>")
    for query in ("", "?q=%3Cscript%3E", "?f=tier:is:%3Cb%3E"):
        assert "<script>alert(1)" not in member.get(f"{URL}{query}").content.decode()
    assert "<b>" not in member.get(f"{URL}?f=tier:is:%3Cb%3E").content.decode().partition("chip")[2]


@pytest.mark.parametrize("columns", ["$title,tier", "$title,$team,tier,relations.system"])
def test_query_count_does_not_grow_with_the_rows(
    columns: str, member: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_blueprint("system")
    make_blueprint(
        "service",
        properties={"tier": {"type": "string"}},
        relations={"system": {"target": "system"}},
    )
    apply(
        [
            EntityDraft("service", f"s{i}", team=[f"t{i}"], relations={"system": f"x{i}"})
            for i in range(50)
        ],
        mode=Mode.CREATE,
        actor=ACTOR,
        missing_targets=MissingTargets.DANGLE,
    )
    member.get(URL)
    # user, blueprint, kinds, views, rows, sidebar, sources; owners and relations where shown
    with django_assert_num_queries(9 + (2 if "$team" in columns else 0)):
        member.get(f"{URL}?columns={columns}")


def test_identifiers_with_slashes_have_an_address(member: Client) -> None:
    make_blueprint("team/service")
    make_entity("team/service", "group/sub/pay", title="Pay")
    html = member.get("/catalog/team~service").content.decode()
    assert 'href="/catalog/team~service/group~sub~pay"' in html
    assert member.get("/catalog/team~service/group~sub~pay").status_code == 200


@pytest.mark.parametrize("path", ["", "/-/values?column=x", "/-/filter", "/-/new", "/x", "/x/edit"])
def test_nobody_sees_anything_without_logging_in(path: str, services: Blueprint) -> None:
    response = Client().get(f"{URL}{path}")
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/?next=/catalog/service")


def test_a_script_without_a_login_is_sent_to_the_log_in_page(services: Blueprint) -> None:
    response = Client().get(URL, headers={"HX-Request": "true"})
    assert response.status_code == 401
    assert response["HX-Redirect"] == "/accounts/login/"


def test_the_index_shows_every_kind_with_its_count(services: Blueprint, member: Client) -> None:
    html = member.get("/catalog").content.decode()
    assert re.search(r"Service <span[^>]*>3</span>", html)
    assert "New kind" not in html
    assert "New kind" in make_browser(role=Role.ADMIN).get("/catalog").content.decode()


def test_an_empty_table_says_how_to_fill_it(member: Client) -> None:
    make_blueprint("service", title="Service")
    html = member.get(URL).content.decode()
    assert "No Service yet" in html
    assert "/v1/blueprints/service/entities" in html
    assert "New Service" in html
    viewer = make_browser(role=Role.VIEWER).get(URL).content.decode()
    assert "New Service" not in viewer


def test_a_facet_lists_what_the_other_filters_leave(services: Blueprint, member: Client) -> None:
    html = member.get(f"{URL}/-/facet?column=$team&query=f%3Dtier:is:gold").content.decode()
    assert 'href="?f=tier:is:gold&amp;f=$team:has:core"' in html
    assert "Core team" in html
    on = member.get(f"{URL}/-/facet?column=$team&query=f%3D$team:has:core").content.decode()
    assert 'href="?"' in on
    assert 'aria-checked="true"' in on
    assert member.get(f"{URL}/-/facet?column=nothing").status_code == 404


def test_columns_that_tell_rows_apart_are_shown_first(member: Client) -> None:
    make_blueprint("system")
    make_blueprint(
        "component",
        properties={
            "description": {"type": "string", "format": "markdown"},
            "config": {"type": "object"},
            "notes": {"type": "string"},
            "tags": {"type": "array"},
            "size": {"type": "number"},
            "lifecycle": {"type": "string"},
            "tier": {"type": "string", "enum": ["a"]},
        },
        relations={
            "part": {"title": "Part of", "target": "component"},
            "system": {"title": "System", "target": "system"},
        },
    )
    heads = member.get("/catalog/component").context["heads"]
    assert [head.column.key for head in heads] == [
        "$title",
        "$team",
        "size",
        "lifecycle",
        "tier",
        "relations.system",
        "$updatedAt",
    ]
