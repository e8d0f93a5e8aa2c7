"""Which entities a CQL expression is true of."""

from __future__ import annotations

from typing import Final

from django.db import OperationalError, connection, transaction
from django.utils import timezone
from psycopg.errors import QueryCanceled

from catalog.kernel.actors import Principal
from catalog.kernel.errors import InvalidInput, LimitExceeded
from catalog.models import TEAM, Entity
from catalog.selectors.kinds import Kinds, load_kinds
from scorecards import cql
from scorecards.definition import Definition, Filter, Language, RuleSpec
from scorecards.rules.compiling import compile_scorecard
from scorecards.rules.judging import TooLong, in_scope, run_calls

MAX_FOUND: Final = 20_000
TIMEOUT_S: Final = 20

_RULE: Final = "query"


class TooSlow(Exception):
    """There was no answer within `TIMEOUT_S`."""


def ask(query: str, principal: Principal) -> list[Entity]:
    """The entities of all kinds but those of the system, teams included, by kind and identifier;
    `blueprint` loaded.

    Raises InvalidInput with the position for what is no CQL, or cannot be asked; LimitExceeded for
    more than `MAX_FOUND`; TooSlow.
    """
    cql.check(query)
    kinds = load_kinds()
    asked = Definition(
        _RULE,
        _RULE,
        filter=Filter(types=tuple(_types(kinds))),
        rules=(RuleSpec(_RULE, _RULE, Language.CQL, query),),
    )
    compiled = compile_scorecard(asked, {_RULE: 0}, kinds, timezone.now())
    [rule] = compiled.rules
    if rule.compiled.problem:
        raise InvalidInput.of("query", query, f"what can be asked: {rule.compiled.problem}")
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL jit = off; SET LOCAL statement_timeout = '{TIMEOUT_S}s'")
            run_calls(compiled, within_s=TIMEOUT_S)
            found = list(
                in_scope(compiled, None)
                .visible_to(principal)
                .filter(rule.compiled.verdict)
                .select_related("blueprint")
                .order_by("blueprint__identifier", "identifier")[: MAX_FOUND + 1]
            )
            cursor.execute("SET LOCAL statement_timeout = DEFAULT")
    except TooLong as error:
        raise TooSlow from error
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooSlow from error
        raise
    if len(found) > MAX_FOUND:
        raise LimitExceeded(
            f"More than {MAX_FOUND:,} entities fit the query",
            hint="Narrow it down.",
            details={"field": "query", "expected": f"<= {MAX_FOUND} entities"},
        )
    return found


def _types(kinds: Kinds) -> list[str]:
    return [
        kind.identifier
        for kind in kinds
        if kind.identifier == TEAM or not kind.identifier.startswith("_")
    ]
