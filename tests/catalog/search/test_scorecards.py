"""How searches, counts and documents of entities ask about scorecards: by whatever is registered
for it. Here it is one that knows a single scorecard, "tiers", whose level is the tier."""

import pytest
from django.db.models import F, JSONField, Value

from catalog import registry
from catalog.kernel.actors import Insider
from catalog.kernel.errors import InvalidQuery
from catalog.models import Entity
from catalog.selectors.aggregate import aggregate
from catalog.selectors.documents import Selection, document
from catalog.selectors.search import search
from catalog.selectors.search.rules import no_scorecard
from catalog.selectors.sql import Sql
from tests.factories import make_blueprint, make_entity

RULE = {"scorecard": "tiers", "operator": "=", "value": "gold"}


class Tiers:
    document_sql = """CASE WHEN e.properties ? 'tier' AND e.identifier NOT LIKE '%%!'
        THEN json_build_object('tiers', json_build_object('level', e.properties -> 'tier')) END"""

    def fits(self, scorecard, rule, operator, value, path):
        if scorecard != "tiers":
            raise no_scorecard(f"{path}.scorecard", scorecard)
        return Sql("{} ->> 'tier' = {}", F("properties"), Value(value))

    def value(self, scorecard, rule, path):
        return Sql("({} -> 'tier')", F("properties"), output_field=JSONField())


@pytest.fixture
def shop(db):
    make_blueprint("service", properties={"tier": {"type": "string"}})
    make_entity("service", "pay", properties={"tier": "gold"})
    make_entity("service", "mail")


def ask(*rules):
    query = {"combinator": "and", "rules": list(rules)}
    return list(search(query, principal=Insider()).values_list("identifier", flat=True))


def test_without_anything_registered_there_are_no_scorecards(shop, monkeypatch):
    monkeypatch.setattr(registry, "_scorecard_queries", [])
    with pytest.raises(InvalidQuery, match='no scorecard "tiers"'):
        ask(RULE)
    with pytest.raises(InvalidQuery, match='no scorecard "tiers"'):
        aggregate({"func": "countValues", "scorecard": "tiers"}, principal=Insider())
    assert b'"scorecards":{},' in document(Entity.objects.filter(identifier="pay"))


def test_what_is_registered_answers(shop, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(registry, "_scorecard_queries", [Tiers()])
    assert ask(RULE) == ["pay"]
    with pytest.raises(InvalidQuery, match=r"query.rules\[0\].scorecard: no scorecard"):
        ask({**RULE, "scorecard": "x"})
    counted = aggregate({"func": "countValues", "scorecard": "tiers"}, principal=Insider())
    assert counted == {"gold": 1}

    entities = Entity.objects.filter(identifier="pay")
    with django_assert_num_queries(1):
        assert b'"scorecards":{"tiers" : {"level" : "gold"}}' in document(entities)
    assert b'"scorecards":{},' in document(Entity.objects.filter(identifier="mail"))
    assert b"scorecards" not in document(entities, Selection.of(exclude=["scorecards"]))
