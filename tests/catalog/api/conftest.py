"""Imports of ours stay inside the fixtures: this file is read before Django is set up."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from catalog.models import Blueprint
    from tests.factories import Caller


@pytest.fixture
def api(db: None) -> "Caller":
    """An admin's program."""
    from tests.factories import make_api

    return make_api()


@pytest.fixture
def service(db: None) -> "Blueprint":
    """Services with a language, a number of stars, a domain and what they need."""
    from tests.factories import make_blueprint

    make_blueprint("domain", properties={"budget": {"type": "number"}})
    return make_blueprint(
        "service",
        properties={
            "language": {"type": "string", "enum": ["go", "python"]},
            "stars": {"type": "number", "minimum": 0},
            "url": {"type": "string", "format": "url"},
        },
        relations={
            "domain": {"title": "Domain", "target": "domain"},
            "needs": {"title": "Needs", "target": "service", "many": True},
        },
    )
