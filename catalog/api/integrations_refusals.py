"""What becomes known of an exporter's writes: the run they belong to, and why some were refused.

Newer exporters say which resync a write is part of (`ocean_info_resync_id`) and what else made
them write (`ocean_info_event_type`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http.response import HttpResponseBase
from rest_framework.request import Request

from catalog.api import params
from catalog.api.base import ApiView
from catalog.ingest.exporter_log import Refusal, note_refusals
from catalog.kernel.errors import IdpError, InvalidRequest
from catalog.kernel.identifiers import check_stated_run
from catalog.models import Integration
from catalog.services import permissions
from catalog.services.exporter_runs import run_named
from catalog.services.exporters import exporter_behind

# Exporters repeat what fails by another status: with a new token, in smaller parts, later.
_FINAL = (400, 403, 404, 409, 422)


class ExporterWrites(ApiView):
    """A view that writes entities. Refusals to registered exporters go into their logs.

    write_methods: those that do.
    """

    write_methods: tuple[str, ...] = ("POST", "PUT", "PATCH", "DELETE")

    def run_of(self, request: Request) -> str:
        """The run that causes a write, for the history: as the caller says (`run_id`), or the
        exporter's resync.
        """
        said = check_stated_run(params.text(request, "run_id"))
        name = "" if said else _resync_id(request)
        exporter = self._exporter(request) if name else None
        run = run_named(exporter, name) if exporter else None
        return run.name if run else said

    def refused(self, request: Request, blueprint: str, refusals: Sequence[Refusal]) -> None:
        """Note what was refused of a batch."""
        if params.flag(request, "validation_only"):
            return
        exporter = self._exporter(request) if refusals else None
        if exporter is None:
            return
        note_refusals(
            exporter,
            refusals,
            blueprint=blueprint,
            resync_id=_resync_id(request),
            event=request.query_params.get("ocean_info_event_type", ""),
        )

    def handle_exception(self, error: Exception) -> HttpResponseBase:  # type: ignore[override]
        """Note a request that was refused as a whole."""
        request = self.request
        if isinstance(error, IdpError) and error.status in _FINAL and self._is_write(error):
            refusals = [Refusal(name, error, body) for name, body in self._asked(request)]
            self.refused(request, str(self.kwargs.get("blueprint", "")), refusals)
        return super().handle_exception(error)

    def _exporter(self, request: Request) -> Integration | None:
        """The exporter that its User-Agent says it is, if the caller may say so."""
        found = exporter_behind(str(request.META.get("HTTP_USER_AGENT", "")))
        return found if found and permissions.is_exporter(self.principal, found) else None

    def _is_write(self, error: IdpError) -> bool:
        method = self.request.method
        was_gone_already = method == "DELETE" and error.status == 404
        return method in self.write_methods and not was_gone_already

    def _asked(self, request: Request) -> list[tuple[str, Any]]:
        """Identifier and body of each entity that the request was about."""
        try:
            body = params.body_object(request, may_be_empty=True)
        except InvalidRequest:
            body = {}
        some = body.get("entities")
        bodies = some if isinstance(some, list) else [body]
        return [(identifier_of(one) or str(self.kwargs.get("entity", "")), one) for one in bodies]


def identifier_of(body: Any) -> str:
    """Of an entity's body, or of a bare identifier; "" where it is a search or missing."""
    value = body.get("identifier") if isinstance(body, dict) else body
    return value if isinstance(value, str) else ""


def _resync_id(request: Request) -> str:
    return str(request.query_params.get("ocean_info_resync_id", ""))
