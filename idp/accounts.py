"""How people get an account by themselves."""

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest

from idp.models import User


class AccountAdapter(DefaultAccountAdapter):
    """Closes self sign-up unless the operator opened it with IDP_SIGNUP."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.IDP_SIGNUP)

    def new_user(self, request: HttpRequest) -> User:
        """Return an unsaved user with the role of those who come in by themselves."""
        user: User = super().new_user(request)
        user.role = settings.IDP_DEFAULT_ROLE
        return user
