from django.apps import AppConfig


class ActionsConfig(AppConfig):
    """Self-service actions, their runs and approvals."""

    name = "actions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from actions import tasks  # noqa: F401 - connects them
        from actions.automations import following
        from actions.backends import registering
        from actions.notifications import following as telling
        from actions.notifications.notices import notify
        from actions.notifications.template_action import SEND
        from actions.portal import entity_card
        from actions.portal.views import notifications
        from actions.scaffolder import builtin, template_actions
        from actions.scaffolder.registry import register_template_action
        from actions.selectors.rule_source import RUNS
        from actions.services.secret_use import secret_users
        from catalog.portal.entity_tabs import register_card
        from catalog.portal.header import register_header_item
        from catalog.registry import (
            register_feed_consumer,
            register_notifier,
            register_rule_source,
            register_secret_users,
        )

        register_feed_consumer(following.CONSUMER, following.follow)
        register_feed_consumer(telling.CONSUMER, telling.follow)
        register_feed_consumer(template_actions.CONSUMER, template_actions.follow)
        register_secret_users(secret_users)
        register_notifier(notify)
        register_rule_source(RUNS)
        registering.register()
        builtin.register()
        register_template_action(SEND)
        register_card(entity_card.CARD)
        register_header_item(notifications.BELL)
