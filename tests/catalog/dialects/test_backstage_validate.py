from __future__ import annotations

from copy import deepcopy

import pytest

from catalog.dialects.backstage.formats import (
    is_absolute_url,
    is_api_version,
    is_dns_label,
    is_key,
    is_label_value,
    is_name,
    is_tag,
)
from catalog.dialects.backstage.validate import check_entity, check_envelope

COMPONENT = {
    "apiVersion": "backstage.io/v1alpha1",
    "kind": "Component",
    "metadata": {"name": "orders"},
    "spec": {"type": "service", "lifecycle": "production", "owner": "team-a"},
}


def changed(path, value, base=COMPONENT):
    """A copy of the document with one value put in, or taken out (`...`)."""
    document = deepcopy(base)
    *way, last = path.split(".")
    place = document
    for step in way:
        place = place.setdefault(step, {})
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


def of_kind(kind, spec, version="backstage.io/v1alpha1"):
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": spec}


def problems(document, **kwargs):
    return [
        (p.field, p.message) for p in check_envelope(document) or check_entity(document, **kwargs)
    ]


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (is_name, ["a", "A.b_c-1", "a--b", "a_.b", "9", "x" * 63],
         ["", "-a", "a.", "a b", "a/b", "a@b", "é", "a\n", "x" * 64]),
        (is_dns_label, ["default", "team-a", "a--b", "1"], ["A", "a.b", "a_b", "-a", "a-", ""]),
        (is_key, ["a", "a.b/c", "jira/project-key", "A_b"], ["", "A.b/c", "a/b/c", "/a", "a/",
         "a..b/c", f"{'a' * 64}/b", "pulumi:com/x", f"{'.'.join(['a' * 60] * 5)}/b"]),
        (is_label_value, ["", "1", "Gold"], ["a b", "-", "x" * 64]),
        (is_tag, ["c++", "c#", "a:b", "a-b"], ["Java", "a_b", "a.b", "a--b", "-a", "", "x" * 64]),
        (is_api_version, ["backstage.io/v1alpha1", "v1", "a-b.c/V1"],
         ["backstage.io", "A.b/v1", "a/b/c", "v1-2", "", "x" * 64]),
        (is_absolute_url, ["https://x", "mailto:x@y", "HTTP:x", "https:///x", "foo:", "file:",
         "http://1.2.3", "https://x:65535/é b", "http://[::1]:8/", "foo://", "http://a_b"],
         ["", "x", "/x", "//x", "https://", "http://a b", "https://x:99999", "http://1.2.3.999",
          "http://[::z]", "http://<x>", "https://user@", "1a:b", "http://a%zz"]),
    ],
)  # fmt: skip
def test_formats(check, good, bad):
    assert [text for text in good if not check(text)] == []
    assert [text for text in bad if check(text)] == []


@pytest.mark.parametrize(
    "document",
    [
        COMPONENT,
        changed("apiVersion", "backstage.io/v1beta1"),
        changed("metadata.description", ""),
        changed("metadata.labels", {"example.com/tier": "1", "empty": ""}),
        changed("metadata.links", [{"url": "mailto:x@y", "extra": 1}]),
        changed("metadata.anything", {"at": ["all"]}),
        changed("spec.owner", "service@example.com"),
        changed("spec.unknown", {"kept": True}),
        changed("spec.dependencyOf", None),
        changed("spec.providesApis", []),
        of_kind("Group", {"type": "team", "children": []}),
        of_kind("User", {"memberOf": ["a"], "profile": {"displayName": "J"}, "type": []}),
        of_kind("Location", {}),
        of_kind("Domain", {"owner": "user:jane", "subdomainOf": "shop"}),
        of_kind("System", {"owner": "a", "domain": "b", "lifecycle": 1}),
        of_kind("Resource", {"type": "database", "owner": "a", "dependsOn": ["component:b"]}),
        of_kind("API", {"type": "grpc", "lifecycle": "l", "owner": "o", "definition": "d"}),
        of_kind(
            "API",
            {
                "type": "openapi",
                "lifecycle": "l",
                "owner": "o",
                "definition": {"type": "url", "url": "https://x"},
            },
        ),
        of_kind(
            "Template",
            {"type": "service", "steps": [{"action": "a", "if": False}], "parameters": [{}]},
            "scaffolder.backstage.io/v1beta3",
        ),
        of_kind(
            "AiResource",
            {"type": "rule", "lifecycle": "l", "owner": "o", "category": "c", "rationale": "r"},
        ),
    ],
)
def test_valid_entities(document):
    assert problems(document) == []


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([], [("", "the document must be a map with apiVersion, kind and metadata, not a list")]),
        ({"kind": ""}, [
            ("apiVersion", "apiVersion is missing; expected non-empty text"),
            ("kind", 'kind must be non-empty text, not ""'),
            ("metadata", "metadata is missing; expected a map with at least a name"),
        ]),
        (changed("metadata.name", 123),
         [("metadata.name", "metadata.name must be non-empty text, not the number 123")]),
        (changed("metadata.namespace", "Upper"), [("metadata.namespace",
          "metadata.namespace must be 1 to 63 lower-case letters and digits, in parts joined by "
          '-, not "Upper"')]),
        (changed("relations", []), [("relations",
          '"relations" is not a known key at the top of an entity; expected only apiVersion, kind, '
          "metadata, spec")]),
        (changed("metadata.labels", {"tier": 1, "a": None}), [
            ("metadata.labels.tier", "metadata.labels.tier must be text, not the number 1"),
            ("metadata.labels.a", "metadata.labels.a must be text, not null"),
        ]),
        (changed("metadata.annotations", {"A.b/c": "x"}), [("metadata.annotations.A.b/c",
          'the key "A.b/c" of metadata.annotations must be name or prefix/name, the prefix a '
          "lower-case domain name")]),
        (changed("metadata.tags", ["ok", "Java"]), [("metadata.tags[1]",
          "metadata.tags[1] must be 1 to 63 lower-case letters, digits and : + #, in parts joined "
          'by a single -, not "Java"')]),
        (changed("metadata.links", [{"title": "T"}, {"url": "x"}]),
         [("metadata.links[0].url", "metadata.links[0].url is missing; expected non-empty text")]),
        (changed("metadata.links", [{"url": "x", "title": " "}]), [
            ("metadata.links[0].url", "metadata.links[0].url must be an absolute URL such as "
             'https://example.com/page, not "x"'),
            ("metadata.links[0].title", 'metadata.links[0].title must be non-empty text, not " "'),
        ]),
        (changed("spec", ...), [("spec", "spec is missing; expected a map")]),
        (changed("spec", {"type": True}), [
            ("spec.lifecycle", "spec.lifecycle is missing; expected non-empty text"),
            ("spec.owner", "spec.owner is missing; expected non-empty text"),
            ("spec.type", "spec.type must be non-empty text, not the boolean true"),
        ]),
        (changed("spec.providesApis", "one"),
         [("spec.providesApis", 'spec.providesApis must be a list, not "one"')]),
        (changed("spec.dependsOn", ["orders-db"]), [("spec.dependsOn[0]",
          'spec.dependsOn[0]: reference "orders-db" needs a kind in front, as in '
          "component:orders-db")]),
        (changed("spec.owner", "group:"), [("spec.owner",
          'spec.owner: reference "group:" is not of the form [kind:][namespace/]name')]),
        (changed("spec.Owner", "b"), [("spec.owner",
          '"spec.owner" and "spec.Owner" differ only in upper and lower case')]),
        (changed("kind", "component"), [("kind",
          'kind "component" is not known; a kind is written exactly as Component')]),
        (changed("apiVersion", "backstage.io/v1beta2"), [("apiVersion",
          'apiVersion "backstage.io/v1beta2" is not known for kind Component; expected '
          "backstage.io/v1alpha1 or backstage.io/v1beta1")]),
        (of_kind("Widget", {}, "foo.io/v1"),
         [("kind", 'kind "Widget" (apiVersion "foo.io/v1") is not known')]),
        (of_kind("Location", {"presence": "maybe"}),
         [("spec.presence", 'spec.presence must be required or optional, not "maybe"')]),
        (of_kind("API", {"type": "a", "lifecycle": "b", "owner": "c", "definition": {"a": 1}}),
         [("spec.definition", "spec.definition must be non-empty text, not a map")]),
        (of_kind("AiResource", {"type": "plugin", "lifecycle": "b", "owner": "c"}),
         [("spec.skills", "spec.skills is missing; expected a list, which may be empty")]),
        (of_kind("Template", {"type": "a", "steps": [{"id": 1}], "output": {"x": 1}},
                 "scaffolder.backstage.io/v1beta3"), [
            ("spec.steps[0].action", "spec.steps[0].action is missing; expected a value"),
            ("spec.steps[0].id", "spec.steps[0].id must be text, not the number 1"),
            ("spec.output.x", "spec.output.x must be text, not the number 1"),
        ]),
    ],
)  # fmt: skip
def test_every_problem_of_the_first_failing_check_is_named(document, expected):
    assert problems(document) == expected


def test_a_later_check_waits_for_the_earlier_one():
    document = changed("metadata.name", "x y", changed("spec.owner", ...))
    assert [field for field, _ in problems(document)] == ["metadata.name"]


def test_keys_of_all_items_of_a_list_are_compared_without_case():
    document = changed("metadata.links", [{"url": "a:b", "note": "x"}, {"url": "a:b", "Note": "x"}])
    assert [message for _, message in problems(document)] == [
        '"metadata.links.note" and "metadata.links.Note" differ only in upper and lower case'
    ]
    assert problems(changed("metadata.x", {"Empty": {}, "empty": []})) == []  # nothing to find


def test_a_custom_kind_is_free_in_its_spec():
    widget = of_kind("Widget", {"dependsOn": ["no kind"], "owner": 1}, "foo.io/v1")
    assert problems(widget, is_custom_kind=lambda kind: kind == "Widget") == []
    nearly = of_kind("component", {})
    assert problems(nearly, is_custom_kind=lambda kind: True)[0][0] == "kind"


def test_hints_tell_the_way_out():
    [number] = check_entity(changed("metadata.labels", {"tier": 3}))
    [moved] = check_entity(changed("tags", ["a"]))
    [template] = check_entity(changed("metadata.name", "${{ values.name }}"))
    assert number.hint == "Put quotes around the value."
    assert moved.hint == "Move it below metadata, as metadata.tags."
    assert template.hint == "This looks like a template that has not been filled in."
