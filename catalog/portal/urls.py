"""`/catalog/…`, `/docs/…`, `/sources/…`. Pages of a list stand under `-`: nothing has that name."""

from django.urls import path, re_path

from catalog.portal import links  # noqa: F401 - registers the converter "identifier"
from catalog.portal.views import (
    catalogue,
    classic,
    definitions,
    docs,
    editing,
    entities,
    exports,
    locations,
    sources,
)

app_name = "catalog"

urlpatterns = [
    path("catalog", catalogue.index, name="index"),
    path("catalog/", catalogue.index),
    path("docs", docs.index, name="docs"),
    path("docs/", docs.index),
    path("docs/-/refresh/<int:pk>", docs.refresh, name="docs-refresh"),
    path("docs/<str:namespace>/<str:kind>/<str:name>", docs.read),
    re_path(
        r"^docs/(?P<namespace>[^/]+)/(?P<kind>[^/]+)/(?P<name>[^/]+)/(?P<path>.*)$",
        docs.read,
        name="docs-page",
    ),
    path("sources", sources.index, name="sources"),
    path("sources/-/missing", sources.missing, name="missing"),
    path(
        "sources/-/webhooks/<identifier:identifier>",
        sources.source,
        {"is_webhook": True},
        name="webhook-source",
    ),
    path("sources/<identifier:identifier>", sources.source, name="source"),
    path("sources/<identifier:identifier>/runs/<int:pk>", sources.run, name="source-run"),
    path("locations", locations.index, name="locations"),
    path("locations/", locations.index),
    path("locations/-/new", locations.add, name="location-new"),
    path("locations/<uuid:pk>", locations.location, name="location"),
    path("locations/<uuid:pk>/refresh", locations.read_again, name="location-refresh"),
    path("locations/<uuid:pk>/remove", locations.remove, name="location-remove"),
    path("locations/<uuid:pk>/orphans", locations.remove_orphans, name="location-orphans"),
    path("catalog/-/export", exports.catalogue, name="export"),
    path("catalog/-/person", entities.person, name="person"),
    path("catalog/<identifier:blueprint>", catalogue.table, name="table"),
    path("catalog/<identifier:blueprint>/-/new", editing.create, name="create"),
    path("catalog/<identifier:blueprint>/-/values", catalogue.values, name="values"),
    path("catalog/<identifier:blueprint>/-/facet", catalogue.facet, name="facet"),
    path("catalog/<identifier:blueprint>/-/filter", catalogue.add_filter, name="add-filter"),
    path("catalog/<identifier:blueprint>/-/columns", catalogue.choose_columns, name="columns"),
    path("catalog/<identifier:blueprint>/-/views", catalogue.save_view, name="save-view"),
    path(
        "catalog/<identifier:blueprint>/-/views/<int:pk>/delete",
        catalogue.delete_view,
        name="delete-view",
    ),
    path("catalog/<identifier:blueprint>/<identifier:identifier>", entities.entity, name="entity"),
    path(
        "catalog/<identifier:blueprint>/<identifier:identifier>/catalog-info.yaml",
        exports.descriptor,
        name="descriptor",
    ),
    path("catalog/<identifier:blueprint>/<identifier:identifier>/edit", editing.edit, name="edit"),
    path(
        "catalog/<identifier:blueprint>/<identifier:identifier>/delete",
        editing.delete,
        name="delete",
    ),
    path(
        "catalog/<identifier:blueprint>/<identifier:identifier>/restore",
        editing.restore,
        name="restore",
    ),
    path("catalog/<identifier:blueprint>/<identifier:identifier>/star", entities.star, name="star"),
    path(
        "catalog/<identifier:blueprint>/<identifier:identifier>/-/definition",
        definitions.raw,
        name="definition",
    ),
    path(
        "catalog/<identifier:blueprint>/<identifier:identifier>/-/reference",
        definitions.reference,
        name="definition-reference",
    ),
    path("catalog/<str:namespace>/<str:kind>/<str:name>", classic.entity, name="classic-entity"),
    path("catalog/<str:namespace>/<str:kind>/<str:name>/<str:tab>", classic.entity),
    path("api-docs", classic.apis, name="apis"),
    path("catalog-graph", classic.graph),
    path("catalog-import", classic.registration),
    path("settings", classic.settings),
]
