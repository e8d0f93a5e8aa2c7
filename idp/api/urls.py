"""The APIs' addresses: what the roof answers itself, then each app's, then nothing."""

from django.urls import include, path, re_path

from idp.api import schema, views
from idp.api.paths import JoinedRoute

urlpatterns = [
    path("v1/auth/access_token", views.AccessToken.as_view()),
    path("v1/organization", views.OrganizationDetail.as_view()),
    path("v1/", include("actions.api.urls")),
    path("v1/", include("scorecards.api.urls")),
    path("v1/", include("catalog.api.urls")),
    re_path(r"^v1/", JoinedRoute.as_view()),
    path("schema/", schema.Schema.as_view(), name="schema"),
    path("docs/", schema.docs, name="docs"),
]
