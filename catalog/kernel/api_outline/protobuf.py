"""Protocol Buffers: the services of gRPC and their messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import regex

from catalog.kernel.api_outline.items import Format, Item, ItemKind, Outline, Problem
from catalog.kernel.api_outline.texts import capped
from catalog.kernel.api_outline.tokens import Token, Tokens, Unexpected, shown, tokens_of

_TOKEN = regex.compile(
    r"(?P<space>[\s\ufeff]++)"
    r"|(?P<comment>//[^\n]*+|/\*(?:(?!\*/).)*+\*/)"
    r"|(?P<text>\"(?:\\.|[^\"\\\n])*+\"|'(?:\\.|[^'\\\n])*+')"
    r"|(?P<name>\.?[A-Za-z_][\w.]*+)"
    r"|(?P<number>[-+]?\d[\w.+-]*+)"
    r"|(?P<sign>[{}()\[\]<>;=,:/.+-])",
    regex.DOTALL,
)
_COMMENT = regex.compile(r"^/[/*]++|\*/$|^[ \t]*+\*(?!/)", regex.MULTILINE)
_MAX_DEPTH = 30


class _File:
    def __init__(self) -> None:
        self.package = ""
        self.items: list[Item] = []

    def qualified(self, name: str) -> str:
        return f"{self.package}.{name}" if self.package else name


def read(text: str) -> Outline:
    file = _File()
    problem = None
    try:
        _read_all(Tokens(_documented(tokens_of(text, _TOKEN))), file)
    except Unexpected as error:
        problem = Problem(error.message, error.line)
    kept, is_cut = capped(sorted(file.items, key=lambda item: item.kind is not ItemKind.CALL))
    return Outline(Format.GRPC, title=file.package, items=kept, problem=problem, is_cut=is_cut)


def _documented(tokens: Iterable[Token]) -> list[Token]:
    """The tokens without comments, each with those right before it."""
    found: list[Token] = []
    comments: list[str] = []
    for token in tokens:
        if token.kind == "comment":
            comments.append(_COMMENT.sub(" ", token.value))
            continue
        found.append(replace(token, comment=" ".join(" ".join(comments).split())[:2000]))
        comments = []
    return found


def _read_all(tokens: Tokens, file: _File) -> None:
    while not tokens.is_over:
        if tokens.has(";"):
            continue
        keyword = tokens.name("a definition")
        if keyword.value in ("syntax", "edition", "import", "option"):
            _to_semicolon(tokens)
        elif keyword.value == "package":
            file.package = tokens.name("the name of the package").value
            tokens.want(";")
        elif keyword.value == "service":
            _read_service(tokens, file)
        elif keyword.value in ("message", "enum"):
            _read_message(tokens, file, keyword, "", 0)
        elif keyword.value == "extend":
            tokens.name("a message")
            tokens.want("{")
            tokens.balanced("{", "}")
        else:
            raise Unexpected(f"expected a definition, found {shown(keyword)}", keyword.line)


def _read_service(tokens: Tokens, file: _File) -> None:
    service = file.qualified(tokens.name("the name of the service").value)
    tokens.want("{")
    while not tokens.has("}"):
        if tokens.has(";"):
            continue
        comment = tokens.next.comment
        if not tokens.has("rpc"):
            tokens.name("rpc or option")
            _to_semicolon(tokens)
            continue
        name = tokens.name("the name of the call").value
        takes = _message_type(tokens)
        tokens.want("returns")
        gives = _message_type(tokens)
        options: list[Token] = []
        if tokens.has("{"):
            options = tokens.balanced("{", "}")
        else:
            tokens.want(";")
        file.items.append(
            Item(
                ItemKind.CALL,
                name=f"{service}/{name}",
                summary=_first_sentence(comment),
                description=comment,
                group=service,
                signature=f"({takes}) returns ({gives})",
                is_deprecated=_says_deprecated(options),
            )
        )


def _message_type(tokens: Tokens) -> str:
    tokens.want("(")
    return " ".join(token.value for token in tokens.balanced("(", ")"))[:300]


def _read_message(tokens: Tokens, file: _File, begin: Token, outer: str, depth: int) -> None:
    keyword = begin.value
    if depth > _MAX_DEPTH:
        raise Unexpected(f"messages nested more than {_MAX_DEPTH} levels deep", tokens.next.line)
    name = tokens.name(f"the name of the {keyword}").value
    whole = f"{outer}.{name}" if outer else name
    members: dict[str, str] = {}
    is_deprecated = False
    at = len(file.items)
    tokens.want("{")
    while not tokens.has("}"):
        if tokens.has(";"):
            continue
        first = tokens.next
        if keyword == "message" and first.value in ("message", "enum") and first.kind == "name":
            tokens.take()
            _read_message(tokens, file, first, whole, depth + 1)
            continue
        if first.value == "oneof" and first.kind == "name":
            tokens.take()
            tokens.name("the name of the oneof")
            tokens.want("{")
            while not tokens.has("}"):
                _add_member(_statement(tokens), members)
            continue
        statement = _statement(tokens)
        is_deprecated |= statement[:1] == ["option"] and statement[1:] == [
            "deprecated",
            "=",
            "true",
        ]
        _add_member(statement, members)
    file.items.insert(
        at,
        Item(
            ItemKind.TYPE if keyword == "message" else ItemKind.ENUM,
            name=file.qualified(whole),
            summary=_first_sentence(begin.comment),
            description=begin.comment,
            group="Messages" if keyword == "message" else "Enumerations",
            signature=keyword,
            members=members,
            is_deprecated=is_deprecated,
        ),
    )


def _statement(tokens: Tokens) -> list[str]:
    """The words up to the semicolon; what stands in brackets is left out."""
    words: list[str] = []
    while not tokens.has(";"):
        token = tokens.take()
        if token.kind == "end":
            raise Unexpected("expected ;, found the end", token.line)
        if token.kind == "sign" and token.value in ("{", "["):
            tokens.balanced(token.value, "}" if token.value == "{" else "]")
            if token.value == "{":
                tokens.has(";")  # which a block does not need
                return words
            continue
        if token.kind == "sign" and token.value == "}":
            raise Unexpected("expected ;, found “}”", token.line)
        words.append(token.value)
    return words


def _add_member(words: list[str], members: dict[str, str]) -> None:
    """`repeated Order orders = 3` is the member "orders" with "repeated Order = 3"."""
    if "=" not in words[1:] or words[0] in ("option", "reserved", "extensions"):
        return
    at = words.index("=", 1)
    members[words[at - 1]] = " ".join([*words[: at - 1], *words[at:]])[:300]


def _first_sentence(text: str) -> str:
    return text.split(". ", 1)[0][:300]


def _says_deprecated(options: list[Token]) -> bool:
    values = [token.value for token in options]
    return any(values[at : at + 3] == ["deprecated", "=", "true"] for at in range(len(values)))


def _to_semicolon(tokens: Tokens) -> None:
    _statement(tokens)
