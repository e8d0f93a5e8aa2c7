"""Lists in numbered pages."""

import pytest
from django.test import RequestFactory

from catalog.models import Blueprint
from catalog.portal.numbered import part_of
from tests.factories import make_blueprint

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("asked", "rows", "before", "after"),
    [
        ("?q=a b&page=1", ["a", "b"], "", "/list?q=a+b&page=2"),
        ("?page=2", ["c", "d"], "/list?page=1", "/list?page=3"),
        ("?page=3", ["e"], "/list?page=2", ""),
        ("?page=4", [], "/list?page=3", ""),
        ("?page=-1", ["a", "b"], "", "/list?page=2"),
        ("?page=²", ["a", "b"], "", "/list?page=2"),
        ("?page=" + "9" * 5000, ["a", "b"], "", "/list?page=2"),
    ],
)
def test_a_page_and_its_neighbours(asked, rows, before, after, django_assert_num_queries):
    for name in "abcde":
        make_blueprint(name)
    found = Blueprint.objects.filter(is_system=False).order_by("identifier")
    with django_assert_num_queries(1):
        part = part_of(RequestFactory().get(f"/list{asked}"), found, size=2)
    assert [one.identifier for one in part.rows] == rows
    assert (part.before, part.after) == (before, after)
