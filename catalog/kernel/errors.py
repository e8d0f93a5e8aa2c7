"""One tree of errors. Every edge (REST, admin, portal, commands) turns these into its own shape.

`code` is stable and for programs, `message` is for people, `hint` says what to do next,
`details` is a JSON object with the field, the value and what was expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import Repr
from typing import Any, ClassVar, Self


class IdpError(Exception):
    """Base of all errors that a caller may see."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(
        self, message: str, *, hint: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})

    def __str__(self) -> str:
        return f"{self.message.rstrip('.')}. {self.hint}" if self.hint else self.message


class InvalidRequest(IdpError):
    """The request itself is malformed: bad JSON, wrong parameter, wrong shape."""

    code = "invalid_request"
    status = 400


class NotAuthenticated(IdpError):
    code = "unauthorized"
    status = 401


class PermissionDenied(IdpError):
    code = "forbidden"
    status = 403


class NotFound(IdpError):
    code = "not_found"
    status = 404

    @classmethod
    def of(cls, resource: str, value: str, *, field: str = "identifier") -> Self:
        """The usual sentence and details for `resource` ("Blueprint", "Entity")."""
        return cls(
            f'{resource} with {field} "{shorten(value)}" was not found',
            details={"resource": resource, "with": field, "value": shorten(value)},
        )


class Conflict(IdpError):
    code = "conflict"
    status = 409


class AlreadyExists(Conflict):
    code = "already_exists"

    @classmethod
    def of(cls, resource: str, value: str, *, field: str = "identifier") -> Self:
        """The usual sentence and details for `resource` ("Blueprint", "Entity")."""
        return cls(
            f'{resource} "{shorten(value)}" exists already',
            details={"resource": resource, "with": field, "value": shorten(value)},
        )


class HasDependents(Conflict):
    code = "has_dependents"


class PayloadTooLarge(IdpError):
    code = "payload_too_large"
    status = 413


class InvalidInput(IdpError):
    """Well-formed but wrong: a value that breaks a schema, a name with a forbidden letter."""

    code = "invalid_input"
    status = 422

    @classmethod
    def of(cls, field: str, value: object, expected: str, *, hint: str = "") -> Self:
        """The usual sentence and details; never with a secret as `value`."""
        return cls(
            f"{field} is {shorten(value)}; expected {expected}",
            hint=hint,
            details={"field": field, "value": shorten(value), "expected": expected},
        )


class InvalidBlueprint(InvalidInput):
    code = "invalid_blueprint"


class BreakingChange(InvalidInput):
    """A blueprint change that existing entities do not survive. `details["impact"]` says which."""

    code = "breaking_change"


class InvalidEntity(InvalidInput):
    code = "invalid_entity"


class InvalidQuery(InvalidInput):
    code = "invalid_query"


class LimitExceeded(InvalidInput):
    code = "limit_exceeded"


class InvalidExpression(InvalidInput):
    """A JQ expression or a template that does not compile."""

    code = "invalid_expression"


class InvalidMapping(InvalidInput):
    code = "invalid_mapping"


class AddressRefused(InvalidInput):
    """An address that this server does not call: private, loopback, cloud metadata."""

    code = "address_refused"


class UpstreamError(IdpError):
    """A program elsewhere answered badly; the message keeps its own words.

    `details` may hold {"status", "url" (without secrets), "retry_after_s"}.
    """

    code = "upstream_error"
    status = 502


class UpstreamRefused(UpstreamError):
    """It does not accept our credentials, or does not let them do this (401, 403)."""

    code = "upstream_refused"


class UpstreamNotFound(UpstreamError):
    code = "upstream_not_found"


class UpstreamUnavailable(UpstreamError):
    """It is away, overloaded or limiting us: trying again later may help."""

    code = "upstream_unavailable"


_outline = Repr()  # whatever the size and depth of a value
_outline.maxlist = _outline.maxdict = _outline.maxtuple = 20
_outline.maxstring = _outline.maxother = 200


def shorten(value: object, limit: int = 120) -> str:
    """`value` as text for a message, never longer than `limit` characters."""
    text = value if isinstance(value, str) else _outline.repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
