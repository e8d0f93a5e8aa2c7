"""Rules in JQ: the escape hatch for what conditions and CQL cannot say. They are run in the sandbox
over the entity's document, before the others are evaluated; `true` passes, null is no data.

The document: {"identifier", "title", "blueprint", "team", "properties" (computed ones too),
"relations", "createdAt", "updatedAt", "facts": {key: value}}.
"""

from __future__ import annotations

from typing import Final

from django.db.models import F, JSONField

from catalog.kernel import jq
from catalog.selectors.sql import Sql
from scorecards.rules.compiled import Compilation, Compiled, Part, Reads

_DOCUMENT: Final = """jsonb_build_object(
    'identifier', {}, 'title', {}, 'blueprint', {}, 'team', {},
    'properties', {} || {}, 'relations', {}, 'createdAt', {}, 'updatedAt', {},
    'facts', coalesce((SELECT jsonb_object_agg(f.key, f.value)
        FROM catalog_fact f WHERE f.entity_id = {}), '{{}}'))"""


def compile_jq(program: str, compilation: Compilation) -> Compiled:
    """A program that was checked when it was saved."""
    document = Sql(
        _DOCUMENT,
        F("identifier"),
        F("title"),
        F("blueprint__identifier"),
        F("team"),
        F("properties"),
        F("computed"),
        F("relations"),
        F("created_at"),
        F("updated_at"),
        F("pk"),
        output_field=JSONField(),
    )
    number, value = compilation.call(program, document)
    verdict = Sql("CASE WHEN {} <> 'null' THEN {} = 'true' END", value, value)
    return Compiled(
        verdict=verdict,
        parts=(Part(text=program, actual=value, verdict=verdict),),
        tree=0,
        reads=Reads(facts=frozenset({"*"})),
        calls=(number,),
    )


def check_jq(program: str, *, field: str) -> None:
    """Raises InvalidExpression with JQ's message."""
    jq.check(program, field=field)
