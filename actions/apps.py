from django.apps import AppConfig


class ActionsConfig(AppConfig):
    """Self-service actions, their runs and approvals."""

    name = "actions"
    default_auto_field = "django.db.models.BigAutoField"
