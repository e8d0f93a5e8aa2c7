"""Forms of users and API clients, for the admin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib.auth.password_validation import (
    password_validators_help_text_html,
    validate_password,
)
from django.core.exceptions import ValidationError
from unfold import widgets

from catalog.kernel.actors import Role
from catalog.kernel.errors import IdpError
from idp.models import ROLE_CHOICES, ApiClient, User
from idp.users import EDITABLE

_AS_TYPED = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
_NEW_PASSWORD = {"autocomplete": "new-password"}


class AccessForm(forms.Form):
    """Base: says what a service refused beside the field it speaks of."""

    use_required_attribute = False

    def refuse(self, error: IdpError | ValidationError) -> None:
        told: Mapping[str | None, list[str]]
        if isinstance(error, IdpError):
            told = {error.details.get("field"): [str(error)]}
        elif hasattr(error, "error_dict"):
            told = dict(error.message_dict.items())
        else:
            told = {None: error.messages}
        for field, messages in told.items():
            for message in messages:
                self.add_error(field if field in self.fields else None, message)


class _RoleForm(AccessForm):
    role = forms.ChoiceField(
        choices=ROLE_CHOICES,
        initial=Role.MEMBER.value,
        widget=widgets.UnfoldAdminSelectWidget,
        help_text="Admins build and manage everything, members change the catalogue, "
        "viewers read it.",
    )


class _PersonForm(_RoleForm):
    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=widgets.UnfoldAdminTextInputWidget(_AS_TYPED),
    )
    email = forms.EmailField(
        label="E-mail",
        required=False,
        widget=widgets.UnfoldAdminEmailInputWidget,
        help_text="Binds the user to the person in the catalogue with this address.",
    )
    first_name = forms.CharField(
        label="First name",
        max_length=150,
        required=False,
        widget=widgets.UnfoldAdminTextInputWidget,
    )
    last_name = forms.CharField(
        label="Last name",
        max_length=150,
        required=False,
        widget=widgets.UnfoldAdminTextInputWidget,
    )

    field_order: Sequence[str] = ("username", "email", "first_name", "last_name", "role")


class PasswordForm(AccessForm):
    """A new password for `user`, typed twice and checked by the validators of the settings."""

    password1 = forms.CharField(
        label="Password",
        strip=False,
        widget=widgets.UnfoldAdminPasswordWidget(_NEW_PASSWORD),
    )
    password2 = forms.CharField(
        label="Password, once more",
        strip=False,
        widget=widgets.UnfoldAdminPasswordWidget(_NEW_PASSWORD),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, user: User | None = None) -> None:
        super().__init__(data)
        self.user = user or User()
        self.fields["password1"].help_text = password_validators_help_text_html()

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        first, second = cleaned.get("password1"), cleaned.get("password2")
        if first != second:
            self.add_error("password2", "The two passwords differ.")
        elif first:
            for name in ("username", "email", "first_name", "last_name"):
                if name in cleaned:
                    setattr(self.user, name, cleaned[name])
            try:
                validate_password(first, self.user)
            except ValidationError as error:
                self.add_error("password1", error)
        return cleaned


class UserCreateForm(_PersonForm, PasswordForm):
    """A new user; the password may be left out where people come in by single sign-on."""

    field_order = (*_PersonForm.field_order, "password1", "password2")

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data)
        for name in ("password1", "password2"):
            self.fields[name].required = False
        self.fields["password1"].help_text += "Left empty, only single sign-on lets them in."


class UserForm(_PersonForm):
    is_active = forms.BooleanField(
        label="May log in",
        required=False,
        widget=widgets.UnfoldBooleanSwitchWidget,
        help_text=User._meta.get_field("is_active").help_text,
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, user: User) -> None:
        super().__init__(data, initial={name: getattr(user, name) for name in EDITABLE})


class ClientCreateForm(_RoleForm):
    name = forms.CharField(
        max_length=100,
        widget=widgets.UnfoldAdminTextInputWidget,
        help_text=ApiClient._meta.get_field("name").help_text,
    )
    has_fixed_token = forms.BooleanField(
        label=ApiClient._meta.get_field("has_fixed_token").verbose_name,
        required=False,
        widget=widgets.UnfoldBooleanSwitchWidget,
        help_text=ApiClient._meta.get_field("has_fixed_token").help_text,
    )

    field_order = ("name", "role")


class ClientForm(ClientCreateForm):
    is_active = forms.BooleanField(
        label="May call the API",
        required=False,
        widget=widgets.UnfoldBooleanSwitchWidget,
        help_text="Switched off, its secret and its tokens stop working at once.",
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, client: ApiClient) -> None:
        names = ("name", "role", "has_fixed_token", "is_active")
        super().__init__(data, initial={name: getattr(client, name) for name in names})
