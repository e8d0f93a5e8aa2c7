"""Imports of ours stay inside the fixtures: this file is read before Django is set up."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django.test import Client


@pytest.fixture
def member(db: None) -> "Client":
    """A browser in which ines@example.com, a Member, is logged in."""
    from tests.factories import make_browser

    return make_browser("ines")
