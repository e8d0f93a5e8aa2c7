"""How people get an account by themselves.

An e-mail address ties a user to a person of the catalogue, and so to teams and what they own. So
nobody may give themselves one: an admin lets those in who signed up, and sets later addresses.
"""

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from idp.models import User


class AccountAdapter(DefaultAccountAdapter):
    """Closes self sign-up unless the operator opened it with IDP_SIGNUP."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.IDP_SIGNUP)

    def new_user(self, request: HttpRequest) -> User:
        """Return an unsaved user, who waits until an admin has looked at the address."""
        user: User = super().new_user(request)
        user.role = settings.IDP_DEFAULT_ROLE
        user.is_active = False
        return user


def own_addresses(request: HttpRequest) -> HttpResponse:
    """Stands where allauth lets people change their e-mail addresses."""
    raise PermissionDenied("An admin sets e-mail addresses.")
