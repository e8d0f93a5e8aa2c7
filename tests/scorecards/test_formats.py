"""The two formats of scorecards: what is taken, what it means, and that it comes back."""

from datetime import date
from decimal import Decimal
from io import StringIO
from json import dumps, loads

import pytest
from django.core.management import call_command
from django.utils import timezone

from catalog.kernel.errors import InvalidInput
from catalog.kernel.yaml_reader import load_document
from catalog.models import Entity
from catalog.selectors.kinds import load_kinds
from scorecards import cql
from scorecards.definition import Language, Missing
from scorecards.formats import cortex, definition_of, descriptor_of, native, read
from scorecards.models import Scorecard
from scorecards.rules.compiled import Compilation
from scorecards.rules.conditions import compile_conditions
from scorecards.selectors.named import get_scorecard
from scorecards.services import definitions, importing
from tests.factories import ACTOR, make_blueprint, make_entity

YAML = """\
tag: prod-ready
name: Production readiness
x-team-note: {keep: [me, 1.5, null]}
draft: true
notifications: {enabled: true, scoreDropNotificationsEnabled: false}
exemptions: {enabled: true, autoApprove: true, userSpecificNotifications: false}
evaluation: {window: 24}
ladder:
  name: Default
  levels:
    - {name: Gold, rank: 9, color: "D7AC58"}
    - {name: Bronze, rank: 1, description: Findable, color: "#CD7F32"}
filter: {kind: GENERIC, types: {exclude: [domain]}, groups: {include: [tier-1]}, query: git != null}
rules:
  - title: Has a repository
    expression: git != null
    weight: 2.5
    level: Bronze
    effectiveFrom: 2026-03-01T23:30:00-01:00
    filter: {category: SERVICE}
  - expression: entity.description() != null
    weight: 0
    fixUrl: https://wiki.example/x
    missing: ignore
"""


def test_what_a_document_of_cortex_says():
    document = cortex.check(YAML)
    assert document == load_document(YAML, name="x")
    definition = read("cortex", "prod-ready", None, cortex.identified(document, ()))
    assert [(one.title, one.color) for one in definition.levels] == [
        ("", ""), ("Bronze", "#cd7f32"), ("Gold", "#d7ac58"),
    ]  # fmt: skip
    assert (definition.title, definition.state, definition.window_h, definition.is_lenient) == (
        "Production readiness", "draft", 24, False,
    )  # fmt: skip
    assert definition.exemptions_auto_approved
    assert (definition.is_notifying, definition.is_notifying_drops) == (True, False)
    said = definition.filter
    assert (said.types_excluded, said.groups, said.query) == (
        ("domain",), ("tier-1",), "git != null",
    )  # fmt: skip
    first, second = definition.rules
    assert (first.language, first.weight, first.level) == (Language.CQL, Decimal("2.5"), "Bronze")
    assert first.effective_from == date(2026, 3, 2)  # in UTC
    assert first.filter
    assert first.filter.types == ("service",)
    assert (second.title, second.weight) == ("entity.description() != null", 0)
    assert (second.missing, second.fix_url) == (Missing.IGNORE, "https://wiki.example/x")


@pytest.mark.parametrize(
    ("old", "new", "field", "line", "said"),
    [
        ("rank: 9", "rank: 1", "ladder.levels.0.rank", 11, "another rank for each level"),
        ("level: Bronze", "level: Silver", "rules.0.level", 18, "one of Gold, Bronze"),
        ('"D7AC58"', "gold", "ladder.levels.0.color", 11, "gold"),
        ("{category: SERVICE}", "{entityType: service}", "rules.0.filter.entityType", 20, "types"),
        ("{category: SERVICE}", "{category: APP}", "rules.0.filter.category", 20, "SERVICE"),
        ("weight: 0\n", "weight: -1\n", "rules.1.weight", 22, "-1"),
        ("weight: 0\n", "weight: 0.0001\n", "rules.1.weight", 22, "three decimals"),
        ("2026-03-01T23:30:00-01:00", "tomorrow", "rules.0.effectiveFrom", 19, "YYYY-MM-DD"),
        ("https://wiki", "javascript://wiki", "rules.1.fixUrl", 23, "javascript"),
        ("window: 24", "window: daily", "evaluation.window", 7, "daily"),
        ("tag: prod-ready\n", "", "tag", 1, "tag"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(old, new, field, line, said):
    with pytest.raises(InvalidInput) as refusal:
        cortex.check(YAML.replace(old, new), name="s.yaml")
    details = refusal.value.details
    assert details["line"] == line
    assert details["field"] in (field, "body")
    assert said in refusal.value.message
    assert f"s.yaml:{line}" in refusal.value.message


@pytest.mark.parametrize(
    "text", ["- 1", "", "a: 1\n---\nb: 2", "tag: [", "tag: \t- x", "a: 1\na: 2"]
)
def test_what_is_no_scorecard_at_all(text):
    with pytest.raises(InvalidInput):
        cortex.check(text)


def test_ranks_may_be_the_other_way_round():
    document = cortex.check(YAML, reverse_ranks=True)
    assert [one["rank"] for one in document["ladder"]["levels"]] == [1, 9]
    definition = read("cortex", "x", None, cortex.identified(document, ()))
    assert [one.title for one in definition.levels] == ["", "Gold", "Bronze"]


def test_rules_are_known_again_without_identifiers():
    before = cortex.identified(cortex.check(YAML), ())["rules"]
    names = [one["identifier"] for one in before]
    assert len({*names}) == 2
    text = YAML.replace("Has a repository", "Linked").replace("description()", "name()")
    renamed = cortex.identified(cortex.check(text), before)["rules"]
    assert renamed[0]["identifier"] == names[0]  # by its expression
    assert renamed[1]["identifier"] not in names  # nothing of it is the same
    assert cortex.identified(cortex.check(YAML), before)["rules"] == before


def test_real_scorecards_of_cortex_come_back_as_they_were(test_data, db):
    make_blueprint("service")
    files = sorted((test_data / "cortex" / "scorecards").glob("*.yaml"))
    assert len(files) == 16
    for file in files:
        text = file.read_text()
        saved, _ = definitions.save_cortex(text, actor=ACTOR, name=file.name)
        again, _ = definitions.save_cortex(text, actor=ACTOR, name=file.name)
        assert (again.pk, again.version) == (saved.pk, 1), file.name
        back = load_document(descriptor_of(again), name="x")
        for rule, sent in zip(back["rules"], load_document(text, name="x")["rules"], strict=True):
            if "identifier" not in sent:
                assert len(rule.pop("identifier")) == 36
        assert dumps(back) == dumps(load_document(text, name="x")), file.name
        as_json = native.write(definition_of(again))
        assert len(as_json["rules"]) == len(back["rules"])
        assert read("native", "x", None, native.check(as_json)).levels == _colored(again)
    assert Scorecard.objects.filter(state="draft").count() == 1


def _colored(scorecard):
    levels = definition_of(scorecard).levels
    return (type(levels[0])("", "lightGray"), *levels[1:])


THINGS = {
    "empty": {},
    "blank": {"tier": "", "stars": 0},
    "full": {"tier": 'a"b', "stars": 2},
    "other": {"tier": "a", "stars": 3.5},
}
CONDITIONS = {
    "=": ({"property": "tier", "operator": "=", "value": 'a"b'}, 'custom("tier") == "a\\"b"'),
    "!=": (
        {"property": "tier", "operator": "!=", "value": "a"},
        'custom("tier") == null or custom("tier") != "a"',
    ),
    ">=": ({"property": "stars", "operator": ">=", "value": 3}, 'custom("stars") >= 3'),
    "empty": ({"property": "stars", "operator": "isEmpty"}, 'custom("stars") == null'),
    "filled": (
        {"property": "tier", "operator": "isNotEmpty"},
        'custom("tier") != null and custom("tier") != ""',
    ),
    "not": (
        {"property": "stars", "operator": "isEmpty", "not": True},
        '!(custom("stars") == null)',
    ),
    "in": (
        {"property": "stars", "operator": "in", "value": [1, 2]},
        'custom("stars") == 1 or custom("stars") == 2',
    ),
    "begins": (
        {"property": "$identifier", "operator": "beginsWith", "value": "o.h"},
        'entity.tag().matchesIn("^o\\\\.h")',
    ),
    "team": ({"property": "$team", "operator": "isNotEmpty"}, "ownership.teams().length > 0"),
    "relation": (
        {"relation": "needs", "operator": "isNotEmpty"},
        'entity.destinations(relationshipType = "needs").length > 0',
    ),
    "contains": (
        {"property": "tier", "operator": "contains", "value": 'a"'},
        'custom("tier").matchesIn("a\\"")',
    ),
    # the name of what has no title is its tag
    "title": ({"property": "$title", "operator": "=", "value": "a"}, None),
    # conditions look into lists, and compare strictly by type: there is no CQL for these
    "list": ({"property": "tags", "operator": "=", "value": "a"}, None),
    "unknown": ({"property": "nope", "operator": "=", "value": "a"}, None),
    "other type": ({"property": "stars", "operator": "=", "value": True}, None),
    "dates": ({"property": "at", "operator": "between", "value": {"preset": "today"}}, None),
    "comment": ({"property": "nope", "operator": "=", "value": "*/ true"}, None),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions_in_the_words_of_cortex(name, db):
    make_blueprint(
        "service",
        properties={
            "tier": {"type": "string"},
            "stars": {"type": "number"},
            "tags": {"type": "array"},
            "at": {"type": "string", "format": "date-time"},
        },
        relations={"needs": {"target": "service", "many": True}},
    )
    condition, expected = CONDITIONS[name]
    query = {"combinator": "and", "conditions": [condition]}
    rule = {"identifier": "r", "level": "Gold", "query": query, "missing": "pass"}
    body = {"title": "T", "rules": [rule]}
    saved = definitions.save("t", body, dialect="native", blueprint="service", actor=ACTOR)
    written = load_document(descriptor_of(saved), name="x")
    assert written["filter"] == {"kind": "GENERIC", "types": {"include": ["service"]}}
    assert [one["name"] for one in written["ladder"]["levels"]] == ["Gold"]
    said = written["rules"][0]["expression"]
    if expected is None:
        assert said.startswith("/* there is no CQL for ")
        assert said.index("*/") == len(said) - 2
    else:
        assert said == expected
        for identifier, properties in THINGS.items():
            parts = {"title": "a.b", "team": ["core"]} if properties else {}
            relations = {"needs": ["full"]} if identifier == "other" else {}
            make_entity("service", identifier, properties=properties, relations=relations, **parts)
        compilation = Compilation(load_kinds(), timezone.now(), saved.blueprint.pk)
        verdicts = [
            compile_conditions(query, compilation).verdict,
            cql.compile(said, compilation).verdict,
        ]
        here, there = (
            dict(Entity.objects.annotate(verdict=one).values_list("identifier", "verdict"))
            for one in verdicts
        )
        assert here == there
    cortex.check(descriptor_of(saved))


PORT = [
    ("k8s-exporter/scorecards.json", "workload"),
    ("ocean/gitlab/scorecards.json", "service"),
    ("template-assets/integrations/github/scorecards.json", "service"),
]


def test_real_files_are_imported_and_reported(test_data, db, tmp_path):
    files = [test_data / "port" / name for name, _ in PORT]
    (tmp_path / ".cortex" / "scorecards").mkdir(parents=True)
    (tmp_path / ".cortex" / "scorecards" / "a.yaml").write_text(YAML)
    (tmp_path / "b.yaml").write_text(YAML.replace("rank: 9", "rank: 1"))
    (tmp_path / "settings.yaml").write_text("rules: [a]\nblueprint: x")

    def imported(*paths, **options):
        out = StringIO()
        call_command(
            "import_catalog", *map(str, paths), format="json", stdout=out, stderr=StringIO(),
            **options,
        )  # fmt: skip
        return loads(out.getvalue())

    without = imported(*files)
    assert without["counts"] == {"scorecards": {"rejected": 4}}
    assert "Blueprint" in without["rejected"][0]["findings"][0]["message"]
    for blueprint in ("workload", "service"):
        make_blueprint(blueprint, properties={"readme": {"type": "string"}})
    dry = imported(*files, dry_run=True)
    assert dry["counts"]["scorecards"]["created"] == 4  # each file for itself
    assert not Scorecard.objects.exists()
    done = imported(*files, tmp_path)
    assert done["counts"]["scorecards"] == {"created": 4, "updated": 1, "rejected": 1}
    [rejected] = done["rejected"]
    assert (rejected["file"].split("/")[-1], rejected["line"]) == ("b.yaml", 11)
    assert list(done["skipped"]) == [str(tmp_path / "settings.yaml")]
    warned = {one["entity"]: one["findings"][0]["message"] for one in done["warnings"]}
    assert 'no property "language"' in warned["ProductionReadiness"]
    for name, blueprint in PORT[:1]:
        [group] = loads((test_data / "port" / name).read_text())
        for body in group["data"]:
            kept = get_scorecard(blueprint, body["identifier"]).document
            assert dumps(kept) == dumps({k: v for k, v in body.items() if k != "identifier"})
    again = imported(*files[:1])
    assert again["counts"]["scorecards"] == {"unchanged": 2}


@pytest.mark.parametrize(
    ("text", "maybe"),
    [
        (b"---\ntag: x\nrules:\n", True),
        (b'[\n  {"blueprint": "x",\n   "rules": []}]', True),
        (b"kind: Component\n", False),
        (b"tag: x\n" + b"\n" * 300_000 + b"other rules", False),  # quick whatever stands there
    ],
)
def test_a_quick_look_tells_whether_a_text_may_hold_one(text, maybe):
    assert importing.may_hold(text) is maybe
