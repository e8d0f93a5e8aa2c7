"""The catalogue's part of the admin: edges that parse, call one service and shape the answer."""

from catalog.admin import (
    blueprints,
    changes,
    data_migrations,
    entities,
    facts,
    integrations,
    locations,
    pages,
    proxy,
    relations,
    secrets,
    sync_runs,
)

__all__ = [
    "blueprints",
    "changes",
    "data_migrations",
    "entities",
    "facts",
    "integrations",
    "locations",
    "pages",
    "proxy",
    "relations",
    "secrets",
    "sync_runs",
]
