"""Users and API clients, for admins."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import AdminSite
from django.contrib.auth import update_session_auth_hash
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from catalog.admin.actors import actor_for
from catalog.admin.filters import ChoiceFilter
from catalog.kernel.actors import Role
from catalog.kernel.admin import IdpModelAdmin
from catalog.kernel.errors import IdpError
from idp import auth, users
from idp.forms import (
    ClientCreateForm,
    ClientForm,
    PasswordForm,
    UserCreateForm,
    UserForm,
)
from idp.models import ApiClient, User

_ROLE_COLOURS = {Role.ADMIN: "danger", Role.MEMBER: "info", Role.VIEWER: ""}
_FORM = "admin/access_form.html"


class RoleFilter(ChoiceFilter):
    title = "role"
    parameter_name = "role"
    options = tuple(role.value for role in Role)


class ActiveFilter(DropdownFilter):
    title = "state"
    parameter_name = "active"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Active"), ("no", "Switched off")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() in ("yes", "no"):
            return queryset.filter(is_active=self.value() == "yes")
        return queryset


class AccessAdmin(IdpModelAdmin):
    """What users and clients have in common: they are switched off, never deleted."""

    list_filter = [RoleFilter, ActiveFilter]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @display(description="Role", ordering="role", label=_ROLE_COLOURS)
    def role_label(self, one: User | ApiClient) -> str:
        return one.role

    @display(description="Active", boolean=True, ordering="is_active")
    def active(self, one: User | ApiClient) -> bool:
        return one.is_active

    def url(self, one: Model) -> str:
        return reverse(f"admin:idp_{self.opts.model_name}_change", args=[one.pk])

    def list_url(self) -> str:
        return reverse(f"admin:idp_{self.opts.model_name}_changelist")


@admin.register(User)
class UserAdmin(AccessAdmin):
    list_display = ["username", "full_name", "email", "role_label", "active", "seen"]
    search_fields = ["username", "email", "first_name", "last_name"]
    ordering = ["username"]
    feed_model = users.MODEL

    @display(description="Name")
    def full_name(self, user: User) -> str:
        return user.get_full_name()

    @display(description="Last log-in", ordering="last_login")
    def seen(self, user: User) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": user.last_login})

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<path:object_id>/password/", view(self.password_view), name="idp_user_password"),
            *super().get_urls(),
        ]

    @method_decorator(sensitive_post_parameters())
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        form = UserCreateForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            fields = {name: form.cleaned_data[name] for name in form.field_order[:5]}
            try:
                user = users.create_user(
                    password=form.cleaned_data["password1"] or None,
                    actor=actor_for(request),
                    **fields,
                )
            except (IdpError, ValidationError) as error:
                form.refuse(error)
            else:
                messages.success(request, f'User "{user.username}" was created.')
                return HttpResponseRedirect(self.list_url())
        return self.page(request, _FORM, {"title": "Add a user", "form": form, "button": "Create"})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        user = self.load(request, object_id)
        form = UserForm(request.POST or None, user=user)
        if request.method == "POST" and form.is_valid():
            try:
                users.update_user(user, actor=actor_for(request), **form.cleaned_data)
            except (IdpError, ValidationError) as error:
                form.refuse(error)
            else:
                messages.success(request, f'User "{user.username}" was saved.')
                return HttpResponseRedirect(self.list_url())
        return self.page(
            request,
            _FORM,
            {
                "title": user.username,
                "form": form,
                "button": "Save",
                "facts": [
                    ("Joined", user.date_joined),
                    ("Last log-in", user.last_login),
                ],
                "password_note": ""
                if user.has_usable_password()
                else "Has no password: only single sign-on lets them in.",
                "links": [
                    ("key", "Set password", reverse("admin:idp_user_password", args=[user.pk])),
                    ("history", "History", reverse("admin:idp_user_history", args=[user.pk])),
                ],
            },
            original=user,
        )

    @method_decorator(sensitive_post_parameters())
    def password_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user = self.load(request, object_id)
        form = PasswordForm(request.POST or None, user=user)
        if request.method == "POST" and form.is_valid():
            users.set_password(
                user, password=form.cleaned_data["password1"], actor=actor_for(request)
            )
            if user.pk == request.user.pk:
                update_session_auth_hash(request, user)  # stay logged in with the new one
            messages.success(request, f'"{user.username}" has a new password.')
            return HttpResponseRedirect(self.url(user))
        return self.page(
            request,
            _FORM,
            {
                "title": f"Set the password of {user.username}",
                "form": form,
                "button": "Set password",
                "lead": "Their sessions on other machines end.",
            },
            original=user,
        )


@admin.register(ApiClient)
class ApiClientAdmin(AccessAdmin):
    list_display = ["name", "client_id", "role_label", "active", "created", "used"]
    search_fields = ["name", "client_id"]
    ordering = ["name", "pk"]
    feed_model = "api_client"

    @display(description="Created", ordering="created_at")
    def created(self, client: ApiClient) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": client.created_at})

    @display(description="Last token", ordering="last_used_at")
    def used(self, client: ApiClient) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": client.last_used_at})

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<path:object_id>/rotate/", view(self.rotate_view), name="idp_apiclient_rotate"),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        form = ClientCreateForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                client, secret = auth.create_client(**form.cleaned_data, actor=actor_for(request))
            except (IdpError, ValidationError) as error:
                form.refuse(error)
            else:
                return self._show_secret(request, client, secret)
        return self.page(
            request,
            _FORM,
            {
                "title": "Add an API client",
                "form": form,
                "button": "Create",
                "lead": "The next page shows its secret, once.",
            },
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        client = self.load(request, object_id)
        form = ClientForm(request.POST or None, client=client)
        if request.method == "POST" and form.is_valid():
            try:
                auth.update_client(client, actor=actor_for(request), **form.cleaned_data)
            except (IdpError, ValidationError) as error:
                form.refuse(error)
            else:
                messages.success(request, f'API client "{client.name}" was saved.')
                return HttpResponseRedirect(self.list_url())
        return self.page(
            request,
            _FORM,
            {
                "title": client.name,
                "form": form,
                "button": "Save",
                "identifier": client.client_id,
                "facts": [("Created", client.created_at), ("Last token", client.last_used_at)],
                "links": [
                    (
                        "autorenew",
                        "New secret",
                        reverse("admin:idp_apiclient_rotate", args=[client.pk]),
                    ),
                    (
                        "history",
                        "History",
                        reverse("admin:idp_apiclient_history", args=[client.pk]),
                    ),
                ],
            },
            original=client,
        )

    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        client = self.load(request, object_id)
        if request.method == "POST":
            secret = auth.rotate_secret(client, actor=actor_for(request))
            return self._show_secret(request, client, secret)
        return self.page(
            request,
            "admin/idp/apiclient/rotate.html",
            {"title": f"New secret for {client.name}", "client": client},
            original=client,
        )

    def _show_secret(self, request: HttpRequest, client: ApiClient, secret: str) -> HttpResponse:
        """The answer to the POST itself: the secret is nowhere to be fetched again."""
        response = self.page(
            request,
            "admin/idp/apiclient/secret.html",
            {"title": client.name, "client": client, "secret": secret},
            original=client,
        )
        add_never_cache_headers(response)
        return response


def tidy(site: AdminSite) -> None:
    """Take out what the frameworks registered and nobody should use here.

    Groups mean nothing where the role decides; the rest belongs to log-in, which has its own pages.
    """
    for model in [m for m in site._registry if m._meta.app_label not in _OURS]:
        site.unregister(model)


_OURS = {"idp", "catalog", "actions", "scorecards", "costs"}
tidy(admin.site)
