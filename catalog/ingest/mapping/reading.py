"""Documents of either dialect, understood or refused with every fault that was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as AnyMapping
from dataclasses import replace
from typing import Any, Final, Literal

from catalog.ingest.mapping import simple
from catalog.ingest.mapping.expressions import (
    included_file,
    included_file_expression,
    is_bare_word,
    leading_path,
    with_double_quotes,
)
from catalog.ingest.mapping.model import (
    DEFAULT_THRESHOLD,
    Constant,
    EntityTemplate,
    Finding,
    Leaf,
    Mapping,
    Need,
    ResourceMapping,
    Tree,
)
from catalog.ingest.mapping.shapes import ShapeOf, shape_of
from catalog.kernel import jq
from catalog.kernel.errors import InvalidMapping, shorten
from catalog.kernel.source import ResourceKind, SourceKind

WEBHOOK: Final = "webhook"  # the resource kind of Port's webhook mappings
MAX_RESOURCES: Final = 1000
MAX_EXPRESSIONS: Final = 5000  # in all: compiling them takes some seconds
EVENT_ITEMS: Final = 500  # as many things as one event may bring

_THRESHOLD: Final = "entityDeletionThreshold"
_TOP: Final = {
    "resources",
    "createMissingRelatedEntities",
    "deleteDependentEntities",
    "enableMergeEntity",
    _THRESHOLD,
}
_RESOURCE: Final = {"kind", "selector", "port", _THRESHOLD}
_PORT: Final = {
    "entity",
    "itemsToParse",
    "itemsToParseName",
    "itemsToParseTopLevelTransform",
}
_ENTITY: Final = {"identifier", "title", "icon", "team", "blueprint", "properties", "relations"}
_WEBHOOK: Final = {"blueprint", "operation", "filter", "itemsToParse", "entity"}


def parse_mapping(
    document: Any,
    *,
    kind: SourceKind | None = None,
    shapes: ShapeOf = shape_of,
    compile_all: bool = True,
) -> Mapping:
    """Understand `document`: Port's `config`, the simple dialect, or Port's webhook mappings.

    kind: to know its resource kinds by; None does without. shapes: the blueprints there are, which
    only the simple dialect asks for. compile_all: refuse expressions that do not compile; without
    it they are left to fail, field by field, on every item.

    Raises InvalidMapping: the message names the first fault, details["errors"] lists all of them
    ([{"path", "message"}]).
    """
    reader = _Reader(kind, shapes)
    mapping = reader.document(document)
    if not reader.errors and compile_all:
        reader.compile(mapping.resources)
    if reader.errors:
        raise _refusal(reader.errors)
    return replace(mapping, findings=tuple(reader.findings), needs=reader.needs)


def _refusal(errors: Sequence[Finding]) -> InvalidMapping:
    first, more = errors[0], len(errors) - 1
    others = f" (and {more} more)" if more else ""
    return InvalidMapping(
        f"{first.path}: {first.message}{others}" if first.path else first.message + others,
        details={"errors": [{"path": one.path, "message": one.message} for one in errors]},
    )


class _Reader:
    """One reading; gathers faults (errors) and remarks (findings) on the way."""

    def __init__(self, kind: SourceKind | None, shapes: ShapeOf) -> None:
        self.kind, self.shapes = kind, shapes
        self.errors: list[Finding] = []
        self.findings: list[Finding] = []
        self.needs: list[Need] = []

    def wrong(self, path: str, message: str) -> None:
        self.errors.append(Finding("error", path, message))

    def remark(self, path: str, message: str) -> None:
        self.findings.append(Finding("warning", path, message))

    # --- the document

    def document(self, document: Any) -> Mapping:
        if isinstance(document, list):
            document = {"mappings": document}
        if not isinstance(document, dict):
            self.wrong("", f"A mapping is an object with resources, not {jq.describe(document)}")
            return Mapping(())
        if "mappings" in document and "resources" not in document:
            return self.webhooks(document)
        if "kind" in document and "port" in document and "resources" not in document:
            return Mapping(tuple(self.resource(document, 0, "")))
        if "resources" not in document and "identifier" in document:
            what = "a blueprint" if "schema" in document else "an entity"
            self.wrong("", f"This describes {what}; a mapping is an object with resources")
            return Mapping(())
        self.unknown(document, _TOP, "")
        return Mapping(
            tuple(
                one
                for n, item in enumerate(self.items(document, "resources", ""))
                for one in self.resource(item, n, f"resources[{n}]")
            ),
            create_missing=self.switch(document, "createMissingRelatedEntities"),
            delete_dependents=self.switch(document, "deleteDependentEntities"),
            merge=self.switch(document, "enableMergeEntity"),
            deletion_threshold=self.threshold(document, _THRESHOLD) or 0.0,
        )

    def unknown(self, given: AnyMapping[str, Any], known: set[str], path: str) -> None:
        for key in given:
            if key not in known:
                names = ", ".join(sorted(known))
                self.remark(_join(path, key), f"This key has no meaning here; known are {names}")

    def items(self, document: AnyMapping[str, Any], key: str, path: str) -> Sequence[Any]:
        value = document.get(key)
        if isinstance(value, list):
            if len(value) <= MAX_RESOURCES:
                return value
            what = f"has {len(value):,}; expected at most {MAX_RESOURCES:,} resources"
            self.wrong(_join(path, key), what)
            return []
        fault = "is missing" if key not in document else f"is {jq.describe(value)}"
        self.wrong(_join(path, key), f"{fault}; expected a list")
        return []

    def switch(self, document: AnyMapping[str, Any], key: str) -> bool:
        value = document.get(key)
        if value is None or isinstance(value, bool):
            return value is not False
        self.wrong(key, f"is {jq.describe(value)}; expected true or false")
        return True

    def threshold(
        self, given: AnyMapping[str, Any], path: str, default: float | None = DEFAULT_THRESHOLD
    ) -> float | None:
        value = given.get(_THRESHOLD)
        if value is None:
            return default
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
            return float(value)
        self.wrong(path, f"is {jq.describe(value)}; expected a share from 0 to 1")
        return default

    # --- a resource

    def resource(self, item: Any, index: int, path: str) -> Iterator[ResourceMapping]:
        if not isinstance(item, dict):
            self.wrong(path, f"is {jq.describe(item)}; expected an object with kind and port")
            return
        self.unknown(item, _RESOURCE, path)
        name = item.get("kind")
        if not isinstance(name, str) or not name:
            self.wrong(_join(path, "kind"), "is missing; expected the name of a resource kind")
            return
        known = self.known_kind(name, _join(path, "kind"))
        port = item.get("port")
        entity = port.get("entity") if isinstance(port, dict) else None
        if not isinstance(port, dict) or not isinstance(entity, dict):
            self.wrong(_join(path, "port.entity"), "is missing; expected an object")
            return
        self.unknown(port, _PORT, _join(path, "port"))
        selector, query = self.selector(item.get("selector"), _join(path, "selector"))
        self.check_selector(selector, known, _join(path, "selector"))
        faults = len(self.errors)
        if "mappings" in entity:
            templates = self.mappings(entity["mappings"], _join(path, "port.entity.mappings"))
        else:
            templates = self.simple(entity, known, _join(path, "port.entity"))
        each = self.leaf(port.get("itemsToParse"), "itemsToParse", _join(path, "port"))
        if len(self.errors) > faults:
            return
        each_name = port.get("itemsToParseName") or "item"
        if not isinstance(each_name, str):
            self.wrong(_join(path, "port.itemsToParseName"), "must be text")
            return
        transforms = port.get("itemsToParseTopLevelTransform") is not False
        yield ResourceMapping(
            index=index,
            origin=path,
            kind=name,
            templates=tuple(templates),
            selector=_with_files(selector, templates),
            query=query,
            each=each,
            each_name=each_name,
            drop=leading_path(each.expression) if each and transforms else None,
            deletion_threshold=self.threshold(item, _join(path, _THRESHOLD), default=None),
        )

    def known_kind(self, name: str, path: str) -> ResourceKind | None:
        if self.kind is None:
            return None
        known = self.kind.resource(name)
        if known is None:
            names = ", ".join(one.name for one in self.kind.resources)
            source = f"{self.kind.title} has no resource kind {shorten(name)!r}"
            self.remark(path, f"{source} and will skip it; known are {names}")
        return known

    def selector(self, given: Any, path: str) -> tuple[dict[str, Any], Leaf | None]:
        if given is None:
            return {}, None
        if not isinstance(given, dict):
            self.wrong(path, f"is {jq.describe(given)}; expected an object with query")
            return {}, None
        rest = {key: value for key, value in given.items() if key != "query"}
        return rest, self.query(given.get("query"), "query", path)

    def query(self, given: Any, key: str, path: str) -> Leaf | None:
        if isinstance(given, bool):
            return None if given else self.leaf("false", key, path)
        return self.leaf(given, key, path)

    def check_selector(
        self, selector: AnyMapping[str, Any], known: ResourceKind | None, path: str
    ) -> None:
        if known is None:
            return
        for key in selector:
            if key not in known.selector:
                names = ", ".join(["query", *known.selector])
                self.remark(_join(path, key), f"{known.name} does not read it; known are {names}")

    def leaf(self, given: Any, name: str, path: str) -> Leaf | None:
        """An expression that must be text where it is given at all."""
        if given is None:
            return None
        if isinstance(given, str) and given.strip():
            return Leaf(name, with_double_quotes(given), _join(path, name), given)
        self.wrong(_join(path, name), f"is {jq.describe(given)}; expected a JQ expression")
        return None

    # --- Port's dialect

    def mappings(self, given: Any, path: str) -> list[EntityTemplate]:
        if isinstance(given, dict):
            return list(self.template(given, "", path))
        if isinstance(given, list) and given:
            many = len(given) > 1
            return [
                template
                for n, item in enumerate(given)
                for template in self.template(
                    item, f"mappings[{n}]." if many else "", f"{path}[{n}]"
                )
            ]
        self.wrong(path, f"is {jq.describe(given)}; expected an object, or a list of them")
        return []

    def template(self, given: Any, prefix: str, path: str) -> Iterator[EntityTemplate]:
        if not isinstance(given, dict):
            self.wrong(path, f"is {jq.describe(given)}; expected an object with identifier")
            return
        blueprint = self.blueprint(given.get("blueprint"), prefix, path)
        yield from self.entity(given, blueprint, prefix, path)

    def entity(
        self, given: Any, blueprint: Leaf | Constant | None, prefix: str, path: str
    ) -> Iterator[EntityTemplate]:
        if not isinstance(given, dict):
            self.wrong(path, f"is {jq.describe(given)}; expected an object with identifier")
            return
        self.unknown(given, _ENTITY, path)
        if given.get("identifier") in (None, ""):
            self.wrong(_join(path, "identifier"), "is missing; every entity needs one")
            return
        body: dict[str, Tree] = {}
        for key in ("identifier", "title", "icon", "team"):
            if given.get(key) is not None:
                origin = _join(path, key)
                body[key] = self.tree(given[key], prefix + key, origin, is_value=False)
        for key in ("properties", "relations"):
            if given.get(key) is not None:
                body[key] = self.group(given[key], key, prefix, _join(path, key))
        if blueprint is not None:
            yield EntityTemplate(blueprint, body)

    def group(self, given: Any, key: str, prefix: str, path: str) -> Tree:
        if not isinstance(given, dict):
            self.wrong(path, f"is {jq.describe(given)}; expected an object of JQ expressions")
            return {}
        return {
            name: self.tree(
                value, f"{prefix}{key}.{name}", _join(path, name), is_value=key == "properties"
            )
            for name, value in given.items()
            if value is not None
        }

    def blueprint(self, given: Any, prefix: str, path: str) -> Leaf | Constant | None:
        leaf = self.leaf(given, "blueprint", path)
        if given is None:
            self.wrong(_join(path, "blueprint"), "is missing; every entity needs one")
        if leaf is None:
            return None
        if is_bare_word(leaf.expression) and jq.check_all({"": leaf.expression}):
            message = f"taken for the blueprint's name; in JQ it is written '\"{leaf.expression}\"'"
            self.remark(leaf.origin, message)
            return Constant(leaf.expression)
        return replace(leaf, name=f"{prefix}blueprint")

    def tree(self, given: Any, name: str, path: str, *, is_value: bool) -> Tree:
        """What stands at `path`. is_value: any structure; otherwise JQ or a search."""
        if isinstance(given, str):
            if (file := included_file(given)) is not None:
                return Leaf(name, included_file_expression(file), path, given)
            if not given.strip():
                self.wrong(path, "is empty; expected a JQ expression")
            return Leaf(name, with_double_quotes(given), path, given)
        if isinstance(given, dict):
            if not is_value and not (
                "combinator" in given and isinstance(given.get("rules"), list)
            ):
                expected = "expected JQ, or a search with combinator and rules"
                self.wrong(path, f"is {jq.describe(given)}; {expected}")
            return {
                key: self.tree(value, f"{name}.{key}", _join(path, key), is_value=True)
                for key, value in given.items()
            }
        if isinstance(given, list):
            return [
                self.tree(value, f"{name}[{n}]", f"{path}[{n}]", is_value=is_value)
                for n, value in enumerate(given)
            ]
        return Constant(given)

    # --- the simple dialect

    def simple(
        self, entity: AnyMapping[str, Any], known: ResourceKind | None, path: str
    ) -> list[EntityTemplate]:
        read = simple.read(entity, known.identifier if known else "", self.shapes, path)
        self.errors += [one for one in read.findings if one.level == "error"]
        self.findings += [one for one in read.findings if one.level != "error"]
        if read.need:
            self.needs = simple.joined([*self.needs, read.need])
        if read.blueprint is None:
            return []
        body = {
            key: (
                {
                    name: self.tree(one.value, f"{key}.{name}", one.origin, is_value=True)
                    for name, one in part.items()
                }
                if isinstance(part, dict)
                else self.tree(part.value, key, part.origin, is_value=False)
            )
            for key, part in read.body.items()
        }
        return [EntityTemplate(Constant(read.blueprint), body, team_must_be_text=True)]

    # --- webhooks

    def webhooks(self, document: AnyMapping[str, Any]) -> Mapping:
        self.unknown(document, {"mappings"}, "")
        return Mapping(
            tuple(
                one
                for n, item in enumerate(self.items(document, "mappings", ""))
                for one in self.webhook(item, n, f"mappings[{n}]")
            )
        )

    def webhook(self, item: Any, index: int, path: str) -> Iterator[ResourceMapping]:
        if not isinstance(item, dict):
            self.wrong(path, f"is {jq.describe(item)}; expected an object with blueprint, entity")
            return
        if "identifier" in item and "entity" not in item:
            self.wrong(path, "describes an entity; expected a mapping with blueprint and entity")
            return
        self.unknown(item, _WEBHOOK, path)
        faults = len(self.errors)
        name = item.get("blueprint")
        if not isinstance(name, str) or not name:
            self.wrong(_join(path, "blueprint"), "is missing; expected a blueprint's identifier")
        blueprint = Constant(str(name).strip('"'))
        templates = tuple(self.entity(item.get("entity"), blueprint, "", _join(path, "entity")))
        operation, delete_dependents = self.operation(item.get("operation"), path)
        query = self.query(item.get("filter"), "filter", path)
        each = self.leaf(item.get("itemsToParse"), "itemsToParse", path)
        if len(self.errors) == faults:
            yield ResourceMapping(
                index=index,
                origin=path,
                kind=WEBHOOK,
                templates=templates,
                query=query,
                each=each,
                each_limit=EVENT_ITEMS,
                operation=operation,
                delete_dependents=delete_dependents,
            )

    def operation(self, given: Any, path: str) -> tuple[Literal["upsert", "delete"], bool]:
        options = given if isinstance(given, dict) else {"type": given}
        kind = options.get("type")
        if kind == "delete":
            return "delete", options.get("deleteDependents") is not False
        if kind not in (None, "create", "upsert"):
            expected = 'expected "create" or "delete"'
            self.wrong(_join(path, "operation"), f"is {jq.describe(given)}; {expected}")
        return "upsert", True

    # --- expressions

    def compile(self, resources: Sequence[ResourceMapping]) -> None:
        """Note every expression that does not compile, and names that are given twice."""
        count = sum(len(resource.leaves) for resource in resources)
        if count > MAX_EXPRESSIONS:
            self.wrong("", f"It has {count:,} expressions; expected at most {MAX_EXPRESSIONS:,}")
            return
        written: dict[str, Leaf] = {}
        for resource in resources:
            names = [leaf.name for leaf in resource.leaves]
            for leaf in resource.leaves:
                written[leaf.origin] = leaf
                if names.count(leaf.name) > 1:
                    self.wrong(leaf.origin, f"{leaf.name} is given twice")
        wrong = jq.check_all({origin: leaf.expression for origin, leaf in written.items()})
        for origin, error in wrong.items():
            known = error.details
            where = f" (line {known['line']}, column {known['column']})" if "line" in known else ""
            self.wrong(
                origin,
                f'the JQ expression "{shorten(written[origin].written)}" does not compile: '
                f"{known['message']}{where}",
            )


def _with_files(selector: dict[str, Any], templates: Sequence[EntityTemplate]) -> dict[str, Any]:
    """`selector`, asking for the files that leaves name as `file://PATH`."""
    files = [
        file
        for template in templates
        for leaf in template.leaves
        if (file := included_file(leaf.written)) is not None
    ]
    if not files:
        return selector
    given = selector.get("includedFiles")
    wanted = [*given, *files] if isinstance(given, list) else files
    return {**selector, "includedFiles": list(dict.fromkeys(wanted))}


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
