"""From tags to the tree of a template: `{% if %}`, `{% for %}`, `{% set %}`, `{% macro %}` …"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from . import nodes
from .budget import Budget, Meter
from .errors import LimitReached, TemplateError, TemplateLimitExceeded, place
from .expression_parser import ExpressionParser
from .lexer import Syntax, Tag, scan, tokens_of
from .nodes import Body, Node


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template. lone: the part that makes it up alone (comments aside), where it is no
    text: its value may be more than a text.
    """

    source: str
    body: Body

    @property
    def lone(self) -> Node | None:
        if len(self.body) == 1 and not isinstance(self.body[0], nodes.Text):
            return self.body[0]
        return None


def parse_template(source: str, syntax: Syntax, budget: Budget) -> Template:
    """Raises TemplateError, TemplateLimitExceeded."""
    try:
        return Template(
            source, _TemplateParser(source, scan(source, syntax, budget), budget).parse()
        )
    except LimitReached as reached:
        raise TemplateLimitExceeded(reached.limit, reached.allowed) from None


def parse_expression(source: str, budget: Budget) -> Template:
    """A template of one bare expression. Raises TemplateError, TemplateLimitExceeded."""
    try:
        parser = ExpressionParser(source, tokens_of(source, budget), Meter(budget))
        return Template(source, [nodes.Output(0, parser.whole())])
    except LimitReached as reached:
        raise TemplateLimitExceeded(reached.limit, reached.allowed) from None


_LOADING = frozenset({"include", "import", "from", "extends"})
_INNER = frozenset({"else", "elif", "elseif", "case", "default"})


class _TemplateParser:
    def __init__(self, source: str, tags: list[Tag], budget: Budget) -> None:
        self.source = source
        self.tags = tags
        self.index = 0
        self.meter = Meter(budget)
        self.tag: ExpressionParser  # the block tag being read
        self.start = 0  # where that tag starts
        self.statements: dict[str, Callable[[], Node]] = {
            "if": self.if_,
            "for": self.for_,
            "set": self.set_,
            "macro": self.macro,
            "call": self.call,
            "filter": self.filter,
            "switch": self.switch,
            "block": self.block,
        }

    def parse(self) -> Body:
        body, stop = self.body()
        if stop:
            raise self.fail(f'Unexpected "{stop}" tag without a matching opening tag')
        return body

    def fail(self, message: str, at: int | None = None) -> TemplateError:
        return TemplateError(message, *place(self.source, self.start if at is None else at))

    def body(self, *stops: str) -> tuple[Body, str]:
        """Up to a tag named in `stops`, which `self.tag` then stands behind; "" at the end."""
        self.meter.enter()
        body: Body = []
        while self.index < len(self.tags):
            tag = self.tags[self.index]
            self.index += 1
            if tag.kind == "text":
                body.append(nodes.Text(tag.at, tag.text))
                continue
            parser = ExpressionParser(self.source, tag.tokens, self.meter)
            if tag.kind == "value":
                body.append(nodes.Output(tag.at, parser.whole()))
                continue
            self.tag, self.start = parser, tag.at
            name = self.word()
            if name in stops:
                self.meter.leave()
                return body, name
            body.append(self.statement(name, stops))
        self.meter.leave()
        return body, ""

    def word(self) -> str:
        if self.tag.next.kind == "end":
            raise self.fail("Template block tag cannot be empty")
        return self.tag.name()

    def statement(self, name: str, stops: tuple[str, ...]) -> Node:
        if name in self.statements:
            return self.statements[name]()
        if name in _LOADING:
            raise self.fail(
                f'Unsupported template-loading tag "{name}"; one file is rendered at a time, '
                "without others"
            )
        if name in _INNER or name.startswith("end"):
            expected = " or ".join(f'"{stop}"' for stop in stops)
            reason = f"; expected {expected}" if stops else " without a matching opening tag"
            raise self.fail(f'Unexpected "{name}" tag{reason}')
        close = get_close_matches(name, self.statements, 1)
        raise self.fail(
            f'Unknown template tag "{name}"' + (f'; did you mean "{close[0]}"?' if close else "")
        )

    def until(self, opened_at: int, closing: str, *others: str) -> tuple[Body, str]:
        """The body up to `closing` or one of `others`."""
        body, stop = self.body(closing, *others)
        if not stop:
            raise self.fail(f"Missing {closing} tag", opened_at)
        if stop in (closing, "else", "default"):
            self.tag.end()
        return body, stop

    def names(self) -> list[str]:
        names = [self.tag.name()]
        while self.tag.accept(","):
            names.append(self.tag.name())
        return names

    def if_(self) -> Node:
        start = self.start
        branches: list[tuple[Node, Body]] = []
        stop = "elif"
        while stop in ("elif", "elseif"):
            test = self.tag.whole()
            body, stop = self.until(start, "endif", "elif", "elseif", "else")
            branches.append((test, body))
        otherwise = self.until(start, "endif")[0] if stop == "else" else []
        return nodes.If(start, branches, otherwise)

    def for_(self) -> Node:
        start = self.start
        names = self.names()
        if names == ["loop"]:
            raise self.fail("A single loop target cannot be named loop", start)
        if not self.tag.accept("in", kind="name"):
            raise self.tag.fail("For tag requires an in expression")
        items = self.tag.whole()
        body, stop = self.until(start, "endfor", "else")
        otherwise = self.until(start, "endfor")[0] if stop == "else" else []
        return nodes.For(start, names, items, body, otherwise)

    def set_(self) -> Node:
        start = self.start
        names = self.names()
        if self.tag.accept("="):
            return nodes.Set(start, names, self.tag.whole())
        self.tag.end()
        return nodes.Set(start, names, nodes.Captured(start, self.until(start, "endset")[0]))

    def parameters(self) -> list[tuple[str, Node | None]]:
        """What follows "(": names, some with a default."""
        parameters: list[tuple[str, Node | None]] = []
        if self.tag.accept(")"):
            return parameters
        while True:
            name = self.tag.name()
            parameters.append((name, self.tag.expression() if self.tag.accept("=") else None))
            if not self.tag.accept(","):
                self.tag.expect(")")
                return parameters

    def macro(self) -> Node:
        start = self.start
        name = self.tag.name()
        self.tag.expect("(")
        parameters = self.parameters()
        self.tag.end()
        return nodes.Macro(start, name, parameters, self.until(start, "endmacro")[0])

    def call(self) -> Node:
        start = self.start
        parameters = self.parameters() if self.tag.accept("(") else []
        call = self.tag.whole()
        if not isinstance(call, nodes.Call):
            raise self.fail("Call block requires a function call", start)
        caller = nodes.Macro(start, "caller", parameters, self.until(start, "endcall")[0])
        return nodes.CallBlock(start, call, caller)

    def filter(self) -> Node:
        start = self.start
        node = self.tag.filter(nodes.Captured(start, []))
        self.tag.end()
        node.target = nodes.Captured(start, self.until(start, "endfilter")[0])
        return nodes.Output(start, node)

    def switch(self) -> Node:
        start = self.start
        value = self.tag.whole()
        stops = ("endswitch", "case", "default")
        body, stop = self.until(start, *stops)
        if any(not isinstance(node, nodes.Text) or node.text.strip() for node in body):
            raise self.fail("Switch content must begin with case or default", start)
        cases: list[tuple[Node, Body]] = []
        while stop == "case":
            test = self.tag.whole()
            body, stop = self.until(start, *stops)
            cases.append((test, body))
        if not cases and stop == "endswitch":
            raise self.fail("Switch requires at least one case or default", start)
        otherwise = self.until(start, "endswitch")[0] if stop == "default" else []
        return nodes.Switch(start, value, cases, otherwise)

    def block(self) -> Node:
        start = self.start
        name = self.tag.name()
        self.tag.end()
        body, stop = self.body("endblock")
        if not stop:
            raise self.fail("Missing endblock tag", start)
        if self.tag.next.kind != "end" and self.tag.name() != name:
            raise self.fail("Endblock name must match its opening block")
        self.tag.end()
        return nodes.Block(start, body)
