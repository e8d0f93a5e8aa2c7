"""All addresses. Each app brings its own; here they are only put together."""

from django.contrib import admin
from django.urls import include, path

from idp.accounts import own_addresses

urlpatterns = [
    path("", include("idp.health")),
    path("", include("idp.portal.urls")),
    path("", include("catalog.portal.urls")),
    path("", include("actions.portal.urls")),
    path("", include("scorecards.portal.urls")),
    path("", include("idp.api.urls")),
    path("accounts/email/", own_addresses),
    path("accounts/", include("allauth.urls")),
    path("pick/", include("catalog.pickers")),
    path("admin/", admin.site.urls),
]

handler400 = "idp.errors.bad_request"
handler403 = "idp.errors.permission_denied"
handler404 = "idp.errors.page_not_found"
handler500 = "idp.errors.server_error"
