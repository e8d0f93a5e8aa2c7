from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser

from catalog.selectors.find import Source, find, find_grouped
from catalog.selectors.typed import EXACT, PART, PREFIX, SIMILAR, WORDS, Piece
from idp.models import User
from tests.factories import make_blueprint, make_entity, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    service = make_blueprint("service", title="Service", icon="Cog")
    make_blueprint("hidden", includeInGlobalSearch=False)
    for identifier, title, description in (
        ("payments", "Payments", "Takes the money of our customers."),
        ("payments-ledger", "Payments Ledger", None),
        ("pay-worker", None, "Runs the jobs of payments at night."),
        ("x1", "The payments portal", None),
        ("prepayments", "Vouchers", None),
        ("kube", "Kubernetes cluster", "50% off <b>bold</b>"),
    ):
        make_entity(
            service,
            identifier,
            title=title,
            properties={"description": description} if description else {},
        )
    make_entity("hidden", "payments-secret")
    return make_user()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "payments",
            [
                ("payments", EXACT),
                ("payments-ledger", PREFIX),
                ("x1", WORDS),
                ("pay-worker", WORDS),
                ("prepayments", PART),
            ],
        ),
        ("PAYMENTS LEDGER", [("payments-ledger", EXACT)]),
        ("ledger payments", [("payments-ledger", WORDS)]),
        ("pay wor", [("pay-worker", WORDS)]),
        ("payments-led", [("payments-ledger", PREFIX)]),
        ("job", [("pay-worker", WORDS)]),  # English: jobs
        ("customer money", [("payments", WORDS)]),
        ("bernet", [("kube", PART)]),
        ("k", [("kube", PREFIX)]),
        ("kubernets", [("kube", SIMILAR)]),
        ("kuberentes", [("kube", SIMILAR)]),
        ('"payments portal"', [("x1", WORDS)]),
        ("payments -ledger -portal -night", [("payments", WORDS)]),
        ("ledger or cluster", [("payments-ledger", WORDS), ("kube", WORDS)]),
        ("nothing like this", []),
        (" -- ", []),
        ("\0", []),
        ("\ud800", []),
        ("%", []),
        ("x" * 5000, []),
    ],
)
def test_the_best_match_comes_first(user, text, expected):
    found = find(text, principal=user).hits
    assert sorted((hit.identifier, hit.match) for hit in found) == sorted(expected)
    assert [hit.match for hit in found] == sorted(hit.match for hit in found)


@pytest.mark.parametrize(
    "text", ["'", "a'b:*", "!&|()", "\\", "<->", "a & | b", ":*", "a:b:c", "😀"]
)
def test_any_text_may_be_typed(user, text):
    find(text, principal=user)


def test_what_matches_is_marked_and_the_rest_escaped(user):
    [hit] = find("kubernetes", principal=user).hits
    assert hit.title == (Piece("Kubernetes", True), Piece(" cluster"))
    assert hit.title_html == "<mark>Kubernetes</mark> cluster"
    assert hit.snippet_html == "50% off &lt;b&gt;bold&lt;/b&gt;"
    assert (hit.name, hit.icon, hit.blueprint) == ("Kubernetes cluster", "Cog", "service")


def test_a_snippet_is_cut_around_the_match(user):
    text = " ".join(["word"] * 200) + " needle " + " ".join(["word"] * 200)
    make_entity("service", "hay", properties={"description": text})
    [hit] = find("needle", principal=user).hits
    shown = "".join(piece.text for piece in hit.snippet)
    assert shown.startswith("… word")
    assert shown.endswith("word …")
    assert len(shown) < 170
    assert [piece.text for piece in hit.snippet if piece.is_match] == ["needle"]


def test_hits_in_groups(user):
    make_blueprint("api", title="API")
    make_entity("api", "payments-api")
    groups = find_grouped("payments", principal=user, per_group=2)
    assert [(g.kind.title, len(g.hits), g.has_more) for g in groups if g.kind] == [
        ("Service", 2, True),
        ("API", 1, False),
    ]
    assert find_grouped(" ", principal=user) == []


def test_only_what_one_may_see_and_where_one_looks(user):
    assert find("payments", principal=AnonymousUser()).total == 0
    assert find("", principal=AnonymousUser()).hits == ()
    page = find("payments", principal=user, limit=2, offset=2)
    assert ([hit.identifier for hit in page.hits], page.total) == (["x1", "pay-worker"], 5)
    assert find("payments", principal=user, sources=[Source.DOCS]).total == 0


def test_no_text_finds_everything_that_wants_to_be_found(user):
    found = find("", principal=user)
    assert (found.total, len(found.hits)) == (6, 6)  # "hidden" is not


def test_the_number_of_statements_is_constant(user, django_assert_num_queries):
    find("x", principal=user)
    with django_assert_num_queries(3):  # blueprints, the page, its entities
        find("payments", principal=user)
    with django_assert_num_queries(7):  # and savepoint, threshold, similar names, release
        find("kubernets", principal=user)
