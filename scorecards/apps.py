from django.apps import AppConfig


class ScorecardsConfig(AppConfig):
    """Rules, levels and results over the catalogue."""

    name = "scorecards"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from catalog import registry
        from catalog.portal.entity_tabs import register_card, register_tab
        from scorecards import (
            events,
            following,
            own_blueprints,
            queries,
            tasks,  # noqa: F401 - connects them
        )
        from scorecards.portal import entity_tab
        from scorecards.services.importing import TAKER

        registry.register_feed_consumer(following.CONSUMER, following.follow)
        registry.register_document_taker(TAKER)
        registry.register_notification_topic(
            "scorecards", "A level dropped, an exemption or an initiative needs somebody"
        )
        for kind in events.KINDS:
            registry.register_event_kind(kind)
        for blueprint in own_blueprints.OWN_BLUEPRINTS:
            registry.register_own_blueprint(blueprint)
        registry.register_scorecard_queries(queries.Queries())
        register_tab(entity_tab.TAB)
        register_card(entity_tab.CARD)
        register_card(entity_tab.TEAM_CARD)
