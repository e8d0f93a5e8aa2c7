"""All addresses. Each app brings its own; here they are only put together."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("idp.health")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
]
