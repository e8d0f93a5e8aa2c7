"""Placeholders, Locations, and what of a file tree may be read at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.dialects.backstage.detect import is_entity, may_hold_entities, surely_holds_entities
from catalog.dialects.backstage.files import FileReader, Workspace, expand, walk
from catalog.dialects.backstage.locations import find_targets
from catalog.dialects.backstage.placeholders import Intake, resolve
from catalog.dialects.backstage.reader import FileMissing, FileRefused, path_in


@pytest.fixture
def tree(tmp_path):
    """A folder `in` that may be read, with a file and a folder beside it that may not."""
    files = {
        "outside.txt": "secret",
        "other/catalog-info.yaml": "x",
        "in/catalog-info.yaml": "x",
        "in/api.txt": "openapi: 3.0.0\n",
        "in/data.json": '{"a": [1, true]}',
        "in/data.yaml": "x: yes\n",
        "in/two.yaml": "a: 1\n---\nb: 2\n",
        "in/a/catalog-info.yaml": "x",
        "in/a/b/.catalog-info.yaml": "x",
        "in/.git-not/x.yml": "x",
        "in/node_modules/x.yaml": "x",
        "in/[odd].yaml": "x",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "in" / "link.txt").symlink_to(tmp_path / "outside.txt")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "other")
    return tmp_path / "in"


def relative(paths, folder):
    return [str(path.relative_to(folder)) for path in paths]


# --- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../outside.txt", "it lies outside the folder of the import"),
        ("../no-such-file", "it lies outside the folder of the import"),
        ("a/../../outside.txt", "it lies outside the folder of the import"),
        ("link.txt", "it lies outside the folder of the import"),
        ("folder/catalog-info.yaml", "it lies outside the folder of the import"),
        ("/etc/hostname", "it lies outside the folder of the import"),
        ("missing.txt", "there is no such file"),
        ("a", "it is a folder, not a file"),
        ("nul\0.txt", "there is no such file"),
        ("data.json", "it has more than 5 bytes"),
    ],
)
def test_what_is_not_read(tree, path, reason):
    with pytest.raises(FileRefused) as caught:
        Workspace.around(tree).read(tree / path, max_bytes=5)
    assert caught.value.message == reason


def test_the_repository_around_a_file_may_be_read(tree):
    (tree / ".git").mkdir()
    workspace = Workspace.around(tree / "a" / "catalog-info.yaml")
    assert workspace.roots == (tree.resolve(),)
    assert workspace.read(tree / "a" / ".." / "api.txt", 100) == b"openapi: 3.0.0\n"


def test_a_folder_is_walked_in_order_without_links_and_packages(tree):
    assert relative(walk(tree), tree) == [
        "[odd].yaml",
        "catalog-info.yaml",
        "data.json",
        "data.yaml",
        "two.yaml",
        ".git-not/x.yml",
        "a/catalog-info.yaml",
        "a/b/.catalog-info.yaml",
    ]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.yaml", ["[odd].yaml", "catalog-info.yaml", "data.yaml", "two.yaml"]),
        ("./**/catalog-info.yaml", ["a/catalog-info.yaml", "catalog-info.yaml",
                                    "folder/catalog-info.yaml"]),
        ("**/**/**/.catalog-info.yaml", ["a/b/.catalog-info.yaml"]),
        ("{data,two}.{yaml,json}", ["data.json", "data.yaml", "two.yaml"]),
        ("d?ta.y[abc]ml", ["data.yaml"]),
        ("none-*.yaml", []),
    ],
)  # fmt: skip
def test_patterns(tree, pattern, found):
    assert relative(expand(pattern, tree), tree) == found


def test_a_pattern_with_too_many_alternatives():
    with pytest.raises(FileRefused, match="more than 100 alternatives"):
        expand("{a,b}" * 10, Path())


# --- placeholders -----------------------------------------------------------------------------


def resolved(document, tree, **options):
    reader = FileReader(Workspace.around(tree))
    return resolve(document, Intake(f"file:{tree}/catalog-info.yaml", reader, **options))


def test_placeholders_are_replaced_by_the_content_of_files(tree):
    document = {
        "text": {"$text": "./api.txt"},
        "json": {"$json": "data.json"},
        "list": [{"$yaml": "./a/../data.yaml"}, "plain"],
        "ref": {"$ref": "#/x"},
        "two": {"$text": "./api.txt", "other": 1},
    }
    result = resolved(document, tree)
    assert result.problems == []
    assert result.entity == {
        "text": "openapi: 3.0.0\n",
        "json": {"a": [1, True]},
        "list": [{"x": "yes"}, "plain"],
        "ref": {"$ref": "#/x"},
        "two": {"$text": "./api.txt", "other": 1},
    }
    assert result.descriptor == result.entity
    assert document["text"] == {"$text": "./api.txt"}


def test_an_address_is_left_where_it_is(tree):
    document = {"spec": {"definition": {"$text": "https://example.com/a.yaml"}}}
    result = resolved(document, tree)
    assert result.entity == {"spec": {"definition": "https://example.com/a.yaml"}}
    assert result.descriptor == document
    assert [(w.field, w.message) for w in result.warnings] == [
        (
            "spec.definition.$text",
            "spec.definition was not fetched from https://example.com/a.yaml; its address is kept",
        )
    ]


@pytest.mark.parametrize(
    ("placeholder", "message"),
    [
        ({"$text": 1}, "a.$text must be the path of a file, not the number 1"),
        ({"$text": "nope.txt"}, "a.$text: nope.txt: there is no such file"),
        ({"$text": "../outside.txt"},
         "a.$text: ../outside.txt: it lies outside the folder of the import"),
        ({"$yaml": "two.yaml"}, "a.$yaml: two.yaml: two.yaml:3: expected exactly one document, "
         "found 2"),
        ({"$json": "api.txt"}, "a.$json: api.txt: Expecting value: line 1 column 1 (char 0)"),
    ],
)  # fmt: skip
def test_a_placeholder_that_cannot_be_replaced(tree, placeholder, message):
    [problem] = resolved({"a": placeholder}, tree).problems
    assert problem.message == message


# --- Locations --------------------------------------------------------------------------------


def targets(spec, tree, file="catalog-info.yaml"):
    """The files that a Location leads to, and what is said of those that it does not."""
    entity = {"kind": "Location", "metadata": {"name": "x"}, "spec": spec}
    reader = FileReader(Workspace.around(tree))
    named = find_targets(entity, base=f"file:{(tree / file).resolve()}", reader=reader)
    places, problems = [], list(named.problems)
    for target in named.found:
        try:
            places += reader.expand(target.place)
        except FileRefused as error:
            if not (target.is_optional and isinstance(error, FileMissing)):
                problems.append(target.problem(error))
    return relative(map(path_in, places), tree.resolve()), [one.message for one in problems]


@pytest.mark.parametrize(
    ("spec", "file", "found"),
    [
        ({"target": "./data.yaml"}, "catalog-info.yaml", ["data.yaml"]),
        ({"target": "two.yaml", "targets": ["./data.yaml"]}, "catalog-info.yaml",
         ["two.yaml", "data.yaml"]),
        ({"type": "url", "target": "../data.yaml"}, "a/catalog-info.yaml", ["data.yaml"]),
        ({"target": "/data.yaml"}, "a/catalog-info.yaml", ["data.yaml"]),
        ({"target": "[odd].yaml"}, "catalog-info.yaml", ["[odd].yaml"]),
        ({"target": "./a/**/*catalog-info.yaml"}, "catalog-info.yaml", ["a/catalog-info.yaml"]),
        ({"presence": "optional", "targets": ["nope.yaml", "nope-*.yaml"]}, "catalog-info.yaml",
         []),
    ],
)  # fmt: skip
def test_targets(tree, spec, file, found):
    assert targets(spec, tree, file) == (found, [])


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nope.yaml", "there is no such file"),
        ("*.nope", "the pattern names no file"),
        ("./a/", "a target must be a file, not a folder"),
        ("./a", "it is a folder, not a file"),
        ("../other/catalog-info.yaml", "it lies outside the folder of the import"),
        ("../other/*.yaml", "it lies outside the folder of the import"),
        ("/etc/hostname", "it lies outside the folder of the import"),
    ],
)
def test_a_target_that_cannot_be_read_is_reported_and_the_others_are_taken(tree, target, reason):
    found, problems = targets({"targets": [target, "data.yaml"]}, tree)
    assert found == ["data.yaml"]
    assert problems == [f"spec.targets[0]: {target}: {reason}"]


def test_a_target_outside_is_not_forgiven_as_optional(tree):
    spec = {"presence": "optional", "target": "../outside.txt"}
    assert targets(spec, tree)[1] == [
        "spec.target: ../outside.txt: it lies outside the folder of the import"
    ]


def test_addresses_are_not_read(tree):
    spec = {"type": "url", "target": "https://example.com/catalog-info.yaml"}
    assert targets(spec, tree) == (
        [],
        [
            "https://example.com/catalog-info.yaml was not read: "
            "this import reads files, not addresses"
        ],
    )


# --- which files hold entities ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "means_to_be"),
    [
        ({"apiVersion": "backstage.io/v1alpha1", "kind": "Widget"}, True),
        ({"apiVersion": "scaffolder.backstage.io/v1beta2"}, True),
        ({"apiVersion": "backstage.io", "kind": "Component"}, True),
        ({"kind": "component"}, True),
        ({"apiVersion": "apps/v1", "kind": "Deployment"}, False),
        ({"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}, False),
        ({"openapi": "3.0.0"}, False),
        (["kind"], False),
        (None, False),
    ],
)
def test_what_means_to_be_an_entity(document, means_to_be):
    assert is_entity(document) is means_to_be


@pytest.mark.parametrize(
    ("text", "maybe", "surely"),
    [
        (b"apiVersion: backstage.io/v1alpha1\nkind: X: [", True, True),
        (b'{"kind": "API"}', True, False),
        (b"kind: component", True, False),
        (b"labels:\n  backstage.io/kubernetes-id: x", True, False),
        (b"kind: Deployment\n", False, False),
        (b"subjects:\n- kind: UserList", False, False),
    ],
)
def test_a_quick_look_at_the_text(text, maybe, surely):
    assert (may_hold_entities(text), surely_holds_entities(text)) == (maybe, surely)
