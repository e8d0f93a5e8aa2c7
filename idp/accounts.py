"""How people get an account by themselves."""

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc] # allauth has no types
    """Closes self sign-up unless the operator opened it with IDP_SIGNUP."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.IDP_SIGNUP)
