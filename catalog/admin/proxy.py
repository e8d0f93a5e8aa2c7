"""Proxy endpoints: what of other systems is served here, set up and tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from unfold.decorators import display

from catalog.admin.actors import actor_for
from catalog.forms.proxy import ProxyForm, TrialForm
from catalog.kernel.admin import IdpModelAdmin
from catalog.kernel.errors import IdpError, NotFound
from catalog.models import Change, ProxyEndpoint, Secret
from catalog.services import proxy, proxy_calls

_LIST: Final = "admin:catalog_proxyendpoint_changelist"
_FORM: Final = "admin/catalog/proxyendpoint/form.html"
_SHOWN_BYTES: Final = 20_000
_AS_IS: Final = "/%:@!$&'()*+,;=~"  # what people type of an address is taken as it stands


@dataclass(frozen=True, slots=True)
class Trial:
    """What a call answered, as the page shows it."""

    status: int
    headers: list[tuple[str, str]]
    text: str
    is_cut: bool


@admin.register(ProxyEndpoint)
class ProxyEndpointAdmin(IdpModelAdmin):
    list_display = ["path", "target", "who", "served", "calls", "used"]
    search_fields = ["path", "target"]
    ordering = ["path"]
    change_list_template = "admin/catalog/proxyendpoint/list.html"
    feed_model = Change.PROXY

    @display(description="For", ordering="credentials")
    def who(self, endpoint: ProxyEndpoint) -> str:
        return endpoint.get_credentials_display()

    @display(description="Served", boolean=True, ordering="is_enabled")
    def served(self, endpoint: ProxyEndpoint) -> bool:
        return endpoint.is_enabled

    @display(description="Last used", ordering="last_used_at")
    def used(self, endpoint: ProxyEndpoint) -> str:
        if endpoint.last_used_at is None:
            return "never"
        return render_to_string("admin/cells/moment.html", {"moment": endpoint.last_used_at})

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        form = ProxyForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            try:
                made = proxy.create_endpoint(actor=actor_for(request), **form.stated)
            except IdpError as error:
                form.refuse(error)
            else:
                messages.success(request, f"{made.path} is served; try it below.")
                return HttpResponseRedirect(self._url("change", made))
        return self._page(request, form, None, {"title": "Add a proxy endpoint"})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        endpoint = self.load(request, object_id)
        is_trial = request.method == "POST" and "_try" in request.POST
        is_saving = request.method == "POST" and not is_trial
        form = ProxyForm(request.POST if is_saving else None, endpoint=endpoint)
        trial_form = TrialForm(request.POST if is_trial else None, initial={"method": "GET"})
        context: dict[str, Any] = {"title": endpoint.path, "trial_form": trial_form}
        if is_saving and form.is_valid():
            try:
                saved = proxy.update_endpoint(endpoint, actor=actor_for(request), **form.stated)
            except IdpError as error:
                form.refuse(error)
            else:
                messages.success(request, f"{saved.path} was saved.")
                return HttpResponseRedirect(self._url("change", saved))
        elif is_trial and trial_form.is_valid():
            try:
                context["trial"] = _try(request, endpoint, trial_form.cleaned_data)
            except IdpError as error:
                context["trial_error"] = str(error)
        return self._page(request, form, endpoint, context)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        endpoint = self.load(request, object_id)
        if request.method == "POST":
            try:
                proxy.delete_endpoint(endpoint, actor=actor_for(request))
            except NotFound:
                messages.warning(request, f"{endpoint.path} was gone already.")
            else:
                messages.success(request, f"{endpoint.path} is not served any more.")
            return HttpResponseRedirect(reverse(_LIST))
        return self.page(
            request,
            "admin/catalog/proxyendpoint/delete.html",
            {"title": f"Delete {endpoint.path}", "endpoint": endpoint},
            original=endpoint,
        )

    def _page(
        self,
        request: HttpRequest,
        form: ProxyForm,
        endpoint: ProxyEndpoint | None,
        context: dict[str, Any],
    ) -> HttpResponse:
        names = Secret.objects.values_list("name", flat=True)
        return self.page(
            request,
            _FORM,
            {
                "form": form,
                "endpoint": endpoint,
                "secrets": list(names),
                "header_rows": [{"name": name, "value": value} for name, value in form.headers],
                "rewrite_rows": [{"name": name, "value": value} for name, value in form.rewrites],
                "address": request.build_absolute_uri(
                    f"{proxy_calls.PREFIX}{endpoint.path if endpoint else ''}"
                ),
                **context,
            },
            original=endpoint,
        )

    def _url(self, page: str, endpoint: ProxyEndpoint) -> str:
        return reverse(f"admin:catalog_proxyendpoint_{page}", args=[endpoint.pk])


def _try(request: HttpRequest, endpoint: ProxyEndpoint, said: dict[str, Any]) -> Trial:
    """Call it as a person of the portal would. Raises what `proxy_calls.call` raises."""
    path, _, query = str(said["rest"]).partition("?")
    rest = f"/{quote(path.lstrip('/'), safe=_AS_IS)}" if path else ""
    proxy_calls.check_path(rest)
    body = str(said["body"]).encode() if said["method"] not in proxy_calls.SAFE else b""
    answered = proxy_calls.call(
        endpoint,
        proxy_calls.Asked(
            method=said["method"],
            rest=rest,
            query=quote(query, safe=f"{_AS_IS}?"),
            headers={"accept": "*/*", **({"content-type": "application/json"} if body else {})},
            body=body,
            host=request.get_host(),
        ),
        actor=actor_for(request),
    )
    shown = bytearray()
    try:
        for piece in answered.pieces():
            shown += piece
            if len(shown) > _SHOWN_BYTES:
                break
    finally:
        answered.close()
    headers = [("content-type", answered.content_type), *answered.headers]
    return Trial(
        answered.status,
        headers,
        shown[:_SHOWN_BYTES].decode("utf-8", "replace"),
        len(shown) > _SHOWN_BYTES,
    )
