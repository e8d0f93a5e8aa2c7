"""GraphQL's schema language."""

from __future__ import annotations

import regex

from catalog.kernel.api_outline.items import Format, Item, ItemKind, Outline, Problem
from catalog.kernel.api_outline.texts import capped
from catalog.kernel.api_outline.tokens import Token, Tokens, Unexpected, shown, tokens_of

_TOKEN = regex.compile(
    r"(?P<space>[\s,\ufeff]++|\#[^\n]*+)"
    r'|(?P<text>"""(?:\\"""|(?!""").)*+"""|"(?!"")(?:\\.|[^"\\\n])*+")'
    r"|(?P<name>[A-Za-z_]\w*+)"
    r"|(?P<number>-?\d[\d.eE+-]*+)"
    r"|(?P<sign>\.\.\.|[!$&()\[\]{}:=@|])",
    regex.DOTALL,
)
_ROOTS = {"query": "Query", "mutation": "Mutation", "subscription": "Subscription"}
_ROOT_KINDS = {
    "query": ItemKind.QUERY,
    "mutation": ItemKind.MUTATION,
    "subscription": ItemKind.SUBSCRIPTION,
}
_WITH_FIELDS = ("type", "interface", "input")
_MAX_TYPE_TOKENS = 100


class _Definition:
    """A type as it is declared, its extensions included."""

    def __init__(self, keyword: str, name: str) -> None:
        self.keyword, self.name = keyword, name
        self.description = ""
        self.fields: dict[str, tuple[str, str, bool]] = {}  # signature, description, is_deprecated


def read(text: str) -> Outline:
    definitions: dict[str, _Definition] = {}
    roots = dict(_ROOTS)
    problem = None
    try:
        _read_all(Tokens(list(tokens_of(text, _TOKEN))), definitions, roots)
    except Unexpected as error:
        problem = Problem(error.message, error.line)
    kept, is_cut = capped(_items(definitions, roots))
    return Outline(Format.GRAPHQL, items=kept, problem=problem, is_cut=is_cut)


def _items(definitions: dict[str, _Definition], roots: dict[str, str]) -> list[Item]:
    items = []
    kinds = {name: _ROOT_KINDS[root] for root, name in roots.items()}
    for definition in sorted(definitions.values(), key=lambda one: one.name not in kinds):
        if kind := kinds.get(definition.name):
            items += [
                Item(
                    kind,
                    name=f"{definition.name}.{name}",
                    summary=description.split("\n", 1)[0],
                    description=description,
                    group=definition.name,
                    signature=f"{name}{signature}",
                    is_deprecated=is_deprecated,
                )
                for name, (signature, description, is_deprecated) in definition.fields.items()
            ]
            continue
        kind = {"enum": ItemKind.ENUM, "input": ItemKind.INPUT}.get(
            definition.keyword, ItemKind.TYPE
        )
        items.append(
            Item(
                kind,
                name=definition.name,
                summary=definition.description.split("\n", 1)[0],
                description=definition.description,
                group=f"{definition.keyword.capitalize()}s",
                signature=definition.keyword,
                members={name: field[0] for name, field in definition.fields.items()},
            )
        )
    return items


def _read_all(tokens: Tokens, definitions: dict[str, _Definition], roots: dict[str, str]) -> None:
    while not tokens.is_over:
        description = _description(tokens)
        tokens.has("extend")
        keyword = tokens.name("a definition")
        if keyword.value == "schema":
            _deprecated(tokens)
            tokens.want("{")
            while not tokens.has("}"):
                root = tokens.name("query, mutation or subscription").value
                tokens.want(":")
                roots[root] = tokens.name("a type").value
        elif keyword.value == "directive":
            _read_directive(tokens)
        elif keyword.value in (*_WITH_FIELDS, "enum", "union", "scalar"):
            name = tokens.name(f"the name of the {keyword.value}").value
            known = definitions.setdefault(name, _Definition(keyword.value, name))
            known.description = known.description or description
            _read_body(tokens, known, keyword.value)
        else:
            raise Unexpected(f"expected a definition, found {shown(keyword)}", keyword.line)
    for root in [root for root in roots if root not in _ROOT_KINDS]:
        del roots[root]


def _read_body(tokens: Tokens, definition: _Definition, keyword: str) -> None:
    if tokens.has("implements"):
        tokens.has("&")
        tokens.name("an interface")
        while tokens.has("&") or (tokens.next.kind == "name" and _is_before_body(tokens)):
            tokens.name("an interface")
    _deprecated(tokens)
    if keyword == "union" and tokens.has("="):
        tokens.has("|")
        while True:
            member = tokens.name("a type").value
            definition.fields[member] = ("", "", False)
            if not tokens.has("|"):
                return
    if keyword in ("union", "scalar") or not tokens.has("{"):
        return
    while not tokens.has("}"):
        description = _description(tokens)
        name = tokens.name("a field").value
        if keyword == "enum":
            definition.fields[name] = ("", description, _deprecated(tokens))
            continue
        signature = ""
        if tokens.has("("):
            signature = f"({_joined(tokens.balanced('(', ')'))})"
        tokens.want(":")
        signature += f": {_type(tokens)}"
        if tokens.has("="):
            signature += f" = {_value(tokens)}"
        definition.fields[name] = (signature, description, _deprecated(tokens))


def _is_before_body(tokens: Tokens) -> bool:
    """Old schemas list interfaces without `&`."""
    return tokens.next.value not in (*_WITH_FIELDS, "enum", "union", "scalar", "extend", "schema")


def _description(tokens: Tokens) -> str:
    if tokens.next.kind != "text":
        return ""
    return " ".join(tokens.take().value.strip('"').split())[:2000]


def _deprecated(tokens: Tokens) -> bool:
    """Take directives; whether one of them is @deprecated."""
    found = False
    while tokens.has("@"):
        found = tokens.name("a directive").value == "deprecated" or found
        if tokens.has("("):
            tokens.balanced("(", ")")
    return found


def _type(tokens: Tokens) -> str:
    """[Order!]!"""
    written = ""
    for _ in range(_MAX_TYPE_TOKENS):
        if (
            tokens.next.kind == "name"
            and not written.endswith((*"]!",))
            and (not written or written.endswith("["))
        ) or (tokens.next.value in ("[", "]", "!") and tokens.next.kind == "sign"):
            written += tokens.take().value
        else:
            break
    if not written:
        raise Unexpected(f"expected a type, found {shown(tokens.next)}", tokens.next.line)
    return written


def _value(tokens: Tokens) -> str:
    for opening, closing in (("[", "]"), ("{", "}")):
        if tokens.has(opening):
            return f"{opening}{_joined(tokens.balanced(opening, closing))}{closing}"
    return ("$" if tokens.has("$") else "") + tokens.take().value


def _read_directive(tokens: Tokens) -> None:
    tokens.want("@")
    tokens.name("the name of the directive")
    if tokens.has("("):
        tokens.balanced("(", ")")
    tokens.has("repeatable")
    tokens.want("on")
    tokens.has("|")
    tokens.name("a place")
    while tokens.has("|"):
        tokens.name("a place")


def _joined(tokens: list[Token]) -> str:
    """Arguments as people write them, without their descriptions."""
    written = ""
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.kind == "text" and not (before and before.value in (":", "=")):
            continue
        if before and before.value in (":", "="):
            written += " "
        elif written and token.kind == "name" and not written.endswith(("(", "[", "{", "@", "$")):
            written += ", "
        elif token.value == "=":
            written += " "
        written += token.value
    return written[:500]
