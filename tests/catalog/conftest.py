"""Fixtures for all that needs a source."""

import pytest


@pytest.fixture
def toy(monkeypatch):
    """The toy source kinds are installed, and nobody hooks into their pages."""
    # A conftest is read before Django is set up.
    from catalog.registry import source_kinds
    from tests.catalog.ingest import toy as toys

    for kind in (toys.Toy(), toys.Importer()):
        monkeypatch.setitem(source_kinds, kind.name, kind)
    monkeypatch.setattr(toys, "on_page", [])
