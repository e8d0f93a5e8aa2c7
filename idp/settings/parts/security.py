"""Who may reach the server, how browsers are told to behave, and how people log in."""

import secrets
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

from catalog.kernel.actors import Role
from idp.settings import env


def local_name(host: str) -> str:
    """Return how this machine reaches a server bound to `host`, as it stands in a URL."""
    name = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{name}]" if ":" in name else name


IDP_HOST = env.text("IDP_HOST", "127.0.0.1")
IDP_PORT = env.whole("IDP_PORT", 8000, low=0, high=65535)
# The address people type; an https one turns on everything that only makes sense behind TLS.
IDP_URL = env.url("IDP_URL", f"http://{local_name(IDP_HOST)}:{IDP_PORT}")
_public = urlsplit(IDP_URL)
_https = _public.scheme == "https"

ALLOWED_HOSTS = [
    *(env.listed("IDP_ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]),
    local_name(IDP_HOST),
    _public.hostname or "",
]
CSRF_TRUSTED_ORIGINS = [IDP_URL] if _https else []
CSRF_FAILURE_VIEW = "idp.errors.csrf_failure"

# How many reverse proxies stand in front: their X-Forwarded-* headers are believed, no others'.
IDP_PROXIES = env.whole("IDP_PROXIES", 1 if _https else 0, high=10)
if IDP_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
ALLAUTH_TRUSTED_PROXY_COUNT = IDP_PROXIES

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = _https
# Probes and scrapers speak plain HTTP to the process itself.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = env.whole("IDP_HSTS_SECONDS", 31_536_000) if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _https
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Putting a domain on the browsers' preload list is its owner's decision, not a program's.
SILENCED_SYSTEM_CHECKS = ["security.W021"]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        # Alpine's standard build evaluates expressions, and Unfold's pages start it inline.
        "script-src": [SELF, UNSAFE_EVAL, UNSAFE_INLINE],
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:", "https:"],
        "font-src": [SELF, "data:"],
        "connect-src": [SELF],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
        "base-uri": [SELF],
        "object-src": [NONE],
    }
}

# Bearer token for /metrics from anywhere but this machine; empty keeps others out.
IDP_METRICS_TOKEN = env.text("IDP_METRICS_TOKEN")

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
IDP_SIGNUP = env.flag("IDP_SIGNUP", False)
# Whether an exemption that a person asked for is decided on by somebody else.
IDP_EXEMPTION_FOUR_EYES = env.flag("IDP_EXEMPTION_FOUR_EYES", True)
# Whether everybody may look at teams side by side on scorecards.
IDP_SCORECARD_RANKING = env.flag("IDP_SCORECARD_RANKING", True)
# The role of people who come in by themselves.
IDP_DEFAULT_ROLE = env.choice("IDP_DEFAULT_ROLE", Role.VIEWER, [role.value for role in Role])
ACCOUNT_ADAPTER = "idp.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if _https else "http"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # a reset for an unknown address sends nothing
ACCOUNT_SESSION_REMEMBER = True
MFA_TOTP_ISSUER = "idp"


def secret_key(home: Path) -> tuple[str, list[env.Problem]]:
    """Return IDP_SECRET_KEY, else the key kept in this home, else one for this process alone.

    `idp.embedded.make_home` writes the kept key. The last case serves commands that sign nothing;
    its problem keeps web and worker from starting, since each would sign with a key of its own.
    """
    if given := env.text("IDP_SECRET_KEY"):
        return given, []
    try:
        return (home / "secret_key").read_text().strip(), []
    except OSError:
        message = "IDP_SECRET_KEY is not set; expected 50 random characters or more."
        return secrets.token_urlsafe(48), [env.Problem("idp.E001", message)]
