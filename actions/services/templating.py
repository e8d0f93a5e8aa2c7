"""Invocation methods filled in: `{{ JQ }}` in texts and keys, over what a run is about.

    "{{ .inputs.replicas }}"               keeps the type of the value
    "Deploy {{ .inputs.name }}"            is text
    {"{{ .inputs.key }}": 1}               a key; null or "" drops the pair
    {"{{ spreadValue() }}": "{{ .inputs }}"}   all pairs of an object
    "Bearer {{ .secrets.TOKEN }}"          a secret of the organisation

What comes in for a template is not looked into again: an input that looks like one stays text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import regex

from actions.inputs import definition_of
from actions.models import Action, Run
from actions.services.json_of_javascript import stringify
from actions.services.templates import (
    Expression,
    Template,
    below,
    is_spread,
    parse,
    secrets_in,
    texts,
)
from catalog.kernel import jq
from catalog.kernel.errors import InvalidExpression, InvalidInput, shorten
from catalog.kernel.http import looks_secret
from catalog.kernel.http.masking import HIDDEN
from catalog.kernel.json_text import texts_in
from catalog.services import secrets

# Where secrets may be used; elsewhere they would be seen.
_SECRET_PLACE: Final = regex.compile(r"(?:url|headers|body)(?![\w-])")
_SHORTEST: Final = 8  # characters of a credential that is hidden wherever it turns up
_HARMLESS_HEADERS: Final = ("idempotency-key", "x-port-signature")


def fill_in(value: Any, context: Mapping[str, Any], *, field: str) -> Any:
    """`value` (JSON) with its templates filled in from `context`; as it is where it has none.

    field: how errors call it. context["secrets"]: those that `secret_names` gave, in clear.
    Raises InvalidExpression naming the place and, but for secrets, JQ's own words.
    """
    return _Filling(value, field).filled_from(context)


def fill_in_and_hide(
    value: Any, context: Mapping[str, Any], *, field: str
) -> tuple[Any, Any, set[str]]:
    """As `fill_in`; and the same as people may see it, with what was made of secrets hidden
    ("***"); and the texts that are hidden there.
    """
    filling = _Filling(value, field)
    filled = filling.filled_from(context)
    return filled, filling.hidden(), filling.made_of_secrets


def check(value: Any, *, field: str) -> None:
    """Raises InvalidExpression for templates that could never be filled in, InvalidInput for
    secrets where there may be none.
    """
    _Filling(value, field).check()


def secret_names(value: Any) -> set[str]:
    """The organisation's secrets that the templates in `value` name. Raises InvalidExpression."""
    return _Filling(value, "").secret_names


def secrets_named(names: Collection[str]) -> dict[str, str]:
    """The organisation's secrets of these names, in clear. Raises InvalidInput, SealingFailed."""
    found = secrets.values_of(names)
    if missing := sorted(set(names) - found.keys()):
        raise InvalidInput(
            f"There is no secret {', '.join(missing)}",
            hint="Add it under Secrets, or give the server its IDP_SECRET_ variable.",
            details={"field": "secrets", "value": missing, "expected": "names of known secrets"},
        )
    return found


def credentials_in(payload: Mapping[str, Any]) -> set[str]:
    """What of a filled in payload may prove who we are, though nobody called it a secret: values
    of secret-looking parameters of its address and of such headers, with and without their scheme.
    """
    found: set[str] = set()
    url = payload.get("url")
    if isinstance(url, str):
        found |= {value for name, value in _parameters(url) if looks_secret(name)}
    headers = payload.get("headers")
    if isinstance(headers, Mapping):
        for name, value in headers.items():
            if isinstance(value, str) and is_credential(name):
                found |= {value, value.rpartition(" ")[2]}
    return {one for one in found if len(one) >= _SHORTEST}


def is_credential(header: str) -> bool:
    """Whether a header of this name proves who we are; the signature of a body does not."""
    name = header.lower()
    return name not in _HARMLESS_HEADERS and ("cookie" in name or looks_secret(name))


def context_of(
    run: Run,
    *,
    inputs: Mapping[str, Any],
    entity: Mapping[str, Any] | None,
    event: Mapping[str, Any] | None,
    action: Action,
) -> dict[str, Any]:
    """What templates see, but for secrets. event: what an automation answers to.

    inputs: secret ones encrypted. entity: its document.
    """
    context: dict[str, Any] = {
        "run": {
            "id": run.identifier,
            "createdAt": run.created_at.isoformat(),
            "createdBy": run.created_by,
        },
        "action": {
            "identifier": action.identifier,
            "title": action.title,
            "blueprint": run.blueprint["identifier"] if run.blueprint else None,
            "encryptedProperties": sorted(_encrypted(action)),
        },
        "inputs": dict(inputs),
        "entity": entity,
        "trigger": run.trigger,
        "secrets": {},
    }
    return context if event is None else {**context, "event": event}


def standard_message(run: Run, context: Mapping[str, Any]) -> dict[str, Any]:
    """What is sent where a method does not say what: everything there is to know, in Port's words.

    context: see `context_of`.
    """
    action = run.action
    message: dict[str, Any] = {
        "action": run.about["identifier"],
        "resourceType": "run",
        "status": "TRIGGERED",
        "trigger": run.trigger,
        "context": {
            "entity": run.entity["identifier"] if run.entity else None,
            "blueprint": run.blueprint["identifier"] if run.blueprint else None,
            "runId": run.identifier,
        },
        "payload": {
            "entity": context["entity"],
            "action": {
                "id": f"action_{action.pk}" if action else None,
                "identifier": run.about["identifier"],
                "title": run.about["title"],
                "trigger": action.trigger if action else {},
                "invocationMethod": action.invocation if action else {},
            },
            "properties": context["inputs"],
            "censoredProperties": context["action"]["encryptedProperties"],
        },
    }
    return {**message, "event": context["event"]} if "event" in context else message


class _Filling:
    """The templates of one value, each text parsed and each expression evaluated once."""

    def __init__(self, value: Any, field: str) -> None:
        self.value = value
        self.field = field
        self.templates: dict[str, Template | None] = {}
        self.places: dict[Expression, str] = {}  # where each stands first
        self.secrets: dict[Expression, set[str]] = {}
        self.values: dict[Expression, Any] = {}
        for where, text in texts(value, field):
            if text not in self.templates:
                self.templates[text] = parse(text, where=where)
            for expression in self._expressions(text):
                self.places.setdefault(expression, where)
                named = self.secrets.setdefault(expression, secrets_in(expression, where=where))
                if named and field and not self._may_hold_secrets(where):
                    raise InvalidInput.of(
                        where,
                        expression.jq,
                        "no secret: they are allowed in url, headers and body of a webhook only",
                    )

    @property
    def secret_names(self) -> set[str]:
        return set().union(*self.secrets.values())

    def check(self) -> None:
        # By number: the same place can hold several expressions.
        numbered = dict(enumerate(self.places))
        wrong = jq.check_all({str(number): one.jq for number, one in numbered.items()})
        for number, error in wrong.items():
            where = self.places[numbered[int(number)]]
            said = error.message.removeprefix(f"{number}:")
            raise InvalidExpression(f"{where}:{said}", details={**error.details, "field": where})

    def filled_from(self, context: Mapping[str, Any]) -> Any:
        if not self.places:
            return self.value
        plain = [one for one in self.places if not self.secrets[one]]
        reading = [one for one in self.places if self.secrets[one]]
        self.values = self._evaluated(plain, {**context, "secrets": {}})
        self.values |= self._evaluated(reading, context)
        return self._filled(self.value, self.field, self.values)

    def hidden(self) -> Any:
        """What `filled_from` gave, without what was made of secrets."""
        if not self.secret_names:
            return self._filled(self.value, self.field, self.values)
        shown = {
            one: _without_scalars(value) if self.secrets[one] else value
            for one, value in self.values.items()
        }
        return self._filled(self.value, self.field, shown)

    @property
    def made_of_secrets(self) -> set[str]:
        found = (texts_in(value) for one, value in self.values.items() if self.secrets[one])
        return {one for texts in found for one in texts if len(one) >= _SHORTEST}

    def _evaluated(
        self, expressions: list[Expression], context: Mapping[str, Any]
    ) -> dict[Expression, Any]:
        if not expressions:
            return {}
        numbered = {str(number): one.jq for number, one in enumerate(expressions)}
        [outcome] = jq.run(jq.Program(fields=numbered), [context])
        for number, expression in enumerate(expressions):
            message = outcome.failure or outcome.errors.get(str(number))
            if message:
                raise self._failed(expression, message)
        return {one: outcome.values[str(number)] for number, one in enumerate(expressions)}

    def _failed(self, expression: Expression, message: str) -> InvalidExpression:
        where = self.places[expression]
        if self.secrets[expression]:
            message = "what JQ says is not shown, as it may quote the secret"
        return InvalidExpression(
            f'{where}: the JQ "{shorten(expression.jq)}" failed: {message}',
            details={"field": where, "expression": expression.jq, "message": message},
        )

    def _filled(self, value: Any, where: str, values: Mapping[Expression, Any]) -> Any:
        if isinstance(value, str):
            return self._text(value, values)
        if isinstance(value, Mapping):
            return dict(self._pairs(value, where, values))
        if isinstance(value, list | tuple):
            return [
                self._filled(one, f"{where}[{number}]", values) for number, one in enumerate(value)
            ]
        return value

    def _text(self, text: str, values: Mapping[Expression, Any]) -> Any:
        template = self.templates.get(text)
        if template is None:
            return text
        if template.is_whole:
            return values[next(template.expressions)]
        return "".join(
            part if isinstance(part, str) else _as_text(values[part]) for part in template.parts
        )

    def _pairs(
        self, value: Mapping[str, Any], where: str, values: Mapping[Expression, Any]
    ) -> Iterator[tuple[str, Any]]:
        for key, one in value.items():
            place = below(where, key)
            filled = self._filled(one, place, values)
            if is_spread(key):
                if filled is None:
                    continue
                if not isinstance(filled, Mapping):
                    raise InvalidExpression(
                        f"{place}: spreadValue() got {self._described(filled, one)}; "
                        "expected an object",
                        details={"field": place, "expected": "an object"},
                    )
                yield from filled.items()
                continue
            name = self._text(key, values)
            if name is None or name == "":
                continue
            if isinstance(name, bool) or not isinstance(name, str | int):
                raise InvalidExpression(
                    f"{place}: the key gave {self._described(name, key)}; "
                    "expected text, or null for no key",
                    details={"field": place, "expected": "text or null"},
                )
            yield str(name), filled

    def _described(self, value: Any, template: Any) -> str:
        """What came in for a template, unless it was made of secrets."""
        parts = (part for _, text in texts(template, "") for part in self._expressions(text))
        reads_secrets = any(self.secrets[part] for part in parts)
        return "something made of a secret" if reads_secrets else jq.describe(value)

    def _expressions(self, text: str) -> Iterator[Expression]:
        template = self.templates[text]
        return template.expressions if template else iter(())

    def _may_hold_secrets(self, where: str) -> bool:
        if where == self.field:
            return where.endswith(".url")
        return bool(_SECRET_PLACE.match(where.removeprefix(self.field).removeprefix(".")))


def _without_scalars(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_scalars(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_scalars(one) for one in value]
    return value if value is None or isinstance(value, bool) else HIDDEN


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else stringify(value)


def _encrypted(action: Action) -> Collection[str]:
    return definition_of(action).secret_names if action.is_self_service else ()


def _parameters(url: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(urlsplit(url).query)
    except ValueError:
        return []
