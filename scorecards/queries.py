"""How searches and documents of entities ask about scorecards: by their identifier, of those that
are active. Several blueprints may have one of the same name; an entity is in one of them at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db.models import F, JSONField, Value

from catalog.selectors.search.rules import no_scorecard, wrong
from catalog.selectors.sql import Sql, any_of
from scorecards.formats import definition_of
from scorecards.models import Rule, Scorecard
from scorecards.statuses import BLOCKING, COUNTED, PASS

SUCCESS, FAILURE = "SUCCESS", "FAILURE"  # the words of Port's API

# Levels compare by rank, whatever they are called.
_COMPARISONS: Final[Mapping[str, str]] = {
    "=": "=",
    "!=": "<>",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}
_LETTERS: Final[Mapping[str, str]] = {
    SUCCESS: "".join(one for one in COUNTED if one not in BLOCKING),
    FAILURE: "".join(one for one in COUNTED if one in BLOCKING),
}

_DOCUMENT: Final = f"""
SELECT json_object_agg(c.identifier, json_build_object(
    'level', nullif(s.level, ''),
    'rules', (
        SELECT coalesce(json_agg(json_build_object(
            'identifier', r.identifier,
            'status', CASE substr(s.statuses, r.slot + 1, 1)
                      WHEN '{PASS.letter}' THEN '{SUCCESS}' ELSE '{FAILURE}' END,
            'level', nullif(r.level, '')
        ) ORDER BY r.position), '[]')
        FROM scorecards_rule r
        WHERE r.scorecard_id = s.scorecard_id AND r.removed_at IS NULL
          AND substr(s.statuses, r.slot + 1, 1) IN ({", ".join(f"'{one}'" for one in COUNTED)})
    )) ORDER BY c.id)
FROM scorecards_score s
JOIN scorecards_scorecard c ON c.id = s.scorecard_id AND c.state = '{Scorecard.State.ACTIVE}'
WHERE s.entity_id = e.id
"""  # noqa: S608 - made of our own words


class Queries:
    """See `catalog.registry.ScorecardQueries`."""

    document_sql = _DOCUMENT

    def fits(self, scorecard: str, rule: str | None, operator: str, value: str, path: str) -> Any:
        """The condition on Entity that it has a result whose level compares so, or that does so on
        a rule. Entities that the scorecard, or the rule, is not about never fit.
        """
        found = _scorecards(scorecard, f"{path}.scorecard")
        if rule is not None:
            return _does(_rules(found, rule, f"{path}.scorecardRule"), operator, value, path)
        if operator not in _COMPARISONS:
            expected = "one of " + ", ".join(_COMPARISONS)
            raise wrong(f"{path}.operator", operator, expected)
        ranks = {one.pk: _rank(one, value) for one in found}
        if all(rank is None for rank in ranks.values()):
            expected = f"a level of {scorecard}: {', '.join(_levels(found))}"
            raise wrong(f"{path}.value", value, expected)
        return any_of(
            Sql(
                "EXISTS (SELECT FROM scorecards_score s WHERE s.entity_id = {} "
                f"AND s.scorecard_id = {{}} AND s.rank {_COMPARISONS[operator]} {{}})",
                F("pk"),
                Value(pk),
                Value(rank),
            )
            for pk, rank in ranks.items()
            if rank is not None
        )

    def value(self, scorecard: str, rule: str | None, path: str) -> Any:
        """A jsonb expression on Entity: the title of its level, or SUCCESS or FAILURE on a rule;
        NULL where there is no result, no level yet, or the rule does not count."""
        within = f"{path}." if path else ""
        found = _scorecards(scorecard, f"{within}scorecard")
        if rule is None:
            return Sql(
                "(SELECT to_jsonb(nullif(s.level, '')) FROM scorecards_score s "
                "WHERE s.entity_id = {} AND s.scorecard_id = ANY({}::bigint[]))",
                F("pk"),
                _array([one.pk for one in found]),
                output_field=JSONField(),
            )
        field = f"{within}scorecardRule" if path else "rule"
        rules = _rules(found, rule, field)
        return Sql(
            "(SELECT to_jsonb(CASE WHEN strpos({}, x.letter) > 0 THEN {} "
            "WHEN strpos({}, x.letter) > 0 THEN {} END) FROM "
            "(SELECT nullif(substr(s.statuses, r.slot + 1, 1), '') AS letter "
            "FROM scorecards_score s JOIN scorecards_rule r ON r.scorecard_id = s.scorecard_id "
            "WHERE s.entity_id = {} AND r.id = ANY({}::bigint[])) x)",
            *(Value(_LETTERS[SUCCESS]), Value(SUCCESS), Value(_LETTERS[FAILURE]), Value(FAILURE)),
            F("pk"),
            _array([one.pk for one in rules]),
            output_field=JSONField(),
        )


def _does(rules: Sequence[Rule], operator: str, value: str, path: str) -> Any:
    """The condition that an entity passes a rule, or does not although it counts."""
    if operator not in ("=", "!="):
        raise wrong(f"{path}.operator", operator, "= or != for a rule")
    if value not in _LETTERS:
        raise wrong(f"{path}.value", value, f"{SUCCESS} or {FAILURE}")
    is_passed = (value == SUCCESS) is (operator == "=")
    return Sql(
        "EXISTS (SELECT FROM scorecards_score s JOIN scorecards_rule r "
        "ON r.scorecard_id = s.scorecard_id WHERE s.entity_id = {} AND r.id = ANY({}::bigint[]) "
        "AND strpos({}, nullif(substr(s.statuses, r.slot + 1, 1), '')) > 0)",
        F("pk"),
        _array([one.pk for one in rules]),
        Value(_LETTERS[SUCCESS if is_passed else FAILURE]),
    )


def _scorecards(identifier: str, field: str) -> list[Scorecard]:
    found = list(
        Scorecard.objects.filter(identifier=identifier, state=Scorecard.State.ACTIVE)
        .select_related("blueprint")
        .order_by("pk")
    )
    if not found:
        raise no_scorecard(field, identifier)
    return found


def _rules(scorecards: Sequence[Scorecard], identifier: str, field: str) -> list[Rule]:
    of_these = Rule.objects.filter(scorecard__in=scorecards, removed_at=None)
    found = list(of_these.filter(identifier=identifier).order_by("pk"))
    if not found:
        known = ", ".join(dict.fromkeys(of_these.values_list("identifier", flat=True)))
        expected = f"a rule of {scorecards[0].identifier}" + (f": {known}" if known else "")
        raise wrong(field, identifier, expected)
    return found


def _rank(scorecard: Scorecard, level: str) -> int | None:
    return definition_of(scorecard).rank_of(level)


def _levels(scorecards: Sequence[Scorecard]) -> list[str]:
    titles = (level.title for one in scorecards for level in definition_of(one).levels)
    return list(dict.fromkeys(title for title in titles if title))


def _array(pks: Sequence[int]) -> Value:
    return Value("{" + ",".join(str(pk) for pk in pks) + "}")
