"""All settings, read from the environment. Every variable is in the README's table.

Loading needs no database and starts nothing: `manage.py` and `idp.embedded` put DATABASE_URL and
REDIS_URL into the environment before this module is read.
"""

from pathlib import Path
from urllib.parse import urlsplit

from whitenoise.compress import Compressor

from idp import plugins
from idp.settings import env
from idp.settings.parts.celery import *  # noqa: F403
from idp.settings.parts.drf import *  # noqa: F403
from idp.settings.parts.logging import *  # noqa: F403
from idp.settings.parts.outbound import *  # noqa: F403
from idp.settings.parts.security import *  # noqa: F403
from idp.settings.parts.security import IDP_URL, secret_key
from idp.settings.parts.stores import *  # noqa: F403
from idp.settings.parts.stores import IDP_HOME
from idp.settings.parts.unfold import *  # noqa: F403

BASE_DIR = Path(__file__).resolve().parent.parent.parent

DEBUG = env.flag("IDP_DEBUG", False)
# Problems of a server, which a command that signs nothing does not have.
SECRET_KEY, IDP_NO_LASTING_KEY = secret_key(IDP_HOME)

INSTALLED_APPS = [
    "django_prometheus",
    "unfold.apps.BasicAppConfig",  # without its own admin site
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "idp.shell.IdpAdminConfig",  # django.contrib.admin with idp.site.IdpAdminSite
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "django_htmx",
    "csp",
    "django_structlog",
    "idp",
    "catalog",
    "actions",
    "scorecards",
    "costs",
]
_plugin_apps, _plugin_problems = plugins.chosen(env.listed("IDP_PLUGINS") or ["all"])
INSTALLED_APPS += _plugin_apps
env.problems += _plugin_problems

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "idp.api.paths.RawPathMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "idp.errors.NulMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "idp.urls"
WSGI_APPLICATION = "idp.wsgi.application"
# A redirect loses the body of a POST and decodes %2F: each route answers at one address.
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "idp.portal.context.account_pages",
            ],
        },
    },
]

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "/static/"
STATIC_ROOT = IDP_HOME / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "idp.static.StaticStorage"},
}
# Pictures and fonts are compressed already; source maps are for developers' tools alone.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = [*Compressor.SKIP_COMPRESS_EXTENSIONS, "map"]
MEDIA_ROOT = IDP_HOME / "media"

AUTH_USER_MODEL = "idp.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Bodies are read into memory: a bulk of twenty entities fits many times over.
DATA_UPLOAD_MAX_MEMORY_SIZE = env.whole("IDP_MAX_BODY_BYTES", 10 * 1024 * 1024, low=1024)
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000  # a change list with a full page of rows selected
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_HANDLERS = [
    "idp.uploads.BodyCap",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

globals().update(env.email("IDP_EMAIL_URL", "consolemail://"))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text(
    "IDP_EMAIL_FROM", f"idp@{urlsplit(IDP_URL).hostname or 'localhost'}"
)

# What was not understood above; see idp.checks.
IDP_PROBLEMS = tuple(env.problems)
