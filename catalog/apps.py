from typing import Any

from django.apps import AppConfig
from django.db import connection
from django.db.models.signals import post_migrate


def create_system_blueprints(**_: Any) -> None:
    """After a migration that leaves their tables there: not one backwards, or of another app."""
    if "catalog_change" not in connection.introspection.table_names():
        return
    from catalog.services.blueprints import ensure_system_blueprints

    ensure_system_blueprints()


class CatalogConfig(AppConfig):
    """Blueprints, entities, relations and their history."""

    name = "catalog"
    verbose_name = "Catalogue"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from catalog import receivers, tasks  # noqa: F401 - connects them
        from catalog.ingest.locations import due as locations
        from catalog.ingest.sources import register_all
        from catalog.ingest.techdocs import refresh as techdocs
        from catalog.portal import annotation_cards, api_definitions, facts, kubernetes
        from catalog.portal.entity_tabs import register_card, register_tab
        from catalog.portal.views import docs
        from catalog.portal.views import locations as portal_locations
        from catalog.registry import register_feed_consumer
        from catalog.services import api_index, derived

        register_all()
        register_feed_consumer(derived.CONSUMER, tasks.follow_changes)
        register_feed_consumer(api_index.CONSUMER, api_index.follow)
        register_feed_consumer(locations.CONSUMER, locations.follow)
        register_feed_consumer(techdocs.CONSUMER, tasks.follow_docs)
        for tab in (api_definitions.TAB, docs.TAB, kubernetes.TAB, facts.TAB):
            register_tab(tab)
        for card in (docs.CARD, portal_locations.CARD, annotation_cards.CARD):
            register_card(card)

        post_migrate.connect(
            create_system_blueprints, sender=self, dispatch_uid="catalog.system_blueprints"
        )
