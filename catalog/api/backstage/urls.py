"""Addresses under /api. `<segment:…>` is one encoded part of the path, decoded for the view; what
other converters find is still percent-encoded, as the client sent it.

Fixed words come before identifiers.
"""

from __future__ import annotations

from django.urls import URLPattern, path

import catalog.kernel.segments  # noqa: F401 - registers <segment:…>
from catalog.api.backstage import metadata

urlpatterns: list[URLPattern] = [
    # the catalogue itself
    path(
        "catalog/.well-known/backstage/permissions/metadata",
        metadata.PermissionsMetadata.as_view(),
    ),
]
