"""Policies of actions: rules over the catalogue that say who may run one, or approve its runs.

    {"queries": {"owners": {search query}}, "conditions": ["JQ", …]}

The queries are searched, and each condition is asked of what they found (`.results.NAME.entities`)
and of who wants what: `.inputs`, `.entity`, `.user`, `.trigger`, `.action`, `.blueprint`. Texts of
queries and conditions may hold `{{ JQ }}`, and a value of a rule may be {"jqQuery": "JQ"}. What
cannot be evaluated allows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from actions.services.templates import OPENING, Expression, parse, texts
from actions.services.templating import check, fill_in
from catalog.kernel import jq
from catalog.kernel.actors import Insider
from catalog.kernel.errors import IdpError, InvalidExpression, InvalidInput, shorten
from catalog.selectors.documents import documents
from catalog.selectors.search import Scope, search
from catalog.selectors.search.rules import parse as parse_query

MAX_ENTITIES: Final = 1000  # of one query
_ROOT: Final = "$__root"


class PolicyFailed(Exception):
    """Why a policy could not be evaluated, for those who may change it."""


def check_policy(policy: Mapping[str, Any], *, field: str) -> None:
    """Raises InvalidInput, naming the place, for a policy that could never be evaluated."""
    for name, query in (policy.get("queries") or {}).items():
        _check_query(query, f"{field}.queries.{name}")
    places = {f"{field}.conditions[{n}]": one for n, one in enumerate(policy["conditions"])}
    spliced = {place: _spliced(condition, place) for place, condition in places.items()}
    for error in jq.check_all(spliced).values():
        raise error


def lets_pass(policy: Mapping[str, Any], context: Mapping[str, Any]) -> bool:
    """Whether one of the conditions is true, as in Port. Raises PolicyFailed."""
    found = False
    for condition, value in _evaluated(policy, context):
        if not isinstance(value, bool):
            raise PolicyFailed(
                f'The condition "{shorten(condition)}" gave {jq.describe(value)}; '
                "expected true or false"
            )
        found = found or value
    return found


def names(policy: Mapping[str, Any], context: Mapping[str, Any]) -> list[str]:
    """The e-mail addresses that the conditions give, each once. Raises PolicyFailed."""
    found: dict[str, None] = {}
    for condition, value in _evaluated(policy, context):
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise PolicyFailed(
                f'The condition "{shorten(condition)}" gave {jq.describe(value)}; '
                "expected a list of e-mail addresses"
            )
        found |= dict.fromkeys(one.lower() for one in value if one)
    return list(found)


def _evaluated(policy: Mapping[str, Any], context: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each condition with what it gave."""
    results = _results(policy.get("queries") or {}, context)
    conditions: list[str] = policy["conditions"]
    try:
        spliced = [_spliced(one, "conditions") for one in conditions]
    except IdpError as error:
        raise PolicyFailed(str(error)) from error
    program = jq.Program({str(number): one for number, one in enumerate(spliced)})
    [outcome] = jq.run(program, [{**context, "results": results}])
    if outcome.failure:
        raise PolicyFailed(f"The conditions failed: {outcome.failure}")
    for number, condition in enumerate(conditions):
        if message := outcome.errors.get(str(number)):
            raise PolicyFailed(f'The condition "{shorten(condition)}" failed: {message}')
        yield condition, outcome.values[str(number)]


def _results(queries: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """{name: {"entities": [documents]}}, at most `MAX_ENTITIES` each."""
    # All that there is can be asked for; "the calling user" of rules is whoever started it.
    reader = Insider(str((context.get("user") or {}).get("email") or ""))
    scope = Scope(reader)
    results = {}
    for name, query in queries.items():
        try:
            filled = _filled_in(query, context, f"queries.{name}")
            found = search(filled, principal=reader, scope=scope).order_by("pk")
            pks = list(found.values_list("pk", flat=True)[:MAX_ENTITIES])
        except IdpError as error:
            raise PolicyFailed(f'The query "{shorten(name)}" failed: {error}') from error
        results[name] = {"entities": [orjson.loads(one) for one in documents(pks)]}
    return results


def _filled_in(query: Any, context: Mapping[str, Any], field: str) -> Any:
    """The query with its placeholders filled in: with values, never with further rules.

    Raises InvalidExpression.
    """
    template = _as_template(query)
    filled = fill_in(template, context, field=field)
    _refuse_rules(template, filled, field)
    return filled


def _as_template(value: Any) -> Any:
    """{"jqQuery": "JQ"} as "{{ JQ }}"."""
    if isinstance(value, Mapping):
        if value.keys() == {"jqQuery"} and isinstance(value["jqQuery"], str):
            return f"{{{{ {value['jqQuery']} }}}}"
        return {key: _as_template(one) for key, one in value.items()}
    return [_as_template(one) for one in value] if isinstance(value, list) else value


def _refuse_rules(template: Any, filled: Any, field: str) -> None:
    """Raises InvalidExpression where an object came in for a text: inputs say what is looked for,
    not how.
    """
    if isinstance(template, str):
        parts = filled if isinstance(filled, list) else [filled]
        if any(isinstance(one, list | Mapping) for one in parts):
            raise InvalidExpression(
                f"{field}: {shorten(template)} gave {jq.describe(filled)}; expected plain values",
                details={"field": field, "expression": template},
            )
    elif isinstance(template, Mapping):
        for key, one in template.items():
            _refuse_rules(one, filled.get(key), f"{field}.{key}")
    elif isinstance(template, list):
        for number, (one, value) in enumerate(zip(template, filled, strict=True)):
            _refuse_rules(one, value, f"{field}[{number}]")


def _check_query(query: Any, where: str) -> None:
    template = _as_template(query)
    if not isinstance(template, Mapping):
        raise InvalidInput.of(where, query, "an object with combinator and rules")
    check(template, field=where)
    if not any(texts(template, where)):  # values that are not there yet may be of any kind
        parse_query(query, path=where)
    for key in _keys(template):
        if OPENING in key:
            raise InvalidInput.of(where, key, "templates in values of rules only")


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from value
    parts = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, Mapping | list):
        for part in parts:
            yield from _keys(part)


def _spliced(condition: str, where: str) -> str:
    """A condition with its `{{ JQ }}` as JQ: asked of the whole, whatever `.` is at that place.

    A value is never put into the program as text: whoever fills in an input would write conditions.
    Raises InvalidExpression.
    """
    template = parse(condition, where=where)
    if template is None:
        return condition
    parts: list[str] = []
    quote = ""
    for part in template.parts:
        if isinstance(part, Expression):
            asked = f"({_ROOT} | {part.jq})"
            parts.append(f"\\{asked}" if quote else asked)
        else:
            quote = _quote_behind(part, quote)
            parts.append(part)
    return f". as {_ROOT} | {''.join(parts)}"


def _quote_behind(part: str, quote: str) -> str:
    """The quote of the text that we are in behind this part of JQ; "" in none."""
    signs = iter(part)
    for sign in signs:
        if quote and sign == "\\":
            next(signs, None)
        elif sign == quote:
            quote = ""
        elif not quote and sign in "\"'":
            quote = sign
    return quote
