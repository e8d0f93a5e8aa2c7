"""What the rules saw: the values beside what was expected of them, kept with each score.

One flat JSON array: the actual value of each part of each rule, in the order of the rules; and, if
a rule has several parts, a text with a letter for the verdict of each part of all such rules, since
the rule's own verdict does not say it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db.models import JSONField

from catalog.selectors.sql import Sql
from scorecards.rules.compiled import Part
from scorecards.rules.compiling import CompiledRule
from scorecards.statuses import ANNOUNCED_FAIL, ANNOUNCED_PASS, FAIL, PASS, status_at

MAX_ARGUMENTS: Final = 100  # of a function, in PostgreSQL

_VERDICT: Final = "CASE {} WHEN true THEN 'P' WHEN false THEN 'F' ELSE 'N' END"
_VERDICTS: Final = {"P": True, "F": False, "N": None}
_OF_STATUS: Final = {PASS: True, ANNOUNCED_PASS: True, FAIL: False, ANNOUNCED_FAIL: False}

# Values of more than 300 characters are cut. Hardly any entity has such, so all are looked at
# together (2000 bytes): to ask one by one would take longer than to evaluate the rules.
SHORTENED: Final = """CASE WHEN pg_column_size(evidence) <= 2000 THEN evidence ELSE (
    SELECT jsonb_agg(CASE WHEN length(value::text) > 300
        THEN to_jsonb(left(value::text, 300) || '…') ELSE value END ORDER BY place)
    FROM jsonb_array_elements(evidence) WITH ORDINALITY AS one(value, place)) END"""

Seen = list[tuple[Any, bool | None]]


def evidence_of(rules: Sequence[CompiledRule]) -> Sql:
    """The expression of it, not yet shortened."""
    values = [part.actual for rule in rules for part in _parts(rule)]
    verdicts = [part.verdict for rule in rules for part in _parts(rule) if len(_parts(rule)) > 1]
    pieces = [
        f"jsonb_build_array({', '.join(['{}'] * len(values[at : at + MAX_ARGUMENTS]))})"
        for at in range(0, len(values), MAX_ARGUMENTS)
    ]
    if verdicts:
        letters = " || ".join([_VERDICT] * len(verdicts))
        pieces.append(f"jsonb_build_array({letters})")
    sql = " || ".join(pieces) or "'[]'::jsonb"
    return Sql(sql, *values, *verdicts, output_field=JSONField())


def read_evidence(
    rules: Sequence[CompiledRule], statuses: str | None, evidence: Any
) -> dict[int, Seen]:
    """[(actual, verdict of the part)] by slot of a rule; a rule of which nothing is known is left
    out. rules: as they were compiled when the score was made; if that is not so any more, and the
    next evaluation not over, nothing is known.
    """
    counts = [len(_parts(rule)) for rule in rules]
    several = sum(count for count in counts if count > 1)
    if not isinstance(evidence, list) or len(evidence) != sum(counts) + bool(several):
        return {}
    values = iter(evidence)
    letters = iter(str(evidence[-1]) if several else "")
    found: dict[int, Seen] = {}
    for rule, count in zip(rules, counts, strict=True):
        own = _OF_STATUS.get(status_at(statuses, rule.slot))
        seen = [
            (next(values), _VERDICTS.get(next(letters, "N")) if count > 1 else own)
            for _ in range(count)
        ]
        if seen:
            found[rule.slot] = seen
    return found


def _parts(rule: CompiledRule) -> Sequence[Part]:
    return () if rule.is_over else rule.compiled.parts
