"""Settings of the test suite: the real ones, without what only costs time."""

import os
from urllib.parse import urlsplit

from idp.settings import *  # noqa: F403
from idp.settings import CACHES, DATABASES, IDP_REDIS_URL
from idp.settings.parts.celery import broker_url

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# Pages are rendered without collectstatic.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# pytest-django drops and creates databases, which open pool connections would block.
DATABASES["default"].get("OPTIONS", {}).pop("pool", None)


def _own_redis_database(redis_url: str, worker: str) -> str:
    """Return the URL of the database that a process of pytest-xdist has for itself."""
    number = 1 + int(worker.removeprefix("gw"))
    if redis_url.startswith("unix://"):
        return f"{redis_url.partition('?')[0]}?db={number}"
    return urlsplit(redis_url)._replace(path=f"/{number}").geturl()


# Here and not in a conftest: in these processes the settings are read before any of those.
if _worker := os.environ.get("PYTEST_XDIST_WORKER"):
    IDP_REDIS_URL = CACHES["default"]["LOCATION"] = _own_redis_database(IDP_REDIS_URL, _worker)
    CELERY_BROKER_URL = broker_url(IDP_REDIS_URL)
    os.environ["REDIS_URL"] = IDP_REDIS_URL
