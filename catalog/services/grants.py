"""Grants: lists of who may do a thing, as permissions of blueprints, pages and actions hold them.

{"users": [e-mail addresses or ids of API clients], "roles": [], "teams": [names or identifiers],
"ownedByTeam": whether the teams that own the entity may, "policy": rules over the catalogue, where
there are such}. What asks the lists is `permissions.Standing.is_granted`; a policy is asked by
whoever keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from catalog.kernel.actors import Role
from catalog.kernel.errors import InvalidInput
from catalog.kernel.schema import check_json

MAX_NAMES: Final = 1000
MAX_QUERIES: Final = 20
MAX_CONDITIONS: Final = 20
_LISTS: Final = ("users", "roles", "teams")
_MODERATOR: Final = "-moderator"


def grant_to(*roles: Role, with_owners: bool = True) -> dict[str, Any]:
    """A grant to roles alone."""
    grant: dict[str, Any] = {"users": [], "roles": [str(role) for role in roles], "teams": []}
    return {**grant, "ownedByTeam": False} if with_owners else grant


def parse_grant(value: Any, *, field: str, stored: Mapping[str, Any]) -> dict[str, Any]:
    """`stored` with the keys that `value` says; all lists are there afterwards.

    `ownedByTeam` and `policy` count where `stored` has them. Raises InvalidInput.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput.of(field, value, "an object with users, roles and teams")
    check_json(dict(value))
    grant = dict(stored)
    if value.get("policy") is not None and "policy" not in stored:
        raise InvalidInput.of(
            f"{field}.policy",
            value["policy"],
            "no policy: policies are not evaluated here, so one would have no effect",
        )
    if "policy" in stored and "policy" in value:
        grant["policy"] = _policy(value["policy"], f"{field}.policy")
    for key in _LISTS:
        if key in value:
            grant[key] = _names(value[key], f"{field}.{key}")
    for role in grant["roles"]:
        if role not in list(Role) and not role.endswith(_MODERATOR):
            raise InvalidInput.of(
                f"{field}.roles",
                role,
                f"{', '.join(Role)}, or a moderator (which grants nobody anything here)",
            )
    if "ownedByTeam" in stored and value.get("ownedByTeam") is not None:
        if not isinstance(value["ownedByTeam"], bool):
            raise InvalidInput.of(f"{field}.ownedByTeam", value["ownedByTeam"], "true or false")
        grant["ownedByTeam"] = value["ownedByTeam"]
    return grant


def _policy(value: Any, field: str) -> dict[str, Any] | None:
    """Its shape; what the queries and conditions say is for whoever evaluates them to check."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InvalidInput.of(field, value, "an object with queries and conditions, or null")
    queries, conditions = value.get("queries", {}), value.get("conditions")
    if not isinstance(queries, Mapping) or len(queries) > MAX_QUERIES:
        raise InvalidInput.of(
            f"{field}.queries", queries, f"an object of at most {MAX_QUERIES} search queries"
        )
    if (
        not isinstance(conditions, list)
        or not 1 <= len(conditions) <= MAX_CONDITIONS
        or not all(isinstance(one, str) for one in conditions)
    ):
        raise InvalidInput.of(
            f"{field}.conditions", conditions, f"a list of 1 to {MAX_CONDITIONS} JQ expressions"
        )
    return dict(value)


def _names(value: Any, field: str) -> list[str]:
    if value is None:
        return []
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if not is_list or not all(isinstance(one, str) and one for one in value):
        raise InvalidInput.of(field, value, "a list of names")
    if len(value) > MAX_NAMES:
        raise InvalidInput.of(field, f"{len(value)} names", f"at most {MAX_NAMES}")
    return list(dict.fromkeys(value))
