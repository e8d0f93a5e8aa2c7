"""/v1/actions/runs/{run}/…: what was sent for a run, and what it wrote and made."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.http import content_disposition_header
from rest_framework.request import Request
from rest_framework.response import Response

from actions.api.actions import TAG
from actions.api.run_documents import delivery
from actions.models import RunArtifact
from actions.selectors.runs import entities_of
from actions.services import reporting
from catalog.api.base import ApiView, ok
from catalog.api.openapi import OBJECT, documented, envelope, list_of
from catalog.kernel.errors import NotFound
from catalog.kernel.identifiers import is_storable
from catalog.selectors.documents import timestamp


class RunDeliveries(ApiView):
    @documented(
        "list_run_deliveries",
        "List what was sent for a run, and what was answered",
        tag=TAG,
        path=["run"],
        answers={200: envelope(deliveries=list_of(OBJECT))},
        errors=[404],
        description="Oldest first, secrets masked.",
    )
    def get(self, request: Request, run: str) -> Response:
        found = reporting.get_run(run, principal=self.principal)
        return ok(deliveries=[delivery(one) for one in found.deliveries.all()])


class RunEntities(ApiView):
    @documented(
        "list_run_entities",
        "List the entities that a run wrote",
        tag=TAG,
        path=["run"],
        answers={200: envelope(entities=list_of(OBJECT))},
        errors=[404],
        description="Those written with its id (`run_id`), and by itself; `action` says whether it "
        "was created, changed or deleted in all.",
    )
    def get(self, request: Request, run: str) -> Response:
        found = reporting.get_run(run, principal=self.principal)
        return ok(
            entities=[
                {
                    "blueprint": one.blueprint,
                    "identifier": one.identifier,
                    "action": one.action,
                    "at": timestamp(one.at),
                }
                for one in entities_of(found)
            ]
        )


class RunFiles(ApiView):
    @documented(
        "list_run_files",
        "List the files that a run made",
        tag=TAG,
        path=["run"],
        answers={200: envelope(files=list_of(OBJECT))},
        errors=[404],
    )
    def get(self, request: Request, run: str) -> Response:
        found = reporting.get_run(run, principal=self.principal)
        return ok(
            files=[
                {
                    "name": one.name,
                    "mediaType": one.media_type,
                    "sizeBytes": one.size_bytes,
                    "createdAt": timestamp(one.created_at),
                }
                for one in found.artifacts.defer("content")
            ]
        )


class RunFile(ApiView):
    @documented(
        "get_run_file",
        "Download a file that a run made",
        tag=TAG,
        path=["run", "name"],
        answers={200: {}},
        errors=[404],
    )
    def get(self, request: Request, run: str, name: str) -> HttpResponse:
        found = reporting.get_run(run, principal=self.principal)
        file = found.artifacts.filter(name=name).first() if is_storable(name) else None
        if file is None:
            raise NotFound.of("File", name, field="name")
        return _download(file)


def _download(file: RunArtifact) -> HttpResponse:
    answer = HttpResponse(bytes(file.content), content_type=file.media_type)
    answer.headers["Content-Disposition"] = str(
        content_disposition_header(as_attachment=True, filename=file.name)
    )
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
