"""Renders templates: the filters, functions and limits they have, and the cache of parsed ones."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from .backstage import Hosts, backstage_filters
from .budget import Budget, Meter
from .errors import LimitReached, TemplateError, TemplateLimitExceeded
from .evaluator import Evaluator
from .extensions import Function, Value
from .lexer import Syntax
from .nodes import Node, Output
from .statement_parser import Template, parse_expression, parse_template
from .values import UNDEFINED, detach, truthy

Context = Mapping[str, Any]  # names and the JSON values they stand for
_CACHED = 256  # parsed templates
_CACHED_CHARACTERS = 4_000_000  # of their sources
_JSON_STARTS = tuple('{["-0123456789tfn \t\r\n')


class Environment:
    """What templates may use. It may be shared by threads.

    filters: name -> Function, or a plain function of (input, *arguments). globals_: name ->
    Function, Value, a plain function, or any JSON value. hosts: those that parseRepoUrl accepts, or
    a function that gives them; None accepts all. delimiters: around expressions. is_cookiecutter:
    `{{ }}`, `True`/`False`/`None`, Python's methods of dicts and lists, and the filter `jsonify`.
    trim_blocks: drops the line end after `{% %}`; lstrip_blocks: drops the blanks before one that
    starts its line.
    """

    def __init__(
        self,
        filters: Mapping[str, Function | Callable[..., Any]] | None = None,
        globals_: Mapping[str, Any] | None = None,
        *,
        hosts: Hosts = None,
        budget: Budget | None = None,
        delimiters: tuple[str, str] = ("${{", "}}"),
        is_cookiecutter: bool = False,
        trim_blocks: bool = False,
        lstrip_blocks: bool = False,
    ) -> None:
        self.budget = budget or Budget()
        self.filters = backstage_filters(hosts)
        for name, function in (filters or {}).items():
            self.filters[name] = _function(function)
        self.globals = {
            name: _function(value) if callable(value) else value
            for name, value in (globals_ or {}).items()
        }
        self._seen = {k: v.value if isinstance(v, Value) else v for k, v in self.globals.items()}
        self.is_cookiecutter = is_cookiecutter
        opening, closing = ("{{", "}}") if is_cookiecutter else delimiters
        self.syntax = Syntax(opening, closing, trim_blocks, lstrip_blocks)
        self._cache = _Cache()

    def render_text(self, template: str, context: Context) -> str:
        """A file or a name of a skeleton. Raises TemplateError, TemplateLimitExceeded."""
        meter = Meter(self.budget)
        evaluator = self._evaluator(self._parsed(template), context, meter)
        return evaluator.run(lambda: "".join(evaluator.text().parts))  # type: ignore[no-any-return]

    def render_value(self, value: Any, context: Context, problems: list[str] | None = None) -> Any:
        """A step's input with every text in it rendered; the keys of objects are left as they are.

        A text that is one `${{ }}` alone becomes its value, with its type. A text of one `{% %}`
        alone becomes what its output means as JSON, where it is some. Undefined values, and texts
        that turn out empty, are left out (null in lists, UNDEFINED at the top). A text that cannot
        be read or fails stays as it is; `problems` gets a line that says where and why.
        Raises TemplateLimitExceeded: the budget is for the whole value.
        """
        try:
            found = problems if problems is not None else []
            return self._rendered(value, context, Meter(self.budget), "", found)
        except LimitReached as reached:
            raise TemplateLimitExceeded(reached.limit, reached.allowed) from None

    def evaluate(self, expression: str, context: Context) -> Any:
        """The value of a bare expression, UNDEFINED where it has none. Raises as render_text."""
        template = self._cache.get(
            ("expression", expression), lambda: parse_expression(expression, self.budget)
        )
        evaluator = self._evaluator(template, context, Meter(self.budget))
        return evaluator.run(lambda: _lone(evaluator, template.lone))

    def describe_filters(self) -> dict[str, Any]:
        """{name: {description, schema: {input, arguments, output}, examples}}; Nunjucks' own are
        not listed.
        """
        return {name: f.described(is_filter=True) for name, f in sorted(self.filters.items())}

    def describe_globals(self) -> dict[str, Any]:
        """{"functions": {name: {description, schema, examples}}, "values": {name: {value,
        description}}}.
        """
        functions: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for name, item in sorted(self.globals.items()):
            if isinstance(item, Function):
                functions[name] = item.described(is_filter=False)
            else:
                values[name] = (item if isinstance(item, Value) else Value(item)).described()
        return {"functions": functions, "values": values}

    def _parsed(self, source: str) -> Template:
        return self._cache.get(
            ("template", source), lambda: parse_template(source, self.syntax, self.budget)
        )

    def _evaluator(self, template: Template, context: Context, meter: Meter) -> Evaluator:
        return Evaluator(
            template,
            context,
            meter,
            filters=self.filters,
            globals_=self._seen,
            is_cookiecutter=self.is_cookiecutter,
        )

    def _rendered(
        self, value: Any, context: Context, meter: Meter, path: str, problems: list[str]
    ) -> Any:
        if isinstance(value, str):
            try:
                return self._rendered_text(value, context, meter)
            except TemplateLimitExceeded:
                raise
            except TemplateError as error:
                problems.append(f"{path}: {error}" if path else str(error))
                return value
        if not isinstance(value, list | dict):
            return value
        meter.enter()
        meter.items(len(value))
        result: Any
        if isinstance(value, list):
            result = []
            for index, item in enumerate(value):
                item = self._rendered(item, context, meter, f"{path}[{index}]", problems)
                result.append(None if item is UNDEFINED else item)
        else:
            result = {}
            for key, item in value.items():
                inner = f"{path}.{key}" if path else str(key)
                item = self._rendered(item, context, meter, inner, problems)
                if item is not UNDEFINED:
                    result[key] = item
        meter.leave()
        return result

    def _rendered_text(self, source: str, context: Context, meter: Meter) -> Any:
        template = self._parsed(source)
        depth, meter.depth = meter.depth, 0
        evaluator = self._evaluator(template, context, meter)
        lone = template.lone
        try:
            if isinstance(lone, Output):
                return evaluator.run(lambda: _lone(evaluator, lone))
            return evaluator.run(lambda: _coerced(evaluator, is_encoded=lone is not None))
        finally:
            meter.depth = depth  # a text that failed left it anywhere


def is_truthy(value: Any) -> bool:
    """Whether a step's `if` lets it run: an empty list does not, though it is true in JavaScript;
    an empty object does.
    """
    return bool(value) if isinstance(value, list) else truthy(value)


def _function(value: Any) -> Function:
    return value if isinstance(value, Function) else Function(value)


def _lone(evaluator: Evaluator, node: Node | None) -> Any:
    if not isinstance(node, Output):
        return UNDEFINED
    result = detach(evaluator.evaluate(node.value), evaluator.meter)
    if isinstance(result, str):
        evaluator.meter.write(len(result))
    return result


def _coerced(evaluator: Evaluator, *, is_encoded: bool) -> Any:
    """What a template's output is as a value: JSON's where it is JSON, else the text."""
    written = evaluator.text(is_encoded=is_encoded)
    text = "".join(written.parts)
    encoded = "".join(written.encoded or ())
    if is_encoded and encoded[:1] in _JSON_STARTS:
        try:
            return detach(json.loads(encoded, parse_constant=_no_constant), evaluator.meter)
        except ValueError:
            return text or UNDEFINED  # not JSON, so the text is meant
    return text or UNDEFINED


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


class _Cache:
    """The templates used last; one skeleton renders the same paths and files many times."""

    def __init__(self) -> None:
        self._templates: OrderedDict[tuple[str, str], Template] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def get(self, key: tuple[str, str], parse: Callable[[], Template]) -> Template:
        with self._lock:
            if key in self._templates:
                self._templates.move_to_end(key)
                return self._templates[key]
        template = parse()
        with self._lock:
            if key not in self._templates:
                self._templates[key] = template
                self._size += len(key[1])
            while len(self._templates) > _CACHED or self._size > _CACHED_CHARACTERS:
                (_, source), _ = self._templates.popitem(last=False)
                self._size -= len(source)
        return template
