"""Whether a run may start with these inputs. This is the truth; forms only help people along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from actions.inputs.context import FormContext
from actions.inputs.definition import MASK, Definition, Field, Jq, masked, secrets_in
from actions.inputs.patterns import fits, is_linear
from actions.inputs.picks import fitting, known_teams, known_users, names_in
from actions.inputs.refs import missing_refs
from actions.inputs.resolving import Resolved, ResolvedField, is_empty, resolve
from actions.inputs.wording import in_words
from catalog.kernel.actors import Principal
from catalog.kernel.errors import InvalidInput, InvalidQuery, shorten
from catalog.kernel.json_text import write_json
from catalog.kernel.schema import check_json, compile_schema
from catalog.kernel.yaml_reader import YamlError, read_documents
from catalog.selectors.search import Scope

MAX_PROBLEMS: Final = 100
MAX_BYTES: Final = 1_000_000  # of all inputs: lists show them with each run
ROOT: Final = "properties"
PLACES: Final = {  # parts of the address of a repository, and what a template limits them with
    "host": "allowedHosts",
    "owner": "allowedOwners",
    "organization": "allowedOrganizations",
    "project": "allowedProjects",
    "repo": "allowedRepos",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """values: all inputs in clear, with defaults. secrets: those that stay hidden, by dotted path
    of inputs, or by the name of a secret of its own. properties: as runs show them, masked.
    """

    values: Mapping[str, Any]
    secrets: Mapping[str, str]
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. path: dotted, from the input's name; "" is all of them together."""

    path: str
    value: str
    expected: str
    message: str

    def as_dict(self) -> dict[str, str]:
        field = f"{ROOT}.{self.path}" if self.path else ROOT
        return {
            "field": field,
            "value": self.value,
            "expected": self.expected,
            "message": self.message,
        }


def check(
    definition: Definition,
    given: Any,
    context: FormContext,
    *,
    principal: Principal,
    secrets: Mapping[str, str] | None = None,
) -> Checked:
    """What a run is to have as inputs, where it was given these.

    Hidden and disabled inputs have their defaults, whatever was given for them. secrets: by name,
    from callers that send them apart.

    Raises InvalidInput with everything that is wrong in `details["problems"]`, each {"field",
    "value", "expected", "message"}; details and message also tell the first one. Secret values are
    in none of it. Takes one statement for all picked entities, one for each dataset, one each for
    people and for teams.
    """
    if not isinstance(given, Mapping):
        raise InvalidInput.of(ROOT, given, "an object")
    check_json(dict(given))
    if (size := len(orjson.dumps(given, default=dict))) > MAX_BYTES:
        raise InvalidInput.of(ROOT, f"{size:,} bytes", f"at most {MAX_BYTES:,} bytes of JSON")
    resolved = resolve(definition, given, context)
    checker = _Checker(resolved, principal, Scope(principal))
    checker.put_in(secrets or {})
    problems = list(checker.problems(given, secrets or {}))
    if problems:
        raise _refused(problems[:MAX_PROBLEMS])
    values = checker.values
    kept: dict[str, str] = {}
    clear, shown = dict(values), dict(values)
    for name, one in resolved.fields.items():
        if name not in values:
            continue
        for field, path, value in secrets_in(one.field, values[name]):
            key = field.name if field.in_secrets else path
            kept[key] = value if isinstance(value, str) else write_json(value)
        clear[name] = _without_apart(one.field, values[name])
        shown[name] = masked(one.field, values[name])
    return Checked(
        values=clear,
        secrets=kept | dict(secrets or {}),
        properties=shown,
    )


class _Checker:
    def __init__(self, resolved: Resolved, principal: Principal, scope: Scope) -> None:
        self.resolved, self.principal, self.scope = resolved, principal, scope
        self.values: dict[str, Any] = dict(resolved.values)

    def put_in(self, secrets: Mapping[str, str]) -> None:
        """Secrets that came apart from the inputs count as if they had been typed into them."""
        for name, one in self.resolved.fields.items():
            if one.field.in_secrets and name in secrets:
                self.values[name] = secrets[name]

    def problems(self, given: Mapping[str, Any], secrets: Mapping[str, str]) -> Iterator[Problem]:
        yield from self._unknown(given)
        absent = list(self._missing())
        yield from absent
        missing = {one.path for one in absent}
        wrong = [one for one in self._misfits() if one.path not in missing]
        yield from wrong
        bad = {one.path.partition(".")[0] for one in wrong}
        sound = {
            name: one
            for name, one in self.resolved.fields.items()
            if name not in bad and not is_empty(self.values.get(name))
        }
        for name, one in sound.items():
            yield from self._unsettled(name, one)
            yield from self._patterns(one.field, self.values[name], name)
            yield from self._texts(one.field, self.values[name], name)
        yield from self._people(sound)
        yield from self._teams(sound)
        yield from self._entities(sound)
        yield from self._refs(sound)
        yield from self._secrets(secrets)

    def _unknown(self, given: Mapping[str, Any]) -> Iterator[Problem]:
        if self.resolved.definition.is_open:
            return
        known = ", ".join(self.resolved.fields) or "none"
        # a misspelt name may stand before a secret
        has_secrets = bool(self.resolved.definition.secret_names)
        for name, value in given.items():
            if name not in self.resolved.fields:
                yield Problem(
                    shorten(name),
                    MASK if has_secrets else shorten(value),
                    f"one of {known}",
                    f"there is no such input; there are {known}"
                    if self.resolved.fields
                    else "there is no such input; there are none",
                )

    def _missing(self) -> Iterator[Problem]:
        for name, one in self.resolved.fields.items():
            if not one.is_required:
                continue
            value = self.values.get(name)
            # an empty list is a value, whose length `minItems` speaks of
            if value is None or (value == "" and not self.resolved.definition.is_open):
                yield Problem(name, "", "a value", "is required")

    def _misfits(self) -> Iterator[Problem]:
        """What JSON Schema has against the values."""
        for schema in self._schemas():
            for found in compile_schema(schema).problems(self.values, limit=MAX_PROBLEMS):
                path = found.path
                if found.expected.startswith("required: "):
                    name = found.expected.removeprefix("required: ").strip('"')
                    path = f"{path}.{name}" if path else name
                    yield Problem(path, "", "a value", "is required")
                    continue
                words = in_words(found)
                value = MASK if self._is_secret(path) else found.value
                yield Problem(path, value, found.expected, words)

    def _schemas(self) -> Sequence[Mapping[str, Any]]:
        if self.resolved.definition.schemas:
            return self.resolved.definition.schemas
        fields = self.resolved.fields.items()
        return [
            {"type": "object", "properties": {name: dict(one.field.schema) for name, one in fields}}
        ]

    def _is_secret(self, path: str) -> bool:
        """Whether a value there is a secret, or holds one."""
        name = path.partition(".")[0]
        one = self.resolved.fields[name].field if name in self.resolved.fields else None
        if one is None:
            return bool(self.resolved.definition.secret_names)
        return any(True for _ in secrets_in(one, self.values.get(name)))

    def _unsettled(self, name: str, one: ResolvedField) -> Iterator[Problem]:
        """Rules that nobody can hold the value against, because JQ failed to say them."""
        is_failed = one.is_failed or (one.field.one.dataset is not None and one.dataset is None)
        limits = [limit for part in (one.field, one.field.one) for limit in part.limits.values()]
        if is_failed or any(isinstance(limit, Jq) for limit in limits):
            why = "; ".join(one.errors)
            yield Problem(
                name, self._shown(one.field, name), "a rule that works", f"cannot be checked: {why}"
            )

    def _shown(self, field: Field, name: str) -> str:
        value = masked(field, self.values.get(name))
        return shorten(value)

    def _patterns(self, field: Field, value: Any, path: str) -> Iterator[Problem]:
        """Regular expressions that JSON Schema's validator does not take."""
        if isinstance(value, list) and field.item:
            for index, one in enumerate(value):
                yield from self._patterns(field.item, one, f"{path}.{index}")
        elif isinstance(value, Mapping):
            for name, child in field.children.items():
                if name in value:
                    yield from self._patterns(child, value[name], f"{path}.{name}")
        pattern = field.limits.get("pattern")
        if not isinstance(pattern, str) or not isinstance(value, str) or is_linear(pattern):
            return
        if fits(pattern, value) is not True:
            yield Problem(
                path,
                MASK if field.is_secret or field.in_secrets else shorten(value),
                f"pattern: {shorten(pattern)}",
                f"must match the pattern {shorten(pattern)}",
            )

    def _texts(self, field: Field, value: Any, path: str) -> Iterator[Problem]:
        if field.widget == "repository" and (wrong := _wrong_place(field, value)):
            yield Problem(path, shorten(value), wrong, f"must name {wrong}")
        if field.format != "yaml" or not isinstance(value, str):
            return
        try:
            list(read_documents(value, name=field.title, strict=True))
        except YamlError as error:
            yield Problem(path, self._shown(field, path), "YAML", f"is not YAML: {error.message}")

    def _people(self, sound: Mapping[str, ResolvedField]) -> Iterator[Problem]:
        picked = _picked(sound, self.values, "user")
        if not picked:
            return
        known = known_users([one for names in picked.values() for one in names], self.principal)
        for name, emails in picked.items():
            for one in emails:
                if one.lower() not in known and not _is_free(sound[name]):
                    yield Problem(
                        name, shorten(one), "the e-mail address of a user",
                        f'there is no user "{shorten(one)}"',
                    )  # fmt: skip

    def _teams(self, sound: Mapping[str, ResolvedField]) -> Iterator[Problem]:
        """Teams may be named by their titles; from here on they go by their identifiers."""
        picked = _picked(sound, self.values, "team")
        if not picked:
            return
        known = known_teams([one for names in picked.values() for one in names], self.principal)
        for name, teams in picked.items():
            for one in teams:
                if one not in known:
                    yield Problem(
                        name, shorten(one), "a team", f'there is no team "{shorten(one)}"'
                    )
            value = self.values[name]
            self.values[name] = (
                [known.get(one, one) for one in value]
                if isinstance(value, list)
                else known.get(value, value)
            )

    def _entities(self, sound: Mapping[str, ResolvedField]) -> Iterator[Problem]:
        for name, identifiers in _picked(sound, self.values, "entity").items():
            one = sound[name]
            blueprint = one.field.blueprint
            missing = [
                each for each in identifiers if (blueprint, each) not in self.resolved.documents
            ]
            for each in missing:
                yield Problem(
                    name, shorten(each), f"an entity of {blueprint}",
                    f'there is no {blueprint} "{shorten(each)}"',
                )  # fmt: skip
            if one.dataset is None or len(missing) == len(identifiers):
                continue
            there = {
                each: str(self.resolved.documents[blueprint, each]["identifier"])
                for each in identifiers
                if each not in missing
            }
            try:
                allowed = fitting(self.scope, blueprint, one.dataset, list(there.values()))
            except InvalidQuery as error:
                yield Problem(
                    name, "", "a dataset that works", f"cannot be checked: {error.message}"
                )
                continue
            for each, identifier in there.items():
                if identifier not in allowed:
                    yield Problem(
                        name, shorten(each), "an entity of the input's dataset",
                        f'"{shorten(each)}" is none of those to choose from',
                    )  # fmt: skip

    def _refs(self, sound: Mapping[str, ResolvedField]) -> Iterator[Problem]:
        for name, refs in _picked(sound, self.values, "ref").items():
            pick = sound[name].field.one.pick
            if pick is None or pick.is_free:
                continue
            for one in missing_refs(refs, pick, self.principal):
                yield Problem(
                    name, shorten(one), "an entity to choose from",
                    f'"{shorten(one)}" is none of those to choose from',
                )  # fmt: skip

    def _secrets(self, secrets: Mapping[str, str]) -> Iterator[Problem]:
        schema = self.resolved.definition.secrets_schema
        if schema is None:
            return
        for found in compile_schema(schema).problems(dict(secrets)):
            said = f"secrets: {found.path} {in_words(found)}"
            yield Problem("", "", found.expected, said)


def _picked(
    fields: Mapping[str, ResolvedField], values: Mapping[str, Any], kind: str
) -> dict[str, list[str]]:
    """The names picked by those of `fields` that pick things of this kind."""
    found = {}
    for name, one in fields.items():
        pick = one.field.one.pick
        if pick is not None and pick.kind == kind and (names := names_in(values.get(name))):
            found[name] = names
    return found


def _wrong_place(field: Field, value: Any) -> str:
    """Where a repository (`host?owner=…&repo=…`) may be, if this is elsewhere; "" for one that may
    be there.
    """
    host, _, query = str(value).partition("?")
    named = {"host": [host], **parse_qs(query, keep_blank_values=True)}
    for part, option in PLACES.items():
        allowed = field.options.get(option)
        if allowed and not set(named.get(part, ())) <= set(allowed):
            what = "on" if part == "host" else f"whose {part} is"
            return f"a repository {what} {' or '.join(map(str, allowed))}"
    return ""


def _is_free(one: ResolvedField) -> bool:
    pick = one.field.one.pick
    return pick is not None and pick.is_free


def _without_apart(field: Field, value: Any) -> Any:
    """`value` with secrets of their own masked: they are no inputs, even in clear."""
    if field.in_secrets:
        return None if value is None else MASK
    if field.children and isinstance(value, Mapping):
        return {
            name: _without_apart(field.children[name], part) if name in field.children else part
            for name, part in value.items()
        }
    if field.item and isinstance(value, list):
        return [_without_apart(field.item, part) for part in value]
    return value


def _refused(problems: Sequence[Problem]) -> InvalidInput:
    told = [one.as_dict() for one in problems]
    first = told[0]
    more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
    return InvalidInput(
        f"{first['field']} {first['message']}{more}",
        details={**{key: first[key] for key in ("field", "value", "expected")}, "problems": told},
    )
