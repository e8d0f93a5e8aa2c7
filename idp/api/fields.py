"""`?fields=`: the parts of users, teams and API clients that a client wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework.request import Request

from catalog.api import params
from catalog.api.openapi import query

FIELDS = query("fields", "Only these: `name`, `users.email`, …", many=True)


def wanted_fields(request: Request) -> Sequence[str]:
    return params.listed(request, "fields") + params.listed(request, "fields[]")


def only(document: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """The wanted keys; "users.email" is the e-mail address alone of each user."""
    if not fields:
        return document
    shown: dict[str, Any] = {}
    for key, value in document.items():
        inner = [one.partition(".")[2] for one in fields if one.startswith(f"{key}.")]
        if key in fields:
            shown[key] = value
        elif inner and isinstance(value, list):
            shown[key] = [{name: one.get(name) for name in inner if name in one} for one in value]
    return shown
