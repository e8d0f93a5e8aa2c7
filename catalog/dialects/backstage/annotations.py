"""Annotations that the catalogue itself gives to entities: where they come from, where to see
and edit that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LOCATION: Final = "backstage.io/managed-by-location"  # the place of its file
ORIGIN: Final = "backstage.io/managed-by-origin-location"  # of the location that led there
SOURCE: Final = "backstage.io/source-location"
VIEW_URL: Final = "backstage.io/view-url"
EDIT_URL: Final = "backstage.io/edit-url"
ORPHAN: Final = "backstage.io/orphan"


def with_added(own: Mapping[str, str] | None, added: Mapping[str, str]) -> dict[str, str]:
    """An author's annotations with those that the catalogue adds. The author's own win, but for
    where the entity comes from."""
    fixed = {key: added[key] for key in (LOCATION, ORIGIN) if key in added}
    return {**added, **(own or {}), **fixed}
