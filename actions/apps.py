from django.apps import AppConfig


class ActionsConfig(AppConfig):
    """Self-service actions, their runs and approvals."""

    name = "actions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from actions.automations import following
        from actions.backends import registering
        from actions.notifications import following as telling
        from actions.scaffolder import builtin, template_actions
        from catalog.registry import register_feed_consumer

        register_feed_consumer(following.CONSUMER, following.follow)
        register_feed_consumer(telling.CONSUMER, telling.follow)
        register_feed_consumer(template_actions.CONSUMER, template_actions.follow)
        registering.register()
        builtin.register()
