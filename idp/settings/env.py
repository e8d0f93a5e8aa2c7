"""Typed reads from the environment whose errors name the variable, the value and what was expected.

Every bad value is collected, so that one start shows all of them: `finish()` raises once.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}

_env = environ.Env()
_problems: list[str] = []


def _bad(name: str, value: str, expected: str) -> None:
    _problems.append(f"{name}={value!r} is not understood: expected {expected}.")


def text(name: str, default: str = "") -> str:
    """Return the variable as text; unset and empty are the same."""
    return _env.str(name, default="") or default


def flag(name: str, default: bool) -> bool:
    """Return the variable as a boolean."""
    value = text(name).strip().lower()
    if not value:
        return default
    if value in _TRUE:
        return True
    if value not in _FALSE:
        _bad(name, os.environ[name], "true or false")
    return False


def whole(name: str, default: int, *, low: int = 0, high: int = 2**31 - 1) -> int:
    """Return the variable as a whole number from `low` to `high`."""
    value = text(name).strip()
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        _bad(name, value, f"a whole number from {low} to {high}")
        return default
    if not low <= number <= high:
        _bad(name, value, f"a whole number from {low} to {high}")
        return default
    return number


def choice(name: str, default: str, allowed: set[str]) -> str:
    """Return the variable when it is one of `allowed`, whatever its case."""
    value = text(name, default).strip()
    for option in allowed:
        if option.lower() == value.lower():
            return option
    _bad(name, value, "one of " + ", ".join(sorted(allowed)))
    return default


def listed(name: str) -> list[str]:
    """Return a comma-separated variable as a list, without blanks."""
    return [part.strip() for part in text(name).split(",") if part.strip()]


def path(name: str, default: str) -> Path:
    """Return the variable as an absolute path; a relative one starts in the current folder."""
    return Path(text(name, default)).expanduser().absolute()


def database(name: str, default: str) -> dict[str, object]:
    """Return Django's settings for a PostgreSQL URL, such as postgresql://user:pw@host:5432/idp."""
    url = text(name, default)
    try:
        config = dict(_env.db_url_config(url))
    except (ImproperlyConfigured, ValueError):
        config = {}
    if config.get("ENGINE") != "django.db.backends.postgresql" or not config.get("NAME"):
        # The value may hold a password: name the scheme alone.
        scheme = urlsplit(url).scheme or "no scheme"
        _bad(name, f"{scheme}://…", "a URL like postgresql://user:password@host:5432/idp")
        config = dict(_env.db_url_config(default))
    return config


def redis(name: str, default: str) -> str:
    """Return a Redis URL: redis://, rediss:// or unix://."""
    url = text(name, default)
    if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
        scheme = urlsplit(url).scheme or "no scheme"
        _bad(name, f"{scheme}://…", "a URL like redis://host:6379/0 or unix:///path/redis.sock?db=0")
        return default
    return url


def email(name: str, default: str) -> dict[str, object]:
    """Return Django's e-mail settings for a URL such as smtp+tls://user:pw@host:587."""
    url = text(name, default)
    try:
        return dict(_env.email_url_config(url))
    except (ImproperlyConfigured, KeyError, ValueError):
        scheme = urlsplit(url).scheme or "no scheme"
        _bad(name, f"{scheme}://…", "a URL like smtp+tls://user:password@host:587")
        return dict(_env.email_url_config(default))


def finish() -> None:
    """Raise ImproperlyConfigured with every bad value seen so far, if there was one."""
    if _problems:
        problems = "\n".join(_problems)
        _problems.clear()
        raise ImproperlyConfigured(problems)
