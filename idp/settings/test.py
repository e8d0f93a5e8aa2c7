"""Settings of the test suite: the real ones, without what only costs time."""

from idp.settings import *  # noqa: F403
from idp.settings import DATABASES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# Pages are rendered without collectstatic.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# pytest-django drops and creates databases, which open pool connections would block.
DATABASES["default"].get("OPTIONS", {}).pop("pool", None)
