from django.apps import AppConfig


class ActionsConfig(AppConfig):
    """Self-service actions, their runs and approvals."""

    name = "actions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from actions.automations import following
        from actions.backends import registering
        from catalog.registry import register_feed_consumer

        register_feed_consumer(following.CONSUMER, following.follow)
        registering.register()
