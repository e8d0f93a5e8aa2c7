from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog.kernel.api_outline import Format, Outline, compare, read_outline
from catalog.kernel.api_outline.comparing import Verdict


def names(outline: Outline) -> list[tuple[str, str]]:
    return [(item.kind.value, item.name) for item in outline.items]


@pytest.mark.parametrize(
    ("text", "declared", "expected"),
    [
        ("openapi: 3.1.0\npaths: {/a: {get: {}, x-y: {}, parameters: []}, /b: 5}", "",
         [("operation", "GET /a")]),
        ('{"swagger": "2.0", "paths": {"/a": {"put": {}}}}', "asyncapi", [("operation", "PUT /a")]),
        ("openapi: 3.1.0\nwebhooks: {paid: {post: {}}}", "openapi", [("webhook", "POST paid")]),
        ("openapi: 3.0.0\npaths: {/a: {$ref: '#/x'}}\nx: {get: {}}", "", [("operation", "GET /a")]),
        ("openapi: 3.0.0\npaths: {/a: {$ref: '#/x'}}\nx: {$ref: '#/x'}", "", []),
        ("asyncapi: 3.0.0\nchannels: {c: {address: a/b}}\n"
         "operations: {o: {action: receive, channel: {$ref: '#/channels/c'}}}", "",
         [("channel", "a/b")]),
        ("asyncapi: 2.0.0\nchannels: {c: {}}\ncomponents: {messages: {M: {payload: {}}}}", "",
         [("channel", "c"), ("message", "M")]),
        ("schema { query: Root } type Root { a(b: [Int!]! = [1, 2]): [A!]! } union U = A | B "
         "enum E { X Y } extend input I { a: Int = 1 } scalar S "
         "directive @d(a: Int) on FIELD | ENUM",
         "graphql",
         [("query", "Root.a"), ("type", "U"), ("enum", "E"), ("input", "I"), ("type", "S")]),
        ('service S { rpc A (B) returns (stream C) { option deprecated = true; } }\n'
         "message M { map<string, int32> m = 1; oneof o { int32 a = 2; } message N {} }", "grpc",
         [("call", "S/A"), ("type", "M"), ("type", "M.N")]),
        ("anything at all", "", []),
    ],
)  # fmt: skip
def test_what_definitions_declare(text, declared, expected):
    outline = read_outline(text, declared)
    assert names(outline) == expected
    assert outline.problem is None


def test_details_of_items():
    graphql = read_outline(
        'type Query { """Finds one.""" order(id: ID!, by: By = NAME): Order! '
        '@deprecated(reason: "x") }\n'
        "interface Node implements A & B { id: ID! }", "graphql"
    )  # fmt: skip
    order, node = graphql.items
    assert (order.signature, order.summary, order.is_deprecated) == (
        "order(id: ID!, by: By = NAME): Order!",
        "Finds one.",
        True,
    )
    assert dict(node.members) == {"id": ": ID!"}
    proto = read_outline(
        "package p;\n// Finds one.\nservice S { /* Gets. */ rpc Get (Id) returns (O); }\n"
        "message Id { repeated string id = 1 [deprecated = true]; reserved 2, 3; }", "grpc"
    )  # fmt: skip
    call, message = proto.items
    assert (call.name, call.summary) == ("p.S/Get", "Gets.")
    assert dict(message.members) == {"id": "repeated string = 1"}


@pytest.mark.parametrize(
    ("text", "declared", "line", "told"),
    [
        ("openapi: 3.0.0\npaths: [", "openapi", 2, ""),
        ("openapi: 3.0.0\nopenapi: 3.0.0", "openapi", 2, 'key "openapi" stands twice'),
        ("info: {}", "openapi", 1, 'expected the key "openapi" or "swagger"'),
        ("- a", "asyncapi", 1, "expected a map, found a list"),
        ("type A {\n  a: Int\n", "graphql", 2, "expected a field, found the end"),
        ("type A {}\nquery { a }", "graphql", 2, "expected a definition, found “query”"),
        ("type A { a: ; }", "graphql", 1, "nothing begins with ';'"),
        ("service S {\n rpc A returns (B); }", "grpc", 2, "expected (, found “returns”"),
        ("message A {\n message B {", "grpc", 2, "found the end"),
        ("message A {" * 50, "grpc", 1, "messages nested more than 30 levels deep"),
        ("openapi: 3.0.0\n#" + "x" * 5_000_000, "openapi", 1, "at most 5,000,000 are read"),
    ],
)  # fmt: skip
def test_broken_definitions_say_where(text, declared, line, told):
    problem = read_outline(text, declared).problem
    assert problem is not None
    assert problem.line == line
    assert told in problem.message


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        ("{" * 60_000, "graphql"),
        ("type A { a" + "(" * 60_000, "graphql"),
        ("type A { a: " + "[" * 60_000 + " }", "graphql"),
        ('"""' + "a" * 500_000, "graphql"),
        ("".join(f"message M{n} {{" for n in range(15_000)), "grpc"),
        ("/*" * 60_000, "grpc"),
        ("openapi: 3.0.0\npaths: " + "[" * 100_000, "openapi"),
        ("openapi: 3.0.0\npaths: {/a: &a {get: {}}}\nx: [" + "*a, " * 100_000 + "]", "openapi"),
    ],
)  # fmt: skip
def test_hostile_definitions_cost_little(text, declared):
    begin = time.process_time()
    read_outline(text, declared)
    assert time.process_time() - begin < 3


_BEFORE = """
openapi: 3.0.0
info: {version: "1"}
paths:
  /orders:
    parameters: [{name: page, in: query, schema: {type: integer}}]
    get:
      parameters: [{name: sort, in: query, schema: {type: string, enum: [asc, desc]}}]
      responses:
        "200": {content: {application/json: {schema: {$ref: "#/components/schemas/List"}}}}
    post:
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}}
      responses: {"201": {description: made}}
    delete: {}
components:
  schemas:
    List: {type: array, items: {$ref: "#/components/schemas/Order"}}
    Order:
      type: object
      required: [id]
      properties:
        id: {type: string}
        next: {$ref: "#/components/schemas/Order"}
        note: {type: string}
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("    delete: {}\n", "", [("removed", "DELETE /orders", [])]),
        ("    delete: {}\n", "    delete: {deprecated: true}\n",
         [("changed", "DELETE /orders", [("is deprecated now", False)])]),
        ("in: query, schema: {type: integer}", "in: query, required: true, schema: {type: string}",
         [("changed", f"{method} /orders", [
             ("query parameter page is required now", True),
             ("query parameter page: integer became string", True)])
          for method in ("GET", "POST", "DELETE")]),
        ("[asc, desc]", "[asc, up]",
         [("changed", "GET /orders", [("query parameter sort: no longer desc", True),
                                      ("query parameter sort: also up", False)])]),
        ("required: [id]", "required: [id, note]",
         [("changed", "GET /orders", [("answer 200[]: note is required now", False)]),
          ("changed", "POST /orders", [("the body: note is required now", True)])]),
        ("        note: {type: string}\n", "",
         [("changed", "GET /orders", [("answer 200[]: note is gone", True)]),
          ("changed", "POST /orders", [("the body: note is gone", True)])]),
        ('"201"', '"202"',
         [("changed", "POST /orders", [("answer 201 is gone", True),
                                       ("answer 202 is new", False)])]),
        ("requestBody: {content", "requestBody: {required: true, content",
         [("changed", "POST /orders", [("the body is required now", True)])]),
        ("    delete: {}\n", "    delete: {security: [{key: []}]}\n",
         [("changed", "DELETE /orders", [("who may call it changed", True)])]),
        ('version: "1"', 'version: "2"', []),
    ],
)  # fmt: skip
def test_what_breaks_is_told(old, new, expected):
    assert old in _BEFORE
    after = read_outline(_BEFORE.replace(old, new))
    found = compare(read_outline(_BEFORE), after).changes
    told = [
        (one.verdict, one.item.name, [(d.text, d.is_breaking) for d in one.details])
        for one in found
    ]
    details = [
        (
            verdict,
            name,
            [d for d in said if not d[0].startswith(("answer 200[]: next", "the body: next"))],
        )
        for verdict, name, said in told
    ]
    assert details == expected
    broken = sum(v == "removed" or any(b for _, b in said) for v, _, said in details)
    assert compare(read_outline(_BEFORE), after).breaking_count == broken


def test_other_formats_are_compared_by_their_outlines():
    before = read_outline("type Query { a: Int b: Int } input I { x: Int }", "graphql")
    after = read_outline(
        "type Query { a(n: Int): Int c: Int } input I { x: Int y: Int! }", "graphql"
    )
    found = {(one.verdict, one.item.name): one for one in compare(before, after).changes}
    assert list(found) == [
        (Verdict.REMOVED, "Query.b"),
        (Verdict.CHANGED, "Query.a"),
        (Verdict.CHANGED, "I"),
        (Verdict.ADDED, "Query.c"),
    ]
    [detail] = found[(Verdict.CHANGED, "I")].details
    assert (detail.text, detail.is_breaking) == ("y: Int! is new", True)


def test_endless_schemas_end():
    loop = "a: {type: object, properties: {%s}}"
    wide = ", ".join(f"p{n}: {{$ref: '#/components/schemas/a'}}" for n in range(150))
    text = (
        "openapi: 3.0.0\npaths: {/x: {post: {requestBody: {content: {j: {schema: "
        "{$ref: '#/components/schemas/a'}}}}}}}\ncomponents: {schemas: {" + loop % wide + "}}"
    )
    begin = time.process_time()
    compare(read_outline(text), read_outline(text.replace("p149", "q")))
    assert time.process_time() - begin < 3


def test_real_definitions_can_be_read(test_data: Path):
    seen: dict[Format, int] = {}
    for path in [*test_data.glob("backstage/**/*.yaml"), *test_data.glob("catalog-info/*.y*ml")]:
        for text, declared in _definitions(path):
            outline = read_outline(text, declared)
            assert outline.problem is None, path
            assert outline.items or outline.format in (Format.TRPC, Format.OTHER), path
            seen[outline.format] = seen.get(outline.format, 0) + 1
    assert set(seen) >= {Format.OPENAPI, Format.ASYNCAPI, Format.GRAPHQL, Format.GRPC, Format.TRPC}


def _definitions(path: Path) -> list[tuple[str, str]]:
    text = path.read_text()
    if "kind: API" not in text:
        return []
    try:
        documents: list[Any] = list(yaml.load_all(text, yaml.CSafeLoader))
    except yaml.YAMLError:
        return []
    specs = [d["spec"] for d in documents if isinstance(d, dict) and d.get("kind") == "API"]
    return [
        (spec["definition"], str(spec.get("type")))
        for spec in specs
        if isinstance(spec, dict)
        and isinstance(spec.get("definition"), str)
        and "\n" in spec["definition"].strip()
    ]
