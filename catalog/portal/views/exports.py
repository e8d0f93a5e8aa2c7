"""The catalogue as files to take away."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from itertools import groupby
from typing import IO, Final

from django.http import FileResponse, Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_GET

from catalog.dialects.backstage.exports import Layout, Part, descriptor_of, export
from catalog.models import Entity
from catalog.portal.shell import PortalRequest, portal_view
from catalog.selectors import entity_page

IN_MEMORY: Final = 8 * 1024 * 1024  # bytes; a larger archive goes through a file


@portal_view
@require_GET
def descriptor(request: PortalRequest, blueprint: str, identifier: str) -> HttpResponseBase:
    """One entity as `catalog-info.yaml`."""
    found = entity_page.find_entity(request.user, blueprint, identifier)
    if found is None:
        raise Http404(f"{blueprint}:{identifier} is not in the catalogue")
    return HttpResponse(
        descriptor_of(found),
        content_type="application/yaml; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="catalog-info.yaml"'},
    )


@portal_view
@require_GET
def catalogue(request: PortalRequest) -> HttpResponseBase:
    """All that one may read, as a ZIP archive; `layout` as `Layout`, `kind` any number of times."""
    asked = request.GET.get("layout", "")
    layout = Layout(asked) if asked in [*Layout] else Layout.ENTITY
    entities = Entity.objects.visible_to(request.user)
    archive = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - the answer closes it
    _write(archive, export(entities, layout=layout, kinds=request.GET.getlist("kind")))
    archive.seek(0)
    name = f"catalog-{timezone.now():%Y-%m-%d}.zip"
    return FileResponse(archive, as_attachment=True, filename=name)


def _write(archive: IO[bytes], parts: Iterator[Part]) -> None:
    files: dict[str, list[str]] = {}
    for path, group in groupby(parts, key=lambda part: part.path):
        files.setdefault(path, []).extend(part.text for part in group)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path, texts in files.items():
            target.writestr(path, "".join(texts))
