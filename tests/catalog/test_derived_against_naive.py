"""Random kinds, definitions and writes: what is stored is what a plain recomputation says."""

from __future__ import annotations

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.kernel.errors import InvalidBlueprint
from catalog.models import Entity
from catalog.services import entities
from catalog.services.blueprints import blueprint_document, patch_blueprint
from catalog.services.blueprints.documents import get_blueprint
from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply
from tests.catalog.following import Follower
from tests.factories import ACTOR, make_blueprint

pytestmark = pytest.mark.django_db

KINDS = ("ka", "kb", "kc")
IDENTIFIERS = ("x", "y", "z")
RELATIONS = ("r", "s")
NAMES = ("p", "m", "n", "c", "a", "b")

relation = st.fixed_dictionaries({"target": st.sampled_from([*KINDS, "*"]), "many": st.booleans()})
mirror = st.builds(
    lambda steps, last: {"path": ".".join([*steps, last])},
    st.lists(st.sampled_from(RELATIONS), min_size=1, max_size=3),
    st.sampled_from([*NAMES, "$title", "$identifier", "$team"]),
)
FORMS = ("[.identifier, .properties.{0}]", ".properties.{0} | type", ".properties.{0} + 1")
calculation = st.builds(
    lambda form, name: {"calculation": form.format(name), "type": "string"},
    st.sampled_from(FORMS),
    st.sampled_from(NAMES),
)
WHOLE = {"calculation": ".properties | keys", "type": "array"}
query = st.none() | st.builds(
    lambda name, sign, value: {
        "combinator": "and",
        "rules": [{"property": name, "operator": sign, "value": value}],
    },
    st.sampled_from(NAMES),
    st.sampled_from([">", "<="]),
    st.integers(0, 3),
)
aggregation = st.builds(
    lambda target, spec, query, path: {
        "target": target,
        "calculationSpec": spec,
        **({"query": query} if query else {}),
        **({"pathFilter": [path]} if path else {}),
    },
    st.sampled_from(KINDS),
    st.just({"calculationBy": "entities", "func": "count"})
    | st.builds(
        lambda func, name: {"calculationBy": "property", "func": func, "property": name},
        st.sampled_from(["sum", "min", "max", "median", "average"]),
        st.sampled_from(NAMES),
    ),
    query,
    st.none()
    | st.builds(
        lambda path, start: {"path": path, "fromBlueprint": start},
        st.lists(st.sampled_from(RELATIONS), min_size=1, max_size=2),
        st.sampled_from(KINDS),
    ),
)
definition = st.one_of(
    st.tuples(st.just("mirrorProperties"), st.sampled_from(["m", "n"]), mirror),
    st.tuples(st.just("calculationProperties"), st.just("c"), calculation | st.just(WHOLE)),
    st.tuples(st.just("aggregationProperties"), st.sampled_from(["a", "b"]), aggregation),
    st.tuples(
        st.just("ownership"),
        st.just("path"),
        st.lists(st.sampled_from(RELATIONS), min_size=1, max_size=2),
    ),
)

key = st.tuples(st.sampled_from(KINDS), st.sampled_from(IDENTIFIERS))
refs = st.lists(key, max_size=3, unique=True)
write = st.one_of(
    st.tuples(
        st.just("put"),
        key,
        st.fixed_dictionaries(
            {},
            optional={
                "title": st.sampled_from([None, "T", "U"]),
                "team": st.lists(st.sampled_from(["core", "edge"]), unique=True),
                "p": st.none() | st.integers(0, 3) | st.sampled_from(["t", [1, 2], True]),
                "r": refs,
                "s": refs,
            },
        ),
    ),
    st.tuples(st.just("delete"), key, st.none()),
    st.tuples(st.just("rename"), key, st.sampled_from(IDENTIFIERS)),
    st.tuples(st.just("define"), st.sampled_from(KINDS), definition),
    st.tuples(st.just("catch up"), st.none(), st.none()),
)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    shapes=st.fixed_dictionaries(
        {kind: st.fixed_dictionaries(dict.fromkeys(RELATIONS, relation)) for kind in KINDS}
    ),
    definitions=st.lists(st.tuples(st.sampled_from(KINDS), definition), min_size=3, max_size=9),
    writes=st.lists(write, min_size=3, max_size=14),
)
def test_stored_values_are_those_of_a_plain_recomputation(db, shapes, definitions, writes):
    with transaction.atomic():
        follower = Follower()
        for kind in KINDS:
            make_blueprint(kind)
        for kind in KINDS:
            patch_blueprint(kind, {"relations": shapes[kind]}, actor=ACTOR)
        for kind, one in definitions:
            _define(kind, *one)
        for act, about, what in writes:
            _do(follower, act, about, what, shapes)
        follower.catch_up()
        stored = {
            (e.blueprint.identifier, e.identifier): (_rounded(e.computed), e.team)
            for e in Entity.objects.select_related("blueprint")
            if e.blueprint.identifier in KINDS
        }
        naive = Naive()
        expected = {one: (_rounded(naive.computed(one)), naive.team(one)) for one in stored}
        assert stored == expected
        transaction.set_rollback(True)


def _define(kind, group, name, one):
    if group == "ownership":
        document = {"ownership": {"type": "Inherited", "path": ".".join(one)}}
    else:
        document = {group: {**document_of(kind)[group], name: one}}
    try:
        with transaction.atomic():
            patch_blueprint(kind, document, actor=ACTOR)
    except InvalidBlueprint:
        pass  # a circle or a dead end


def _do(follower, act, about, what, shapes):
    if act == "put":
        relations = {
            name: _value(shapes[about[0]][name], what[name]) for name in RELATIONS if name in what
        }
        parts = {part: what[part] for part in ("title", "team") if part in what}
        properties = {"p": what["p"]} if "p" in what else {}
        [item] = apply(
            [EntityDraft(*about, properties=properties, relations=relations, **parts)],
            mode=Mode.MERGE,
            actor=ACTOR,
            missing_targets=MissingTargets.DANGLE,
        ).items
        assert item.error is None, item.error
    elif act == "delete":
        entities.delete([about], actor=ACTOR)
    elif act == "rename":
        here = Entity.objects.filter(blueprint__identifier=about[0])
        known = set(here.values_list("identifier", flat=True))
        if about[1] in known and what not in known:
            entities.rename(*about, what, actor=ACTOR)
    elif act == "define":
        _define(about, *what)
    else:
        follower.catch_up()


def _value(shape, keys):
    if shape["target"] == "*":
        found = [f"{kind}:{identifier}" for kind, identifier in keys]
    else:
        found = list(dict.fromkeys(identifier for _, identifier in keys))
    return found if shape["many"] else (found[0] if found else None)


def _rounded(value):
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    if isinstance(value, float):
        return int(value) if value == int(value) else round(value, 9)
    return value


class Naive:
    """Works out one value at a time, from nothing but what is written."""

    def __init__(self):
        self.kinds = {kind: document_of(kind) for kind in KINDS}
        self.entities = {
            (e.blueprint.identifier, e.identifier): e
            for e in Entity.objects.select_related("blueprint")
            if e.blueprint.identifier in KINDS
        }
        self.all_kinds = [*KINDS, "_user", "_team"]

    def relation(self, kind, name):
        return self.kinds.get(kind, {}).get("relations", {}).get(name)

    def targets(self, one, name):
        shape, stated = self.relation(one[0], name), self.entities[one].relations.get(name)
        if shape is None or stated is None:
            return []
        stated = stated if isinstance(stated, list) else [stated]
        if shape["target"] == "*":
            keys = [tuple(value.split(":", 1)) for value in stated]
        else:
            keys = [(shape["target"], value) for value in stated]
        return [key for key in keys if key in self.entities]

    def along(self, start, steps):
        """Where a path leads, without repeats; None where it is none."""
        places, ends = {start[0]}, [start]
        for step in steps:
            shapes = [s for kind in places if (s := self.relation(kind, step))]
            if not shapes:
                return None
            places = {
                kind
                for s in shapes
                for kind in (self.all_kinds if s["target"] == "*" else [s["target"]])
            }
            ends = [target for end in ends for target in self.targets(end, step)]
        return list(dict.fromkeys(ends))

    def is_many(self, kind, steps):
        places, many = {kind}, False
        for step in steps:
            shapes = [s for one in places if (s := self.relation(one, step))]
            many |= any(s["many"] for s in shapes)
            places = {
                one
                for s in shapes
                for one in (self.all_kinds if s["target"] == "*" else [s["target"]])
            }
        return many

    def team(self, one):
        ownership = self.kinds[one[0]].get("ownership")
        if not ownership:
            return self.entities[one].team
        ends = self.along(one, ownership["path"].split(".")) or []
        return list(dict.fromkeys(team for end in ends for team in self.team(end)))

    def read(self, one, name):
        meta = {"$title": self.entities[one].title, "$identifier": one[1]}
        if name == "$team":
            return self.team(one)
        if name in meta:
            return meta[name]
        computed = self.value(one, name)
        return self.entities[one].properties.get(name) if computed is None else computed

    def computed(self, one):
        kind = self.kinds[one[0]]
        groups = ("mirrorProperties", "calculationProperties", "aggregationProperties")
        found = {name: self.value(one, name) for group in groups for name in kind[group]}
        return {name: value for name, value in found.items() if value is not None}

    def value(self, one, name):
        kind = self.kinds[one[0]]
        if name in kind["mirrorProperties"]:
            return self.mirror(one, kind["mirrorProperties"][name])
        if name in kind["aggregationProperties"]:
            return self.aggregation(one, kind["aggregationProperties"][name])
        if name in kind["calculationProperties"]:
            return self.calculation(one, kind["calculationProperties"][name])
        return None

    def mirror(self, one, spec):
        *steps, last = spec["path"].split(".")
        ends = self.along(one, steps)
        if ends is None:
            return None
        values = [v for end in ends if (v := self.read(end, last)) is not None]
        if not self.is_many(one[0], steps):
            return values[0] if values else None
        flat = []
        for value in values:
            flat += value if isinstance(value, list) else [value]
        return flat

    def calculation(self, one, spec):
        kind, own = self.kinds[one[0]], self.entities[one].properties
        given = {*kind["mirrorProperties"], *kind["aggregationProperties"]}
        if spec == WHOLE:
            return sorted({*own, *given})
        name = next(n for n in NAMES for form in FORMS if form.format(n) == spec["calculation"])
        value = self.value(one, name) if name in given else own.get(name)
        form = next(form for form in FORMS if form.format(name) == spec["calculation"])
        if form == FORMS[0]:
            return [one[1], value]
        if form == FORMS[1]:
            kinds = {type(None): "null", bool: "boolean", int: "number", float: "number"}
            return kinds.get(type(value), "string" if isinstance(value, str) else "array")
        if value is None:
            return 1
        return value + 1 if _is_number(value) else None

    def aggregation(self, one, spec):
        spec = {"query": None, "pathFilter": [], **spec}
        related = self.related(one, spec)
        if related is None:
            return None
        for rule in (spec["query"] or {"rules": []})["rules"]:
            related = {end for end in related if self.holds(end, rule)}
        how = spec["calculationSpec"]
        if how["calculationBy"] == "entities":
            return len(related)
        values = [v for end in related if _is_number(v := self.read(end, how["property"]))]
        if not values:
            return None
        values.sort()
        middle = len(values) // 2
        return {
            "sum": sum(values),
            "min": values[0],
            "max": values[-1],
            "average": sum(values) / len(values),
            "median": values[middle]
            if len(values) % 2
            else (values[middle - 1] + values[middle]) / 2,
        }[how["func"]]

    def holds(self, one, rule):
        value = self.read(one, rule["property"])
        if not _is_number(value):
            return False
        return value > rule["value"] if rule["operator"] == ">" else value <= rule["value"]

    def related(self, one, spec):
        """What is tied to it, itself left out; None where nothing could be."""
        target = spec["target"]
        if spec["pathFilter"]:
            path, start = spec["pathFilter"][0]["path"], spec["pathFilter"][0]["fromBlueprint"]
            if start == one[0]:
                ends = set(self.along(one, path) or [])
            else:
                others = [other for other in self.entities if other[0] == start]
                ends = {other for other in others if one in (self.along(other, path) or [])}
            return {end for end in ends if end[0] == target} - {one}
        chains = [*self.chains([one[0]], target), *self.chains([one[0]], target, is_back=True)]
        if not chains:
            return None
        found = set()
        for kinds, is_back in chains:
            ends = {one}
            for kind in kinds[1:]:
                ends = {
                    other
                    for other in self.entities
                    if other[0] == kind
                    and any(
                        self.points(other, end, kinds)
                        if is_back
                        else self.points(end, other, kinds)
                        for end in ends
                    )
                }
            found |= ends
        return found - {one}

    def points(self, source, target, kinds):
        """By a relation of that kind; one to any kind counts where nothing is in between."""
        return any(
            target in self.targets(source, name)
            for name in RELATIONS
            if (shape := self.relation(source[0], name))
            and (shape["target"] != "*" or len(kinds) == 2)
        )

    def chains(self, kinds, target, *, is_back=False):
        found = []
        for kind in KINDS:
            source, end = (kind, kinds[-1]) if is_back else (kinds[-1], kind)
            ways = [s["target"] for n in RELATIONS if (s := self.relation(source, n))]
            is_direct = len(kinds) == 1 and kind == target
            if end not in ways and not (is_direct and "*" in ways):
                continue
            if kind == target:
                found.append(([*kinds, kind], is_back))
            elif kind not in kinds:
                found += self.chains([*kinds, kind], target, is_back=is_back)
        return found


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def document_of(kind):
    return blueprint_document(get_blueprint(kind))
