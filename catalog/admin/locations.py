"""Locations and the settings of the catalogue, for those who run it; everybody sees locations in
the portal."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from unfold.decorators import display

from catalog.admin.actors import actor_for
from catalog.forms.catalog_settings import CatalogSettingsForm, LocationForm
from catalog.ingest.locations import registering
from catalog.kernel.admin import IdpModelAdmin
from catalog.kernel.errors import IdpError
from catalog.models import CatalogSettings, Change, Location
from catalog.services import catalog_settings

_LABELS: Final = {
    Location.State.PENDING: "info",
    Location.State.READY: "success",
    Location.State.PARTIAL: "warning",
    Location.State.FAILED: "danger",
}


@admin.register(CatalogSettings)
class CatalogSettingsAdmin(IdpModelAdmin):
    """One row, which is always there."""

    feed_model = Change.SETTINGS

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        settings = catalog_settings.current()
        form = CatalogSettingsForm(
            request.POST if request.method == "POST" else None, settings=settings
        )
        if request.method == "POST" and form.is_valid():
            try:
                catalog_settings.update(actor=actor_for(request), **form.stated)
            except IdpError as error:
                form.refuse(error)
            else:
                messages.success(request, "The settings were saved.")
                return HttpResponseRedirect(request.path)
        query = f"model={Change.SETTINGS}"
        return self.page(
            request,
            "admin/catalog/catalogsettings/form.html",
            {
                "title": "Descriptors",
                "form": form,
                "history_url": f"{reverse('admin:catalog_change_changelist')}?{query}",
                "locations_url": reverse("admin:catalog_location_changelist"),
            },
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:catalog_catalogsettings_changelist"))


@admin.register(Location)
class LocationAdmin(IdpModelAdmin):
    list_display = ["target", "type", "doing", "provider", "created_by", "read"]
    search_fields = ["target"]
    ordering = ["target"]
    feed_model = Change.LOCATION

    @display(description="State", label={one.label: tone for one, tone in _LABELS.items()})
    def doing(self, location: Location) -> str:
        return location.get_state_display()

    @display(description="Last read", ordering="refreshed_at")
    def read(self, location: Location) -> str:
        if location.refreshed_at is None:
            return "never"
        return render_to_string("admin/cells/moment.html", {"moment": location.refreshed_at})

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse("catalog:location-new"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        location = self.load(request, object_id)
        form = LocationForm(request.POST if request.method == "POST" else None, location=location)
        if request.method == "POST" and form.is_valid():
            try:
                registering.update(location, actor=actor_for(request), **form.cleaned_data)
            except IdpError as error:
                form.refuse(error)
            else:
                messages.success(request, "The location was saved.")
                return HttpResponseRedirect(request.path)
        return self.page(
            request,
            "admin/catalog/location/form.html",
            {"title": location.target, "form": form, "location": location},
            original=location,
        )

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Removing is confirmed where one sees what goes."""
        location = self.load(request, object_id)
        return HttpResponseRedirect(reverse("catalog:location", args=[location.pk]))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The change feed knows a location by its place: its key is no number."""
        location = self.load(request, object_id)
        url = reverse("admin:catalog_change_changelist")
        query = urlencode({"model": Change.LOCATION, "q": location.target})
        return HttpResponseRedirect(f"{url}?{query}")
