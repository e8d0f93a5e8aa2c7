"""From text to tree: the grammar, and what is said of a text that does not follow it.

Both dialects are read: bare fields and "=" (v1), calls and "==" (v2).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any, Final

import regex
from lark import Lark, Token, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken, VisitError
from lark.visitors import Transformer_NonRecursive

from catalog.kernel.identifiers import is_storable
from scorecards.cql import tree
from scorecards.cql.errors import CqlSyntaxError, nearest
from scorecards.cql.names import FUNCTION_NAMES
from scorecards.cql.tree import Argument, Node

MAX_LENGTH: Final = 20_000  # characters
MAX_NODES: Final = 2_000
MAX_DEPTH: Final = 50
MAX_DIGITS: Final = 40  # of a number
# Numbers are smaller than this; with MAX_NODES of them no product is beyond PostgreSQL's numeric.
MAX_NUMBER: Final = Decimal("1e60")

GRAMMAR: Final = r"""
start: [query]
?query: conjunction (_OR conjunction)*
?conjunction: negation (_AND negation)*
?negation: "!" negated -> negated | comparison
?negated: "!" negated -> negated | postfix
?comparison: sum | sum COMPARE sum -> compared
?sum: product | sum SIGN product -> calculated
?product: signed | product FACTOR signed -> calculated
?signed: SIGN signed -> negative | postfix
?postfix: atom | postfix "." NAME [arguments] -> member
?atom: STRING -> text
     | NUMBER -> number
     | TRUE -> true
     | FALSE -> false
     | NULL -> null
     | "[" [query ("," query)*] "]" -> items
     | "(" query ")" -> group
     | NAME [arguments] -> name
arguments: "(" [argument ("," argument)*] ")"
?argument: LAMBDA query -> function | KEYWORD query -> named | query -> placed

_AND.3: /and\b/i
_OR.3: /or\b/i
TRUE.3: /true\b/
FALSE.3: /false\b/
NULL.3: /null\b/
LAMBDA.4: /(\(\s*[A-Za-z_]\w*\s*\)|[A-Za-z_]\w*)\s*=>/
KEYWORD.4: /[A-Za-z_]\w*\s*=(?![=>])/
NAME: /[A-Za-z_]\w*/
STRING: /"(?:[^"\\]|\\.)*"/s
NUMBER: /[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/
COMPARE: "==" | "!=" | "<=" | ">=" | "<" | ">" | "="
SIGN: "+" | "-"
FACTOR: "*" | "/"
COMMENT.5: /\/\*.*?\*\//s
%ignore COMMENT
%ignore /\s+/
"""


def parse(text: str) -> Node | None:
    """The tree of a text; None when it says nothing but comments. Raises CqlSyntaxError."""
    if len(text) > MAX_LENGTH:
        found = f"{len(text):,} characters"
        raise CqlSyntaxError.at(text, MAX_LENGTH, found, f"at most {MAX_LENGTH:,}")
    if not is_storable(text):
        place = next(index for index, letter in enumerate(text) if not is_storable(letter))
        found = f"U+{ord(text[place]):04X}"
        raise CqlSyntaxError.at(text, place, found, "text without NUL and halves of letters")
    try:
        parsed = _parser().parse(text)
    except UnexpectedInput as error:
        raise _syntax_error(text, error) from None
    try:
        root: Node | None = _Builder(text).transform(parsed)
    except VisitError as error:
        if isinstance(error.orig_exc, CqlSyntaxError):
            raise error.orig_exc from None
        raise
    if root is not None:
        _check_size(text, root)
    return root


def _check_size(text: str, root: Node) -> None:
    for count, (node, depth) in enumerate(tree.nodes_of(root), 1):
        place = node.span[0]
        if depth > MAX_DEPTH:
            raise CqlSyntaxError.at(text, place, "deeper nesting", f"at most {MAX_DEPTH} levels")
        if count > MAX_NODES:
            raise CqlSyntaxError.at(text, place, "a longer rule", f"at most {MAX_NODES:,} parts")


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", lexer="contextual", propagate_positions=True)


@v_args(meta=True)
class _Builder(Transformer_NonRecursive[Token, Any]):
    """Lark's tree to ours."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._source = text

    def start(self, _meta: Any, children: list[Any]) -> Node | None:
        return children[0] if children else None

    def query(self, meta: Any, children: list[Any]) -> Node:
        return tree.Joined("or", tuple(children), span=_span(meta))

    def conjunction(self, meta: Any, children: list[Any]) -> Node:
        return tree.Joined("and", tuple(children), span=_span(meta))

    def negated(self, meta: Any, children: list[Any]) -> Node:
        return tree.Not(children[0], span=_span(meta))

    def compared(self, meta: Any, children: list[Any]) -> Node:
        left, sign, right = children
        return tree.Comparison(left, "==" if sign == "=" else str(sign), right, span=_span(meta))

    def calculated(self, meta: Any, children: list[Any]) -> Node:
        left, sign, right = children
        return tree.Arithmetic(left, str(sign), right, span=_span(meta))

    def negative(self, meta: Any, children: list[Any]) -> Node:
        sign, of = children
        return tree.Negative(of, span=_span(meta)) if sign == "-" else of

    def member(self, meta: Any, children: list[Any]) -> Node:
        of, name, arguments = (*children, None)[:3]
        return tree.Member(of, str(name), arguments, span=_span(meta))

    def name(self, meta: Any, children: list[Any]) -> Node:
        name, arguments = (*children, None)[:2]
        return tree.Name(str(name), arguments, span=_span(meta))

    def arguments(self, _meta: Any, children: list[Any]) -> tuple[Argument, ...]:
        return tuple(one for one in children if one is not None)

    def function(self, meta: Any, children: list[Any]) -> Argument:
        head, body = children
        name = str(head).removesuffix("=>").strip().strip("()").strip()
        function = tree.Lambda(name, body, span=_span(meta))
        return Argument(function, span=_span(meta))

    def named(self, meta: Any, children: list[Any]) -> Argument:
        head, value = children
        return Argument(value, str(head).removesuffix("=").strip(), span=_span(meta))

    def placed(self, meta: Any, children: list[Any]) -> Argument:
        return Argument(children[0], span=_span(meta))

    def group(self, meta: Any, children: list[Any]) -> Node:
        node: Node = replace(children[0], span=_span(meta))
        return node

    def items(self, meta: Any, children: list[Any]) -> Node:
        items = tuple(one for one in children if one is not None)
        return tree.Items(items, span=_span(meta))

    def text(self, meta: Any, children: list[Any]) -> Node:
        value = _unquoted(str(children[0]))
        if not is_storable(value):
            raise CqlSyntaxError.at(
                self._source, meta.start_pos, str(children[0]), "text without NUL"
            )
        return tree.Text(value, span=_span(meta))

    def number(self, meta: Any, children: list[Any]) -> Node:
        written = str(children[0])
        value = Decimal(written) if len(written) <= MAX_DIGITS else MAX_NUMBER
        if value >= MAX_NUMBER or (value and value.adjusted() < -MAX_DIGITS):
            raise CqlSyntaxError.at(
                self._source, meta.start_pos, written, f"a number of at most {MAX_DIGITS} digits"
            )
        return tree.Number(value, span=_span(meta))

    def true(self, meta: Any, _children: list[Any]) -> Node:
        return tree.Boolean(True, span=_span(meta))

    def false(self, meta: Any, _children: list[Any]) -> Node:
        return tree.Boolean(False, span=_span(meta))

    def null(self, meta: Any, _children: list[Any]) -> Node:
        return tree.Null(span=_span(meta))


def _span(meta: Any) -> tree.Span:
    return meta.start_pos, meta.end_pos


_ESCAPE: Final = regex.compile(r"\\(u[0-9A-Fa-f]{4}|.)", regex.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def _unquoted(written: str) -> str:
    """An escape that is none stays as it is: people write "\\d+\\.md" for patterns."""

    def escaped(match: regex.Match[str]) -> str:
        what = match[1]
        if len(what) > 1:
            return chr(int(what[1:], 16))
        if what in '"\\/':
            return what
        return _ESCAPED.get(what, f"\\{what}")

    text = _ESCAPE.sub(escaped, written[1:-1])
    # JSON writes letters beyond 16 bits as two halves
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


# What may stand somewhere, by the grammar's terminals.
_WORDS: Final = {
    "a value": {"STRING", "NUMBER", "TRUE", "FALSE", "NULL", "NAME", "LPAR", "LSQB", "BANG"},
    "and": {"_AND"},
    "or": {"_OR"},
    "a comparison": {"COMPARE"},
    "a calculation": {"FACTOR"},
    '"."': {"DOT"},
    '","': {"COMMA"},
    '")"': {"RPAR"},
    '"]"': {"RSQB"},
    "the end": {"$END"},
}


def _syntax_error(text: str, error: UnexpectedInput) -> CqlSyntaxError:
    if isinstance(error, UnexpectedToken):
        allowed = set(error.accepts or error.expected)
        is_end = error.token.type == "$END"
        position = len(text.rstrip()) if is_end else error.token.start_pos or 0
        found = "the end" if is_end else str(error.token)
    else:
        allowed = set(error.allowed or ()) if isinstance(error, UnexpectedCharacters) else set()
        position = error.pos_in_stream or 0
        found = text[position : position + 1] or "the end"
    if "LPAR" in allowed and "STRING" not in allowed:
        allowed.discard("LPAR")
        words = ['"("']
    else:
        words = []
    words = [word for word, names in _WORDS.items() if names & allowed] + words
    if allowed == {"NAME"}:
        words = ["a name"]
    expected = f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else "".join(words)
    return CqlSyntaxError.at(
        text, position, found, expected or "CQL", hint=_hint(text, position, found)
    )


def _hint(text: str, position: int, found: str) -> str:
    """How it is said here, for what other languages have."""
    before, after = text[:position].rstrip(), text[position:]
    if after.startswith(("&&", "&")):
        return 'Write "and"'
    if after.startswith(("||", "|")):
        return 'Write "or"'
    if regex.search(r"(?<![\w.])not$", before, regex.I) or regex.match(r"not\b", after, regex.I):
        return "Write !( … )"
    if after.startswith("'"):
        return "Texts stand in double quotes"
    if after.startswith('"'):
        word = regex.search(r"(\w+)$", before)
        if word and word[1] in FUNCTION_NAMES:
            return f'Write {word[1]}("…")'
        return "A text must end with a double quote" if found == '"' else ""
    if "/*" in text[max(position - 1, 0) : position + 2]:
        return "A comment must end with */"
    if word := regex.match(r"[A-Za-z_]\w*", after):
        return nearest(word[0], ("and", "or", *FUNCTION_NAMES)).removeprefix("; ").capitalize()
    return ""
