"""What all pages of a source have in common: its frame, its tabs, its own addresses."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from catalog.ingest import live
from catalog.kernel.admin import IdpModelAdmin
from catalog.kernel.source import SourceKind
from catalog.models import Integration
from catalog.registry import source_kinds
from catalog.selectors.sources import states_of

# (name of the page, its title, whether exporters that run elsewhere have it too)
_TABS = (
    ("change", "Overview", True),
    ("settings", "Settings", True),
    ("mapping", "Mapping", True),
    ("schedule", "Schedule", False),
    ("runs", "Runs", True),
    ("log", "Log", True),
    ("events", "Live events", False),
    ("entities", "Entities", True),
)
STEPS = (
    ("kind", "Choose"),
    ("settings", "Connect"),
    ("mapping", "Map and try"),
    ("schedule", "Schedule"),
)


class SourcePages(IdpModelAdmin):
    """Base of the admin of integrations."""

    def url(self, integration: Integration, page: str = "change", **query: Any) -> str:
        address = reverse(f"admin:catalog_integration_{page}", args=[integration.pk])
        return f"{address}?{urlencode(query)}" if query else address

    def go(self, integration: Integration, page: str = "change", **query: Any) -> HttpResponse:
        return HttpResponseRedirect(self.url(integration, page, **query))

    def framed(
        self,
        request: HttpRequest,
        integration: Integration,
        tab: str,
        context: dict[str, Any],
        *,
        status: int = 200,
    ) -> HttpResponse:
        """A tab of a source's page, or a step of setting it up."""
        is_setup = "setup" in request.GET
        [state] = states_of([integration])
        tabs = [
            (title, self.url(integration, name), name == tab)
            for name, title, for_all in _TABS
            if (for_all or integration.runs_here)
            and (name != "events" or takes_events(integration))
        ]
        return self.page(
            request,
            f"admin/catalog/integration/{'overview' if tab == 'change' else tab}.html",
            {
                "title": str(integration),
                "source": integration,
                "kind": kind_of(integration),
                "state": state,
                "tabs": [] if is_setup else tabs,
                "is_setup": is_setup,
                "steps": steps(tab) if is_setup else [],
                "can_sync": can_sync(integration),
                **context,
            },
            original=integration,
            status=status,
        )


def steps(current: str) -> list[tuple[int, str, str]]:
    """(number, title, "done", "now" or "later") of each step of adding a source."""
    at = [name for name, _ in STEPS].index(current)
    return [
        (number + 1, title, "done" if number < at else "now" if number == at else "later")
        for number, (_, title) in enumerate(STEPS)
    ]


def kind_of(integration: Integration) -> SourceKind | None:
    """The kind of a source that runs here; None for exporters and what is not installed."""
    return source_kinds.get(integration.kind) if integration.runs_here else None


def takes_events(integration: Integration) -> bool:
    return integration.runs_here and live.takes_events(integration.kind)


def can_sync(integration: Integration) -> bool:
    """Whether it has something to list."""
    return kind_of(integration) is not None and integration.kind != Integration.WEBHOOK


def event_address(integration: Integration) -> str:
    """What to enter at the vendor."""
    return f"{settings.IDP_URL}/v1/webhooks/ingest/{integration.webhook_key}"
