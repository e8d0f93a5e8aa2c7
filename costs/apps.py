from django.apps import AppConfig


class CostsConfig(AppConfig):
    """Cost records, their allocation and budgets."""

    name = "costs"
    default_auto_field = "django.db.models.BigAutoField"
