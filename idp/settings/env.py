"""Typed reads from the environment.

A value that is not understood becomes a `Problem` and the default takes its place, so that one
start names every wrong variable with its value and what was expected. `idp.checks` reports them;
the web and worker processes refuse to start with one.
"""

import base64
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from catalog.kernel.allow_list import read_allow_list
from catalog.kernel.errors import InvalidInput

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}

_env = environ.Env()


@dataclass(frozen=True)
class Problem:
    """A variable that was not understood. code: the id of the system check that reports it."""

    code: str
    message: str


problems: list[Problem] = []


def _bad(code: str, name: str, shown: str, expected: str) -> None:
    problem = Problem(code, f"{name} is {shown!r}; expected {expected}.")
    if problem not in problems:
        problems.append(problem)


def text(name: str, default: str = "") -> str:
    """Return the variable as text; unset and empty are the same."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool) -> bool:
    """Return the variable as a boolean."""
    value = text(name).lower()
    if value in _TRUE | _FALSE:
        return value in _TRUE
    if value:
        _bad("idp.E002", name, value, "true or false")
    return default


def whole(name: str, default: int, *, low: int = 0, high: int = 2**31 - 1) -> int:
    """Return the variable as a whole number from `low` to `high`."""
    value = text(name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        number = low - 1
    if low <= number <= high:
        return number
    _bad("idp.E003", name, value, f"a whole number from {low} to {high}")
    return default


def choice(name: str, default: str, allowed: Collection[str]) -> str:
    """Return the variable when it is one of `allowed`, in their spelling, whatever its case."""
    value = text(name, default)
    for option in allowed:
        if option.lower() == value.lower():
            return option
    _bad("idp.E004", name, value, "one of " + ", ".join(sorted(allowed)))
    return default


def listed(name: str) -> list[str]:
    """Return a comma-separated variable as a list, without blanks."""
    return [part.strip() for part in text(name).split(",") if part.strip()]


def path(name: str, default: str) -> Path:
    """Return the variable as an absolute path; a relative one starts in the current folder."""
    return Path(text(name, default)).expanduser().resolve()


def url(name: str, default: str) -> str:
    """Return an http(s) address without a final slash."""
    value = text(name, default)
    try:
        parts = urlsplit(value)
        understood = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        understood = False
    if not understood or parts.path.strip("/") or parts.query or parts.fragment:
        _bad("idp.E005", name, value, "an address like https://idp.example.com")
        value = default
    return value.rstrip("/")


def _scheme(value: str) -> str:
    """Return what may be shown of a URL that can hold a password."""
    return value.partition("://")[0] + "://…" if "://" in value else "not a URL"


def database(name: str, default: str) -> dict[str, Any]:
    """Return Django's settings for a PostgreSQL URL, such as postgresql://user:pw@host:5432/idp."""
    value = text(name, default)
    try:
        config = dict(_env.db_url_config(value))
    except (ImproperlyConfigured, ValueError):
        config = {}
    if config.get("ENGINE") != "django.db.backends.postgresql" or not config.get("NAME"):
        expected = "a URL like postgresql://user:password@host:5432/idp"
        _bad("idp.E006", name, _scheme(value), expected)
        config = dict(_env.db_url_config(default))
    return config


def redis(name: str, default: str) -> str:
    """Return a Redis URL: redis://, rediss:// or unix://."""
    value = text(name, default)
    if value.partition("://")[0] not in {"redis", "rediss", "unix"}:
        expected = "a URL like redis://host:6379/0 or unix:///path/redis.sock?db=0"
        _bad("idp.E007", name, _scheme(value), expected)
        return default
    return value


def email(name: str, default: str) -> dict[str, Any]:
    """Return Django's e-mail settings for a URL such as smtp+tls://user:pw@host:587."""
    value = text(name, default)
    try:
        return dict(_env.email_url_config(value))
    except (ImproperlyConfigured, KeyError, ValueError):
        expected = "a URL like smtp+tls://user:password@host:587"
        _bad("idp.E008", name, _scheme(value), expected)
        return dict(_env.email_url_config(default))


def allowed(name: str) -> tuple[str, ...]:
    """Return a comma-separated list of hosts, *.suffixes, addresses and networks."""
    entries = tuple(listed(name))
    try:
        read_allow_list(entries)
    except InvalidInput as error:
        _bad("idp.E012", name, error.details["value"], "host names, *.suffixes and networks")
        return ()
    return entries


def proxy(name: str) -> str:
    """Return the address of an HTTP proxy, which may hold a user and a password; "" for none."""
    value = text(name)
    try:
        parts = urlsplit(value)
        understood = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        understood = False
    if value and not understood:
        _bad("idp.E014", name, _scheme(value), "an address like http://proxy.example.com:3128")
        return ""
    return value


def file(name: str) -> str:
    """Return the path of a file that can be read; "" when unset."""
    if not (value := text(name)):
        return ""
    found = path(name, "")
    if not os.access(found, os.R_OK) or not found.is_file():
        _bad("idp.E015", name, value, "a file that this program may read")
        return ""
    return str(found)


def keys(name: str, kept: Path) -> tuple[str, ...]:
    """Return encryption keys: those of the comma-separated variable, else the lines of `kept`.

    The first one seals, all of them open. Nothing of them is shown.
    """
    found, source = listed(name), name
    if not found:
        try:
            found, source = kept.read_text().split(), str(kept)
        except OSError:
            return ()
    for number, key in enumerate(found, 1):
        try:
            is_good = len(base64.urlsafe_b64decode(key)) == 32
        except ValueError:
            is_good = False
        if not is_good:
            expected = "32 random bytes in URL-safe base64 (manage.py rotate_keys --new-key)"
            _bad("idp.E013", source, f"(key {number} of {len(found)})", expected)
            return ()
    return tuple(found)


def refuse(found: Collection[Problem]) -> None:
    """End this process with the problems as its message, if there are any."""
    if found:
        raise SystemExit("\n".join(f"error: {problem.message}" for problem in found))
