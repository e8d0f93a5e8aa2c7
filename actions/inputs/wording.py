"""What is wrong with a value, in words for whoever typed it; the value itself is never told."""

from __future__ import annotations

from typing import Final

from catalog.kernel.errors import shorten
from catalog.kernel.schema import Problem

_TYPES: Final = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "nothing",
}
_FORMATS: Final = {
    "date-time": "a date and time like 2026-03-01T09:30:00Z",
    "date": "a date like 2026-03-01",
    "time": "a time like 09:30:00Z",
    "url": "an address like https://example.com",
    "uri": "an address like https://example.com",
    "email": "an e-mail address",
    "ipv4": "an IPv4 address like 10.0.0.1",
    "ipv6": "an IPv6 address like 2001:db8::1",
    "hostname": "a host name",
    "uuid": "a UUID",
}
_LIMITS: Final = {
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minItems": "needs at least {} of them",
    "maxItems": "takes at most {} of them",
    "minProperties": "needs at least {} keys",
    "maxProperties": "takes at most {} keys",
    "pattern": "must match the pattern {}",
    "const": "must be {}",
}


def in_words(problem: Problem) -> str:
    keyword, _, argument = problem.expected.partition(": ")
    if keyword == "type":
        return f"must be {' or '.join(_TYPES.get(one, one) for one in argument.split(' or '))}"
    if keyword == "format":
        return f"must be {_FORMATS.get(argument, argument)}"
    if keyword == "enum":
        return f"must be one of {shorten(argument.strip('[]').replace(',', ', '), 300)}"
    if keyword == "required":
        return f"lacks {argument.strip(chr(34))}"
    if keyword == "uniqueItems":
        return "must not have the same value twice"
    if keyword == "additionalProperties":
        return "has a key that is not known here"
    if keyword in _LIMITS:
        said = _LIMITS[keyword].format(argument)
        return said.replace("1 characters", "1 character") if argument == "1" else said
    return "does not fit what is asked for"
