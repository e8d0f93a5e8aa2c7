"""`host?owner=…&repo=…`, as templates have repositories, in parts that people can type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from actions.inputs import Field
from actions.inputs.checking import PLACES

HOSTS: Final = ("github.com", "gitlab.com", "bitbucket.org", "dev.azure.com")
PARTS: Final = {
    "dev.azure.com": ("organization", "project", "repo"),
    "bitbucket.org": ("workspace", "project", "repo"),
}
_USUAL: Final = ("owner", "repo")
_TITLES: Final = {
    "host": "Host",
    "owner": "Owner",
    "organization": "Organization",
    "workspace": "Workspace",
    "project": "Project",
    "repo": "Repository",
}


def parts_of(url: Any) -> dict[str, str]:
    """{"host", "owner", "repo", …} of a value, as far as they are there."""
    host, _, query = str(url or "").partition("?")
    return {key: value for key, value in {"host": host, **dict(parse_qsl(query))}.items() if value}


def url_of(parts: Mapping[str, Any]) -> tuple[str | None, list[str]]:
    """The value for these parts, None where nothing is filled in; and the parts that lack."""
    host = parts.get("host") or ""
    names = names_for(host)
    if not any(parts.get(name) for name in names):
        return None, []
    lacking = [name for name in ("host", *names) if not parts.get(name)]
    return f"{host}?{urlencode({name: parts.get(name, '') for name in names})}", lacking


def names_for(host: str) -> tuple[str, ...]:
    """The parts that this host has."""
    return PARTS.get(host, _USUAL)


def fields_for(field: Field, host: str) -> dict[str, Field]:
    """What is asked for a repository on this host: its parts, limited to what is allowed."""
    return {name: _part(field, name) for name in ("host", *names_for(host))}


def host_of(field: Field, value: Any) -> str:
    """Where the repository is; where only one place is allowed, that."""
    allowed = field.options.get("allowedHosts") or []
    return parts_of(value).get("host") or (allowed[0] if allowed else HOSTS[0])


def title_of(name: str) -> str:
    return _TITLES[name]


def _part(field: Field, name: str) -> Field:
    allowed = field.options.get(PLACES.get(name, "")) or None
    return Field(
        name=name,
        title=_TITLES[name],
        type="string",
        schema={"type": "string"},
        enum=allowed,
        widget="select" if allowed else "text",
        default=allowed[0] if allowed and len(allowed) == 1 else None,
    )
