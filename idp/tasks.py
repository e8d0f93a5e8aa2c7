"""Background work of the roof itself."""

from celery import shared_task
from django.core.management import call_command


@shared_task
def clear_sessions() -> None:
    """Forget log-ins that have expired."""
    call_command("clearsessions")
