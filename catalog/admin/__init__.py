"""The catalogue's part of the admin: edges that parse, call one service and shape the answer."""

from catalog.admin import blueprints, changes, entities, pages, relations, secrets

__all__ = ["blueprints", "changes", "entities", "pages", "relations", "secrets"]
