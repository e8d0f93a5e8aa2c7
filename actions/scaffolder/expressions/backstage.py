"""Backstage's own filters: parseRepoUrl, parseEntityRef, pick, projectSlug."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .extensions import Function
from .values import UNDEFINED, has_own, own

# The hosts that have an integration; None: every host has.
Hosts = Collection[str] | Callable[[], Collection[str]] | None
_PARTS = "owner", "repo", "organization", "workspace", "project"
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?(?::\d{1,5})?|\[[0-9a-f:.]+\](?::\d{1,5})?")
_REFERENCE = re.compile(r"(?:([^:/]+):)?(?:([^:/]+)/)?([^:/]+)")


def backstage_filters(hosts: Hosts) -> dict[str, Function]:
    def parse(url: Any) -> dict[str, str]:
        return parse_repo_url(url, hosts() if callable(hosts) else hosts)

    def slug(url: Any) -> str:
        parts = parse(url)
        return f"{parts.get('owner', 'undefined')}/{parts['repo']}"

    return {
        "parseRepoUrl": Function(parse, **_REPO_URL),
        "parseEntityRef": Function(parse_entity_ref, **_ENTITY_REF),
        "pick": Function(pick, **_PICK),
        "projectSlug": Function(slug, **_SLUG),
    }


def parse_repo_url(url: Any, hosts: Collection[str] | None) -> dict[str, str]:
    """`host?owner=…&repo=…` as {host, repo, owner?, organization?, workspace?, project?}.

    Raises ValueError for what is no such address, and for a host that is not in `hosts`.
    """
    if not isinstance(url, str):
        raise ValueError('the input is no text; expected "host?owner=…&repo=…"')
    address = urlsplit(f"https://{url}")
    host = address.netloc.lower().removesuffix(":443")
    if not _HOST.fullmatch(host):
        raise ValueError(f'Invalid repo URL passed to publisher, got "{url[:200]}"')
    if hosts is not None and host not in hosts:
        raise ValueError(
            f"No matching integration configuration for host {host}, please check your "
            "integrations config"
        )
    query = parse_qs(address.query, keep_blank_values=True, max_num_fields=50)
    parts = {name: query[name][0].strip("/") for name in _PARTS if name in query}
    if not parts.get("repo"):
        raise ValueError(f'"{url[:200]}" names no repository; expected "{host}?owner=…&repo=…"')
    if not any(parts.get(name) for name in ("owner", "project", "workspace")):
        raise ValueError(f'"{url[:200]}" names no owner; expected "{host}?owner=…&repo=…"')
    return {"host": host, **parts}


def parse_entity_ref(reference: Any, defaults: Any = UNDEFINED) -> dict[str, str]:
    """`[kind:][namespace/]name`, or an object of these, in its parts {kind, namespace, name}.

    defaults: {defaultKind?, defaultNamespace?}. Raises ValueError where the kind, or the name, is
    missing.
    """
    given = defaults if isinstance(defaults, dict) else {}
    namespace = given.get("defaultNamespace") or "default"
    kind = given.get("defaultKind") or ""
    found: tuple[Any, ...]
    if isinstance(reference, dict):
        found = (reference.get("kind"), reference.get("namespace"), reference.get("name"))
    elif isinstance(reference, str) and (match := _REFERENCE.fullmatch(reference.strip())):
        found = match.groups()
    else:
        raise ValueError("the input is no entity reference; expected [<kind>:][<namespace>/]<name>")
    parts: dict[str, Any] = {
        "kind": found[0] or kind,
        "namespace": found[1] or namespace,
        "name": found[2],
    }
    for part, value in parts.items():
        if not isinstance(value, str) or not value:
            raise ValueError(f"the entity reference has no {part}, and no default is given for it")
    return parts


def pick(value: Any, path: Any = UNDEFINED) -> Any:
    """What stands under `path` ("a", "a.b", "a[0].b"); undefined where nothing does."""
    if not isinstance(path, str):
        path = str(path) if isinstance(path, int) else ""
    if isinstance(value, dict) and path in value:
        return value[path]
    for key in re.findall(r"[^.\[\]\"']+", path):
        if not has_own(value, key):
            return UNDEFINED
        value = own(value, key)
    return value if path else UNDEFINED


def _text(description: str) -> dict[str, str]:
    return {"type": "string", "description": description}


def _record(required: Collection[str], optional: Collection[str] = ()) -> dict[str, Any]:
    properties = {name: {"type": "string"} for name in (*required, *optional)}
    return {"type": "object", "properties": properties, "required": list(required)}


def _step(expression: str) -> str:
    return f"- id: log\n  action: debug:log\n  input:\n    message: ${{{{ {expression} }}}}\n"


def _shown(given: str, result: str) -> str:
    return f"- **Input**: `{given}`\n- **Output**: `{result}`\n"


_REPOSITORY = _text("Repository address as the RepoUrlPicker yields it, host?owner=…&repo=…")
_ADDRESS = "git.example.com?owner=web&repo=shop"
_DEFAULTS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "defaultKind": _text("Kind of a reference that names none"),
        "defaultNamespace": _text("Namespace of a reference that names none"),
    },
}
_REPO_URL: dict[str, Any] = {
    "description": "Splits a repository address into host, owner, repository and so on.",
    "schema": {
        "arguments": [_REPOSITORY],
        "output": _record(("host", "repo"), ("owner", "organization", "workspace", "project")),
    },
    "examples": [
        {
            "description": "All parts of an address",
            "example": _step("parameters.repoUrl | parseRepoUrl"),
            "notes": _shown(_ADDRESS, '{"host":"git.example.com","owner":"web","repo":"shop"}'),
        }
    ],
}
_ENTITY_REF: dict[str, Any] = {
    "description": "Splits an entity reference into kind, namespace and name.",
    "schema": {
        "arguments": [
            {"anyOf": [_text("Entity reference"), _record(("name",), ("kind", "namespace"))]},
            _DEFAULTS,
        ],
        "output": _record(("kind", "namespace", "name")),
    },
    "examples": [
        {
            "description": "A complete reference",
            "example": _step("parameters.owner | parseEntityRef"),
            "notes": _shown(
                "group:web-team", '{"kind":"group","namespace":"default","name":"web-team"}'
            ),
        },
        {
            "description": "With defaults for what it leaves out",
            "example": _step("parameters.owner | parseEntityRef({ defaultKind: 'group' })"),
            "notes": _shown("web-team", '{"kind":"group","namespace":"default","name":"web-team"}'),
        },
    ],
}
_PICK: dict[str, Any] = {
    "description": "Picks one property of an object.",
    "schema": {"arguments": [{}, _text("Property, or a path like a.b[0]")], "output": {}},
    "examples": [
        {
            "description": "The name out of a reference",
            "example": _step("parameters.owner | parseEntityRef | pick('name')"),
            "notes": _shown("group:web-team", "web-team"),
        }
    ],
}
_SLUG: dict[str, Any] = {
    "description": "Makes owner/repository of a repository address.",
    "schema": {"arguments": [_REPOSITORY], "output": {"type": "string"}},
    "examples": [
        {
            "description": "The usual short name of a repository",
            "example": _step("parameters.repoUrl | projectSlug"),
            "notes": _shown(_ADDRESS, "web/shop"),
        }
    ],
}
