"""Search by the rule language (docs/search.md): one compiler for REST, the portal and scorecards.

    search({"combinator": "and", "rules": [{"property": "tier", "operator": "=", "value": 1}]},
           principal=request.user, blueprint=blueprint)

`rules` reads a query into a tree, `compiler` turns the tree into conditions, `operands` knows the
SQL of each question, `scope` looks up what the answers depend on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog.kernel.actors import Principal
from catalog.models import Blueprint, EntityQuerySet
from catalog.selectors.search.compiler import Compiler, named_blueprint
from catalog.selectors.search.rules import parse
from catalog.selectors.search.scope import Scope

__all__ = ["Scope", "search"]


def search(
    query: Mapping[str, Any] | None,
    *,
    principal: Principal,
    blueprint: Blueprint | None = None,
    scope: Scope | None = None,
) -> EntityQuerySet:
    """The entities that satisfy `query` and that `principal` may see; all of them without rules.

    blueprint: look only among its entities; a query that insists on `$blueprint = x` says as much.
    Rules about relations must then be about those it has. scope: share one among the searches of a
    request. Unordered. Reads the list of blueprints (one statement) when a rule needs it; rules
    about the calling user read that too.

    Raises InvalidQuery naming the rule, LimitExceeded for a query that is too big.
    """
    scope = scope or Scope(principal)
    rules = parse(query)
    only = blueprint.pk if blueprint else named_blueprint(rules, scope)
    entities = scope.entities.filter(Compiler(scope, only).group(rules))
    return entities.filter(blueprint=blueprint) if blueprint else entities
