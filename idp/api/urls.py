"""The APIs' addresses: what the roof answers itself, then each app's, then nothing."""

from django.urls import include, path, re_path

import catalog.kernel.segments  # noqa: F401 - registers <segment:…>
from idp.api import access, schema, teams, users, views
from idp.api.paths import JoinedRoute

urlpatterns = [
    path("v1/auth/access_token", views.AccessToken.as_view()),
    path("v1/organization", views.OrganizationDetail.as_view()),
    path("v1/auth/permissions", access.OwnPermissions.as_view()),
    path("v1/users", users.UserList.as_view()),
    path("v1/users/invite", users.UserInvite.as_view()),
    path("v1/users/<segment:user>", users.UserDetail.as_view()),
    path("v1/rotate-credentials/<segment:user>", access.RotateCredentials.as_view()),
    path("v1/teams", teams.TeamList.as_view()),
    path("v1/teams/<segment:team>", teams.TeamDetail.as_view()),
    path("v1/roles", access.RoleList.as_view()),
    path("v1/apps", access.AppList.as_view()),
    path("v1/apps/<segment:app>", access.AppDetail.as_view()),
    path("v1/apps/<segment:app>/rotate-secret", access.AppSecret.as_view()),
    path("v1/", include("actions.api.urls")),
    path("v1/", include("scorecards.api.urls")),
    path("v1/", include("catalog.api.urls")),
    re_path(r"^v1/", JoinedRoute.as_view()),
    path("api/catalog/openapi.json", schema.CatalogSchema.as_view()),
    path("api/scaffolder/", include("actions.api.scaffolder.urls")),
    path("api/notifications/", include("actions.api.notification_urls")),
    path("api/v1/", include("scorecards.api.cortex.urls")),
    path("api/", include("catalog.api.backstage.urls")),
    path("schema/", schema.Schema.as_view(), name="schema"),
    path("schema/ui/", schema.docs, name="docs"),
]
