"""Trying a mapping on an object, and looking it over."""

from catalog.ingest.mapping import Shape, lint, parse_mapping, preview
from catalog.kernel.source import ResourceKind


def read(mappings, *, query="true", kind=None, **port):
    document = {
        "kind": "repository",
        "selector": {"query": query, "odd": 1},
        "port": {"entity": {"mappings": mappings}, **port},
    }
    return parse_mapping({"resources": [document], "extra": 1}, kind=kind)


MAPPINGS = {
    "identifier": ".name",
    "blueprint": '"repository"',
    "title": ".a.b",
    "properties": {"url": "'http://' + .name"},
}


def test_every_field_shows_its_value_or_its_error():
    [one] = read(MAPPINGS, query=".a").resources
    shown = preview(one, {"name": "n", "a": 1})
    [row] = shown.rows
    assert row.selected is None
    assert [(f.field, f.expression, f.value, f.error) for f in row.fields] == [
        ("query", ".a", None, "gave a number (1), not true or false"),
        ("blueprint", '"repository"', "repository", None),
        ("identifier", ".name", "n", None),
        ("title", ".a.b", None, 'Cannot index number with string ("b")'),
        ("properties.url", "'http://' + .name", "http://n", None),
    ]
    assert shown.entities == []
    assert [one.field for one in shown.problems] == ["query"]


def test_an_object_that_the_query_leaves_out_shows_its_values_all_the_same():
    [one] = read(MAPPINGS, query="false").resources
    shown = preview(one, {"name": "n"})
    assert not shown.selected
    assert (shown.filtered, shown.entities, shown.problems) == (1, [], [])
    assert shown.rows[0].fields[2].value == "n"


def test_elements_are_shown_one_by_one():
    [one] = read({**MAPPINGS, "identifier": ".item"}, itemsToParse=".all").resources
    shown = preview(one, {"name": "n", "all": [str(n) for n in range(30)]})
    assert (shown.elements, len(shown.rows), len(shown.entities)) == (30, 20, 30)
    assert [row.element for row in shown.rows][:3] == [0, 1, 2]
    shown = preview(one, {"name": "n"})
    assert (shown.elements, shown.rows) == (0, [])
    assert [one.message for one in shown.problems] == ["gave null: there is nothing to go through"]


def test_the_expression_that_takes_too_long_is_found(monkeypatch):
    monkeypatch.setattr("catalog.kernel.jq_pool.CPU_S", 0.2)
    endless = {**MAPPINGS, "properties": {"url": "last(range(infinite))", "ok": ".name"}}
    [one] = read(endless).resources
    shown = preview(one, {"name": "n"})
    [problem] = shown.problems
    assert (problem.field, problem.expression) == ("properties.url", "last(range(infinite))")
    assert problem.message.startswith("It ran longer than an item may")


class Kind:
    title = "Forge"
    resources = (
        ResourceKind("repo", "Repositories", ".id", selector={"archived": {"type": "boolean"}}),
    )

    def __init__(self, *aliases):
        self.aliases = aliases

    def resource(self, name):
        return self.resources[0] if name in self.aliases else None


def test_remarks_on_a_mapping_that_works():
    known = Shape("repository", frozenset({"url"}), frozenset({"owner"}))
    mapping = read(
        [
            {
                **MAPPINGS,
                "tittle": ".x",
                "properties": {"url": ".u", "size": ".s"},
                "relations": {"owner": ".o", "system": ".p"},
            },
            {"identifier": ".id", "blueprint": '"ghost"'},
        ],
        kind=Kind(),
        itemToParse=".x",
    )
    findings = lint(mapping, shapes={"repository": known}.get)
    assert {one.level for one in findings} == {"warning"}
    assert [(one.path, one.message) for one in findings] == [
        ("extra", "This key has no meaning here; known are createMissingRelatedEntities, "
         "deleteDependentEntities, enableMergeEntity, entityDeletionThreshold, resources"),
        ("resources[0].kind", "Forge has no resource kind 'repository' and will skip it; "
         "known are repo"),
        ("resources[0].port.itemToParse", "This key has no meaning here; known are entity, "
         "itemsToParse, itemsToParseName, itemsToParseTopLevelTransform"),
        ("resources[0].port.entity.mappings[0].tittle", "This key has no meaning here; known are "
         "blueprint, icon, identifier, properties, relations, team, title"),
        ("resources[0]: properties.size", 'The blueprint "repository" has no property "size"'),
        ("resources[0]: relations.system", 'The blueprint "repository" has no relation "system"'),
        ("resources[0]", 'There is no blueprint "ghost"'),
    ]  # fmt: skip


def test_selector_keys_that_the_source_does_not_read():
    mapping = read(MAPPINGS, kind=Kind("repository"))
    assert [(one.path, one.message) for one in mapping.findings][1:] == [
        ("resources[0].selector.odd", "repo does not read it; known are query, archived")
    ]
