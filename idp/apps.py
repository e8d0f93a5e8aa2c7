from django.apps import AppConfig


class IdpConfig(AppConfig):
    """The roof: settings, log-in, portal home. The only app that knows every other."""

    name = "idp"
    verbose_name = "Access"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # The Celery app, so that `.delay()` finds the broker; and the system checks.
        from catalog import registry
        from catalog.models import USER
        from idp import celery, checks  # noqa: F401
        from idp.auth import take_fixed_token
        from idp.organization import take_names
        from idp.people import welcome_service_accounts

        registry.register_welcome(USER, welcome_service_accounts)
        registry.register_configuration(("organization.name", "app.title"), take_names)
        registry.register_fixed_tokens(take_fixed_token)
