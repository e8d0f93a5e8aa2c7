from django.apps import AppConfig


class ScorecardsConfig(AppConfig):
    """Rules, levels and results over the catalogue."""

    name = "scorecards"
    default_auto_field = "django.db.models.BigAutoField"
