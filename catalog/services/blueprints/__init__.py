"""Blueprints: create, change, rename, delete; each change is checked against what is stored."""

from catalog.services.blueprints.documents import blueprint_document
from catalog.services.blueprints.impact import Effect, Impact
from catalog.services.blueprints.lifecycle import (
    create_blueprint,
    delete_all_entities,
    delete_blueprint,
    ensure_blueprints,
    ensure_system_blueprints,
    patch_blueprint,
    preview_change,
    replace_blueprint,
)
from catalog.services.blueprints.renaming import rename_mirror, rename_property, rename_relation
from catalog.services.blueprints.trial import Trial, Tried, try_definitions

__all__ = [
    "Effect",
    "Impact",
    "Trial",
    "Tried",
    "blueprint_document",
    "create_blueprint",
    "delete_all_entities",
    "delete_blueprint",
    "ensure_blueprints",
    "ensure_system_blueprints",
    "patch_blueprint",
    "preview_change",
    "rename_mirror",
    "rename_property",
    "rename_relation",
    "replace_blueprint",
    "try_definitions",
]
