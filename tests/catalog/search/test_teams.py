from __future__ import annotations

import pytest

from catalog.selectors.teams import teams_of
from catalog.services.blueprints import ensure_system_blueprints
from tests.factories import make_entity

pytestmark = pytest.mark.django_db


@pytest.fixture
def organisation(db: None) -> None:
    ensure_system_blueprints()
    for team, relations in {
        "org": {"children": ["infra"]},
        "core": {"parent": "org"},
        "infra": {},
        "night": {"parent": "infra", "members": ["bob", "ann@example.com"]},
        "loop": {"parent": "pool"},
        "pool": {"parent": "loop", "members": ["eve"]},
    }.items():
        make_entity("_team", team, relations=relations)
    make_entity("_user", "ann@example.com", title="Ann", relations={"team": ["core", "gone"]})
    make_entity("_user", "bob", properties={"email": "Bob@example.com"}, relations={"team": "core"})
    make_entity("_user", "eve", properties={"email": "eve@example.com"})


@pytest.mark.parametrize(
    ("email", "teams", "with_parents"),
    [
        ("ann@example.com", ["core", "night"], ["core", "infra", "night", "org"]),
        ("Bob@example.com", ["core", "night"], ["core", "infra", "night", "org"]),
        ("bob@EXAMPLE.com", ["core", "night"], ["core", "infra", "night", "org"]),
        ("ANN@example.com", ["core", "night"], ["core", "infra", "night", "org"]),
        ("eve@example.com", ["pool"], ["loop", "pool"]),
        ("nobody@example.com", [], []),
        ("", [], []),
        ("\0", [], []),
        ("%", [], []),
    ],
)
def test_teams_of_a_person(organisation, django_assert_max_num_queries, email, teams, with_parents):
    with django_assert_max_num_queries(2):
        assert teams_of(email) == teams
        assert teams_of(email, with_parents=True) == with_parents
