"""Migrations of data: how far one is, what it did, what it could not do, and the way to end it."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import BigIntegerField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST
from unfold.decorators import display

from catalog.admin.actors import principal_of
from catalog.admin.filters import ChoiceFilter
from catalog.ingest.migrations import cancel_migration
from catalog.kernel.admin import ReadOnlyAdmin
from catalog.kernel.errors import IdpError
from catalog.kernel.keyset import Key, Keyset
from catalog.models import DataMigration, Entity
from catalog.services import permissions

Status = DataMigration.Status

_WORDS: Final = {
    Status.PENDING: "waiting",
    Status.RUNNING: "running",
    Status.COMPLETED: "done",
    Status.FAILURE: "failed",
    Status.PENDING_CANCELLATION: "cancelling",
    Status.CANCELLED: "cancelled",
}


class StatusFilter(ChoiceFilter):
    title = "state"
    parameter_name = "status"
    options = DataMigration.Status.values


@admin.register(DataMigration)
class DataMigrationAdmin(ReadOnlyAdmin):
    list_display = ["name_of", "state", "counts", "actor", "began"]
    list_filter = [StatusFilter]
    keyset = Keyset([Key("pk", "pk", BigIntegerField())], descending=True)

    @display(description="Migration")
    def name_of(self, migration: DataMigration) -> str:
        return self._cell("name", migration)

    @display(description="State")
    def state(self, migration: DataMigration) -> str:
        return self._cell("state", migration)

    @display(description="What it did")
    def counts(self, migration: DataMigration) -> str:
        return self._cell("counts", migration)

    @display(description="Asked for")
    def began(self, migration: DataMigration) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": migration.created_at})

    def _cell(self, which: str, migration: DataMigration) -> str:
        return render_to_string(
            "admin/catalog/datamigration/cell.html", {"which": which, **_said(migration)}
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path(
                "<path:object_id>/progress/",
                view(self.progress_view),
                name="catalog_datamigration_progress",
            ),
            path(
                "<path:object_id>/cancel/",
                view(require_POST(self.cancel_view)),
                name="catalog_datamigration_cancel",
            ),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        migration = self.load(request, object_id)
        return self.page(
            request,
            "admin/catalog/datamigration/migration.html",
            {"title": f"Migration of {migration.source_blueprint}", **_told(migration)},
            original=migration,
        )

    def progress_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The part of the page that changes; pages ask for it until the migration is over."""
        migration = self.load(request, object_id)
        return TemplateResponse(
            request, "admin/catalog/datamigration/progress.html", _told(migration)
        )

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        migration = self.load(request, object_id)
        try:
            permissions.require_admin(principal_of(request), "cancel migrations")
            ended = cancel_migration(
                migration.pk, reason=request.POST.get("reason", "").replace("\x00", "")
            )
        except IdpError as error:
            messages.error(request, str(error))
        else:
            said = "was cancelled" if ended.is_finished else "ends after the part it is at"
            messages.success(request, f"The migration {said}. What it wrote stays.")
        return HttpResponseRedirect(
            reverse("admin:catalog_datamigration_change", args=[migration.pk])
        )


def _said(migration: DataMigration) -> dict[str, Any]:
    """What a line tells of one."""
    return {
        "migration": migration,
        "word": _WORDS[Status(migration.status)],
        "target": _target(migration),
    }


def _told(migration: DataMigration) -> dict[str, Any]:
    left = 0 if migration.is_finished else _left(migration)
    return {
        **_said(migration),
        "handled": max(0, migration.total - left),
        "unlisted": max(0, migration.failure_count - len(migration.failures)),
        "can_cancel": not migration.is_finished and migration.status != Status.PENDING_CANCELLATION,
    }


def _left(migration: DataMigration) -> int:
    """The source entities that it has not come to yet."""
    return Entity.objects.filter(
        blueprint__identifier=migration.source_blueprint,
        pk__gt=migration.cursor,
        pk__lte=migration.last,
    ).count()


def _target(migration: DataMigration) -> str:
    return str(migration.mapping.get("blueprint") or migration.source_blueprint)
