"""Forms of blueprints and entities, for admin and portal alike."""

from catalog.forms.blueprint import BlueprintForm
from catalog.forms.entity import EntityForm, Lock, entity_form_class

__all__ = ["BlueprintForm", "EntityForm", "Lock", "entity_form_class"]
