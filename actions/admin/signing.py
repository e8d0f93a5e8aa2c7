"""The signing key: what it is for, and replacing it. One that is made here is shown once."""

from __future__ import annotations

import secrets
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from unfold.widgets import UnfoldAdminPasswordWidget

from actions.models import SigningKey
from actions.services import signing
from catalog.admin.actors import actor_for
from catalog.kernel.admin import ReadOnlyAdmin
from catalog.kernel.errors import IdpError

KEY_BYTES: Final = 32
_LIST: Final = "admin:actions_signingkey_changelist"
_PAGES: Final = "admin/actions/signingkey/"


class KeyForm(forms.Form):
    use_required_attribute = False

    key = forms.CharField(
        required=False,
        strip=True,
        label="The new key",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=f"At least {signing.MIN_BYTES} bytes. Nothing: the server makes one, and shows "
        "it once. To keep receivers that Port has called, give the client secret that they know.",
    )


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    """There is one key, so its page is where the list would be."""

    feed_model = "signingkey"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("replace/", view(self.replace_view), name="actions_signingkey_replace"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self.page(
            request,
            f"{_PAGES}key.html",
            {"title": "Signing key", "held": SigningKey.objects.first()},
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse(_LIST))

    @method_decorator(sensitive_post_parameters())
    @sensitive_variables()
    def replace_view(self, request: HttpRequest) -> HttpResponse:
        """Asks, and on POST replaces it; the answer to the POST shows a key that was made here."""
        form = KeyForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data["key"]
            key = given or secrets.token_urlsafe(KEY_BYTES)
            try:
                signing.set_key(key, actor_for(request))
            except IdpError as error:
                form.add_error("key", str(error))
            else:
                if not given:
                    return self._show(request, key)
                messages.success(request, "The key was replaced: calls are signed with it now.")
                return HttpResponseRedirect(reverse(_LIST))
        return self.page(
            request, f"{_PAGES}replace.html", {"title": "Replace the signing key", "form": form}
        )

    @sensitive_variables()
    def _show(self, request: HttpRequest, key: str) -> HttpResponse:
        response = self.page(request, f"{_PAGES}shown.html", {"title": "Signing key", "key": key})
        add_never_cache_headers(response)
        return response
