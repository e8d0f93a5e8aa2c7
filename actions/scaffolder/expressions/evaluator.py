"""Walks a parsed template over JSON values: texts, tags, names, operators, calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from catalog.kernel.errors import IdpError

from . import methods, nodes, operators
from .budget import Meter
from .checks import check
from .errors import Fault, LimitReached, TemplateError, TemplateLimitExceeded, place
from .extensions import Function
from .filters import FILTERS, PARAMETERS
from .generators import generators
from .nodes import Arguments, Body, Node
from .scope import Scope
from .statement_parser import Template
from .values import (
    UNDEFINED,
    Invocable,
    Safe,
    has_own,
    json_text,
    kind_of,
    number,
    own,
    render,
    strict_equal,
    to_float,
    to_integer,
    to_number,
    to_text,
    truthy,
)


class Written:
    """The result as it grows. encoded: the same with all values as JSON, where it is asked for."""

    __slots__ = ("encoded", "parts")

    def __init__(self, *, is_encoded: bool = False) -> None:
        self.parts: list[str] = []
        self.encoded: list[str] | None = [] if is_encoded else None


class Evaluator:
    """Evaluates one template once."""

    def __init__(
        self,
        template: Template,
        context: Mapping[str, Any],
        meter: Meter,
        *,
        filters: Mapping[str, Function],
        globals_: Mapping[str, Any],
        is_cookiecutter: bool,
    ) -> None:
        self.template = template
        self.meter = meter
        self.filters = filters
        self.globals = {**generators(meter), **globals_}
        self.is_cookiecutter = is_cookiecutter
        outside = Scope()
        outside.names = dict(context)
        self.root = Scope(outside, is_closed=True)
        self.scope = self.root
        self.at = 0
        self.handlers: dict[type[Node], Callable[[Any], Any]] = {
            nodes.Literal: lambda node: node.value,
            nodes.Name: self._name,
            nodes.ListOf: lambda node: [self.evaluate(item) for item in node.items],
            nodes.Sequence: lambda node: [self.evaluate(item) for item in node.items][-1],
            nodes.Record: lambda node: {key: self.evaluate(value) for key, value in node.pairs},
            nodes.Member: self._member,
            nodes.Slice: self._slice,
            nodes.Conditional: self._conditional,
            nodes.Unary: self._unary,
            nodes.Binary: self._binary,
            nodes.Test: self._test,
            nodes.Filter: self._filter,
            nodes.Call: self._call,
            nodes.Captured: lambda node: self.captured(node.body),
        }
        self.writers: dict[type[Node], Callable[[Any, Written], None]] = {
            nodes.Text: self._text,
            nodes.Output: self._output,
            nodes.If: self._if,
            nodes.For: self._for,
            nodes.Set: self._set,
            nodes.Macro: self._macro,
            nodes.CallBlock: self._call_block,
            nodes.Switch: self._switch,
            nodes.Block: self._block,
        }

    # The whole template

    def run(self, work: Callable[[], Any]) -> Any:
        """`work` with its faults placed. Raises TemplateError, TemplateLimitExceeded."""
        try:
            return work()
        except Fault as fault:
            raise self.error(str(fault), self.at) from None
        except LimitReached as reached:
            where = place(self.template.source, self.at)
            raise TemplateLimitExceeded(reached.limit, reached.allowed, *where) from None
        except RecursionError:
            limit = self.meter.budget.nesting
            raise TemplateLimitExceeded("nesting", limit) from None

    def error(self, message: str, at: int) -> TemplateError:
        return TemplateError(message, *place(self.template.source, at))

    def text(self, *, is_encoded: bool = False) -> Written:
        written = Written(is_encoded=is_encoded)
        self.write(self.template.body, written)
        return written

    # Statements

    def write(self, body: Body, written: Written) -> None:
        self.meter.enter()
        for node in body:
            self.at = node.at
            self.meter.spend()
            self.writers[type(node)](node, written)
        self.meter.leave()

    def captured(self, body: Body) -> str:
        written = Written()
        self.write(body, written)
        self.meter.text(sum(map(len, written.parts)))
        return "".join(written.parts)

    def within(self, scope: Scope, work: Callable[[], Any]) -> Any:
        """`work` with the names of `scope`; an error ends the whole run, so no `finally`."""
        before, self.scope = self.scope, scope
        result = work()
        self.scope = before
        return result

    def put(self, text: str, written: Written, encoded: str | None = None) -> None:
        self.meter.write(len(text))
        written.parts.append(text)
        if written.encoded is not None:
            written.encoded.append(text if encoded is None else encoded)

    def _text(self, node: nodes.Text, written: Written) -> None:
        self.put(node.text, written)

    def _output(self, node: nodes.Output, written: Written) -> None:
        value = self.evaluate(node.value)
        self.at = node.at
        encoded = None
        if written.encoded is not None:
            encoded = "" if value is UNDEFINED else json_text(value, self.meter)
        self.put(render(value, self.meter), written, encoded)

    def _if(self, node: nodes.If, written: Written) -> None:
        for test, body in node.branches:
            if truthy(self.evaluate(test)):
                return self.write(body, written)
        return self.write(node.otherwise, written)

    def _for(self, node: nodes.For, written: Written) -> None:
        value = self.evaluate(node.items)
        turns = self.turns(value, node)
        scope = Scope(self.scope)
        self.within(scope, lambda: self._loop(node, turns, scope, written))
        if not turns:
            self.within(scope, lambda: self.write(node.otherwise, written))

    def _loop(self, node: nodes.For, turns: list[Any], scope: Scope, written: Written) -> None:
        count = len(turns)
        for index, item in enumerate(turns):
            self.meter.spend()
            if len(node.names) == 1:
                scope.names[node.names[0]] = item
            else:
                for position, name in enumerate(node.names):
                    scope.names[name] = own(item, str(position))
            scope.names["loop"] = {
                "index": index + 1,
                "index0": index,
                "revindex": count - index,
                "revindex0": count - index - 1,
                "first": index == 0,
                "last": index == count - 1,
                "length": count,
            }
            self.write(node.body, written)

    def turns(self, value: Any, node: nodes.For) -> list[Any]:
        """What a loop goes through: items, signs of a text; keys and values with two names."""
        is_split = len(node.names) > 1
        result: list[Any]
        if isinstance(value, dict):
            result = [[key, item] for key, item in value.items()] if is_split else []
        elif isinstance(value, str):
            pairs = [[str(index), sign] for index, sign in enumerate(value)] if is_split else []
            result = pairs or [*value]
        else:
            result = value if isinstance(value, list) else []
        if is_split and any(item is None or item is UNDEFINED for item in result):
            raise self.error("Cannot destructure a nullish loop value", node.items.at)
        self.meter.items(len(result))
        return result

    def _set(self, node: nodes.Set, _: Written) -> None:
        value = self.evaluate(node.value)
        for name in node.names:
            self.scope.assign(name, value)

    def _macro(self, node: nodes.Macro, _: Written) -> None:
        self.scope.names[node.name] = self.callable(node, self.root)

    def callable(self, node: nodes.Macro, scope: Scope) -> Invocable:
        def call(positional: list[Any], named: dict[str, Any]) -> Safe:
            local = Scope(scope, is_closed=True)
            return Safe(self.within(local, lambda: self._invoke(node, local, positional, named)))

        return Invocable(node.name, call)

    def _invoke(
        self, node: nodes.Macro, local: Scope, positional: list[Any], named: dict[str, Any]
    ) -> str:
        required = [name for name, default in node.parameters if default is None]
        optional = [name for name, default in node.parameters if default is not None]
        given = {**named, **dict(zip([*required, *optional], positional, strict=False))}
        for name, default in node.parameters:
            if name in given or default is None:
                local.names[name] = given.get(name, UNDEFINED)
            else:
                local.names[name] = self.evaluate(default)
        if "caller" in given:
            local.names["caller"] = given["caller"]
        return self.captured(node.body)

    def _call_block(self, node: nodes.CallBlock, written: Written) -> None:
        target = self.evaluate(node.call.target)
        if not isinstance(target, Invocable):
            raise self.error("Call blocks can target only template macros", node.at)
        positional, named = self.arguments(node.call.arguments)
        named["caller"] = self.callable(node.caller, self.scope)
        self.put(render(self.called(target, positional, named, node.at), self.meter), written)

    def _switch(self, node: nodes.Switch, written: Written) -> None:
        value = self.evaluate(node.value)
        is_found = False
        for test, body in node.cases:
            is_found = is_found or strict_equal(value, self.evaluate(test))
            if is_found and body:  # an empty case falls through to the next
                return self.write(body, written)
        return self.write(node.otherwise, written)

    def _block(self, node: nodes.Block, written: Written) -> None:
        self.within(Scope(self.scope, is_closed=True), lambda: self.write(node.body, written))

    # Expressions

    def evaluate(self, node: Node) -> Any:
        meter = self.meter
        meter.enter()
        meter.fuel -= 1
        if meter.fuel < 0:
            raise LimitReached("fuel", meter.budget.fuel)
        self.at = node.at
        value = self.handlers[type(node)](node)
        meter.depth -= 1
        return value

    def _name(self, node: nodes.Name) -> Any:
        name = node.name
        if self.scope.has(name):
            return self.scope.get(name)
        if self.is_cookiecutter and name in _PYTHON_CONSTANTS:
            return _PYTHON_CONSTANTS[name]
        value = self.globals.get(name, UNDEFINED)
        return self.global_(name, value) if isinstance(value, Function) else value

    def global_(self, name: str, function: Function) -> Invocable:
        def call(positional: list[Any], named: dict[str, Any]) -> Any:
            if named:
                raise Fault(f"Registered global {name} does not accept keyword arguments")
            return self.hosted(f'Template global "{name}"', function, positional)

        return Invocable(name, call)

    def hosted(self, description: str, function: Function, arguments: list[Any]) -> Any:
        """What a function from outside the dialect gives, its own words in the error."""
        self.meter.spend(10)
        try:
            return function.call(*arguments)
        except (IdpError, ValueError, TypeError, LookupError) as error:
            raise Fault(f"{description} failed: {error}") from None

    def _member(self, node: nodes.Member) -> Any:
        target = self.evaluate(node.target)
        key = to_text(self.evaluate(node.key), self.meter)
        self.at = node.at
        if isinstance(target, Invocable):
            return target.member(key)
        if has_own(target, key):
            return own(target, key)
        method = methods.find(target, key, is_cookiecutter=self.is_cookiecutter)
        if method is None:
            return UNDEFINED

        def call(positional: list[Any], named: dict[str, Any]) -> Any:
            if named or not method.least <= len(positional) <= max(method.least, method.most):
                raise Fault(f"{key}() does not take these arguments")
            return method.call(target, positional, self.meter)

        return Invocable(key, call)

    def _slice(self, node: nodes.Slice) -> Any:
        target = self.evaluate(node.target)
        bounds = [part and self.evaluate(part) for part in (node.start, node.stop, node.step)]
        self.at = node.at
        items = target if isinstance(target, str | list) else []
        step = 1 if bounds[2] is None else to_integer(bounds[2], self.meter)
        if not step or math.isinf(step):
            raise Fault("Slice step must have finite non-zero numeric coercion")
        size = len(items)
        start = size - 1 if step < 0 else 0
        stop = -1 if step < 0 else size
        if bounds[0] is not None:
            start = self.bound(bounds[0], size)
        if bounds[1] is not None:
            stop = self.bound(bounds[1], size)
        self.meter.items(size)
        indexes = range(start, min(stop, size) if step > 0 else stop, int(step))
        return [items[index] for index in indexes if 0 <= index < size]

    def bound(self, value: Any, size: int) -> int:
        index = to_integer(value, self.meter)
        return int(max(min(index + size if index < 0 else index, size), -1))

    def _conditional(self, node: nodes.Conditional) -> Any:
        if truthy(self.evaluate(node.test)):
            return self.evaluate(node.then)
        return self.evaluate(node.otherwise) if node.otherwise else ""

    def _unary(self, node: nodes.Unary) -> Any:
        value = self.evaluate(node.target)
        if node.operator == "not":
            return not truthy(value)
        result = to_number(value, self.meter)
        if node.operator == "floor":
            return number(float(math.floor(result))) if math.isfinite(result) else result
        return number(-to_float(result)) if node.operator == "-" else result

    def _binary(self, node: nodes.Binary) -> Any:
        left = self.evaluate(node.left)
        operator = node.operator
        if operator == "and":
            return self.evaluate(node.right) if truthy(left) else left
        if operator == "or":
            return left if truthy(left) else self.evaluate(node.right)
        right = self.evaluate(node.right)
        self.at = node.at
        if operator == "in":
            return self.contains(right, left)
        return operators.apply(operator, left, right, self.meter)

    def contains(self, container: Any, value: Any) -> bool:
        self.meter.walk(container)
        if isinstance(container, str):
            return to_text(value, self.meter) in container
        if isinstance(container, list):
            return any(strict_equal(item, value) for item in container)
        if isinstance(container, dict):
            return to_text(value, self.meter) in container
        raise Fault("Membership requires an array, record, or string")

    def _test(self, node: nodes.Test) -> bool:
        value = self.evaluate(node.target)
        positional, named = self.arguments(node.arguments)
        self.at = node.at
        if named:
            raise Fault(f"Template test {node.name} does not accept keyword arguments")
        return check(node.name, value, positional, self.meter)

    def _filter(self, node: nodes.Filter) -> Any:
        name = node.name
        if name == "jsonify" and self.is_cookiecutter and name not in self.filters:
            name = "dump"
        if name not in self.filters and name not in FILTERS:
            close = get_close_matches(name, [*FILTERS, *self.filters], 1, 0.75)
            hint = f'; did you mean "{close[0]}"?' if close else ""
            raise self.error(f'Unknown template filter "{name}"{hint}', node.at)
        value = self.evaluate(node.target)
        positional, named = self.arguments(node.arguments)
        self.at = node.at
        if name in self.filters:
            if named:
                raise Fault(f"Registered filter {name} does not accept keyword arguments")
            return self.hosted(
                f'Template filter "{name}"', self.filters[name], [value, *positional]
            )
        if isinstance(value, Invocable) and name not in ("default", "d"):
            raise Fault(f'"{value.name}" is a function; call it with ()')
        try:
            return FILTERS[name](value, _placed(name, positional, named), self.meter)
        except Fault as fault:
            raise Fault(f'Filter "{name}" failed for {kind_of(value)} input: {fault}') from None

    def arguments(self, arguments: Arguments) -> tuple[list[Any], dict[str, Any]]:
        positional = [self.evaluate(node) for node in arguments.positional]
        return positional, {name: self.evaluate(node) for name, node in arguments.named}

    def _call(self, node: nodes.Call) -> Any:
        target = self.evaluate(node.target)
        if not isinstance(target, Invocable):
            path = _path(node.target)
            what = f'Template value "{path}"' if path else "Template expression"
            raise self.error(f"{what} resolved to {kind_of(target)} and cannot be called", node.at)
        return self.called(target, *self.arguments(node.arguments), node.at)

    def called(
        self, target: Invocable, positional: list[Any], named: dict[str, Any], at: int
    ) -> Any:
        self.at = at
        return target.call(positional, named)


def _path(node: Node) -> str:
    """`a.b.c` as it was written, for messages; "" where it is no such path."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Member) and isinstance(node.key, nodes.Literal):
        parent = _path(node.target)
        return f"{parent}.{node.key.value}" if parent else ""
    return ""


def _placed(name: str, positional: list[Any], named: dict[str, Any]) -> list[Any]:
    """The arguments of a filter in order; of one whose arguments have no names, as one object."""
    if not named:
        return positional
    if name not in PARAMETERS:
        return [*positional, {**named, "__keywords": True}]
    rest = PARAMETERS[name][len(positional) :]
    return [*positional, *(named.get(parameter, UNDEFINED) for parameter in rest)]


_PYTHON_CONSTANTS = {"True": True, "False": False, "None": None}
