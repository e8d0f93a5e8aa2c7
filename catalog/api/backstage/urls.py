"""Addresses under /api. `<segment:…>` is one encoded part of the path, decoded for the view; what
other converters find is still percent-encoded, as the client sent it.

Fixed words come before identifiers.
"""

from __future__ import annotations

from django.urls import URLPattern, path

import catalog.kernel.segments  # noqa: F401 - registers <segment:…>
from catalog.api.backstage import (
    entities,
    facets,
    locations,
    metadata,
    proxy,
    search,
    techdocs,
    unprocessed,
    validation,
)

_DOCS = "<segment:namespace>/<segment:kind>/<segment:name>"
_NAME = "<segment:kind>/<segment:namespace>/<segment:name>"

urlpatterns: list[URLPattern] = [
    # entities
    path("catalog/entities", entities.EntityList.as_view()),
    path("catalog/entities/by-query", entities.EntityQuery.as_view()),
    path("catalog/entities/by-refs", entities.EntitiesByRefs.as_view()),
    path("catalog/entities/by-uid/<segment:uid>", entities.EntityByUid.as_view()),
    path(f"catalog/entities/by-name/{_NAME}", entities.EntityByName.as_view()),
    path(f"catalog/entities/by-name/{_NAME}/ancestry", entities.EntityAncestry.as_view()),
    path("catalog/entities/unprocessed/failed", unprocessed.Failed.as_view()),
    path("catalog/entities/unprocessed/pending", unprocessed.Pending.as_view()),
    path("catalog/entities/unprocessed/delete/<segment:uid>", unprocessed.Unprocessed.as_view()),
    path("catalog/entity-facets", facets.EntityFacets.as_view()),
    path("catalog/validate-entity", validation.ValidateEntity.as_view()),
    path("catalog/refresh", locations.Refresh.as_view()),
    # locations
    path("catalog/locations", locations.LocationList.as_view()),
    path("catalog/locations/by-query", locations.LocationQuery.as_view()),
    path(f"catalog/locations/by-entity/{_NAME}", locations.EntityLocation.as_view()),
    path("catalog/locations/<segment:location>", locations.LocationDetail.as_view()),
    path("catalog/analyze-location", locations.AnalyzeLocation.as_view()),
    # the catalogue itself
    path(
        "catalog/.well-known/backstage/permissions/metadata",
        metadata.PermissionsMetadata.as_view(),
    ),
    # search
    path("search/query", search.SearchQuery.as_view()),
    # docs
    path(f"techdocs/metadata/techdocs/{_DOCS}", techdocs.TechDocsMetadata.as_view()),
    path(f"techdocs/metadata/entity/{_DOCS}", techdocs.EntityMetadata.as_view()),
    path(f"techdocs/sync/{_DOCS}", techdocs.Sync.as_view()),
    path(f"techdocs/static/docs/{_DOCS}/<path:path>", techdocs.Static.as_view()),
    path("techdocs/.backstage/auth/v1/cookie", techdocs.Cookie.as_view()),
    # other systems
    path("proxy/<path:path>", proxy.Proxy.as_view()),
]
