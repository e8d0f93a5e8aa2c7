"""/v1/actions/runs/{run}/…: what was sent for a run, and what it wrote and made."""

from __future__ import annotations

from io import BytesIO

from django.http import FileResponse
from rest_framework.request import Request
from rest_framework.response import Response

from actions.api.actions import TAG
from actions.api.run_documents import delivery
from actions.selectors.runs import artifact_of, entities_of
from actions.services import reporting
from catalog.api.base import ApiView, ok
from catalog.api.openapi import OBJECT, documented, envelope, list_of
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
    def get(self, request: Request, run: str, name: str) -> FileResponse:
        file = artifact_of(reporting.get_run(run, principal=self.principal), name)
        content = BytesIO(bytes(file.content))
        return FileResponse(
            content, as_attachment=True, filename=file.name, content_type=file.media_type
        )
