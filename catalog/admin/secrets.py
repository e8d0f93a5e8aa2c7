"""Secrets of the organisation: named, described, used, and never shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from unfold.decorators import display

from catalog.admin.actors import actor_for
from catalog.forms.secret import SecretForm
from catalog.kernel.admin import IdpModelAdmin
from catalog.kernel.errors import IdpError, NotFound
from catalog.models import Secret
from catalog.services import secrets
from catalog.services.entities.drafts import UNSET

_FORM = "admin/catalog/secret/form.html"
_LIST = "admin:catalog_secret_changelist"


@admin.register(Secret)
class SecretAdmin(IdpModelAdmin):
    search_fields = ["name", "description"]
    ordering = ["name"]

    def get_list_display(self, request: HttpRequest) -> Sequence[Any]:
        used = secrets.references()

        @display(description="Used by")
        def used_by(secret: Secret) -> str:
            return ", ".join(str(one) for one in used.get(secret.name, ()))

        return ["name", "description", used_by, "changed"]

    @display(description="Changed", ordering="updated_at")
    def changed(self, secret: Secret) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": secret.updated_at})

    @method_decorator(sensitive_post_parameters())
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        form = SecretForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                made = secrets.create_secret(actor=actor_for(request), **form.cleaned_data)
            except IdpError as error:
                form.refuse(error)
            else:
                messages.success(request, f'Secret "{made.name}" was created.')
                return HttpResponseRedirect(reverse(_LIST))
        return self.page(
            request, _FORM, {"title": "Add a secret", "form": form, "button": "Create"}
        )

    @method_decorator(sensitive_post_parameters())
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        secret = self.load(request, object_id)
        form = SecretForm(request.POST or None, secret=secret)
        if request.method == "POST" and form.is_valid():
            try:
                secrets.update_secret(
                    secret.name,
                    value=form.cleaned_data["value"] or UNSET,
                    description=form.cleaned_data["description"],
                    actor=actor_for(request),
                )
            except IdpError as error:
                form.refuse(error)
            else:
                messages.success(request, f'Secret "{secret.name}" was saved.')
                return HttpResponseRedirect(reverse(_LIST))
        return self.page(
            request,
            _FORM,
            {
                "title": secret.name,
                "form": form,
                "button": "Save",
                "secret": secret,
                "users": _users_of(secret),
            },
            original=secret,
        )

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        secret = self.load(request, object_id)
        if request.method == "POST":
            try:
                secrets.delete_secret(secret.name, actor=actor_for(request))
            except NotFound:
                messages.warning(request, f'Secret "{secret.name}" was gone already.')
            else:
                messages.success(request, f'Secret "{secret.name}" was deleted.')
            return HttpResponseRedirect(reverse(_LIST))
        return self.page(
            request,
            "admin/catalog/secret/delete.html",
            {
                "title": f"Delete {secret.name}",
                "secret": secret,
                "users": _users_of(secret),
            },
            original=secret,
        )


def _users_of(secret: Secret) -> list[tuple[Model, str, str]]:
    """Whatever names it, what that is in a word, and the address of its page, or ""."""
    return [
        (one, getattr(one, "kind", "") or str(one._meta.verbose_name), _page_of(one))
        for one in secrets.references().get(secret.name, ())
    ]


def _page_of(user: Model) -> str:
    try:
        name = f"admin:{user._meta.app_label}_{user._meta.model_name}_change"
        return reverse(name, args=[user.pk])
    except NoReverseMatch:
        return ""
