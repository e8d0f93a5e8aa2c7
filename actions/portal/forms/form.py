"""One form, unbound or sent, for somebody: what a page draws, and what a run is started with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from actions.inputs import (
    MASK,
    Definition,
    FormContext,
    Heading,
    check,
    resolve,
)
from actions.inputs.checking import ROOT
from actions.portal.forms import names
from actions.portal.forms.drawing import Artist, Drawn
from actions.portal.forms.reading import Marks, Read, read
from catalog.forms.widgets import EntityPicker
from catalog.kernel.actors import Principal
from catalog.kernel.errors import IdpError, InvalidInput

MAX_ROUNDS: Final = 5  # questions that answers open may open others
MORE_QUESTIONS: Final = "Your answers have opened further questions. Look them through, then go on."


@dataclass(slots=True)
class Item:
    """What stands on a page of the form: a question or a heading."""

    id: str
    is_visible: bool
    drawn: Drawn | None = None
    heading: Heading | None = None
    state: str = ""


@dataclass(slots=True)
class DrawnStep:
    number: int
    title: str
    description: str
    is_visible: bool
    items: list[Item] = field(default_factory=list)

    @property
    def has_errors(self) -> bool:
        return any(one.drawn is not None and one.drawn.has_errors for one in self.items)


@dataclass(frozen=True, slots=True)
class Answer:
    """A line of the last page of a template's form."""

    title: str
    text: str


class ActionForm:
    """The form of `definition`, filled in by `principal`.

    data: what was sent; None draws it for the first time. initial: answers to begin with, as those
    of an earlier run; query: the same from the address (`?input.size=3`). context: made by
    `form_context` for the same principal. is_live: it is not being sent, but looked at on the way:
    what is not offered any more is forgotten.
    """

    def __init__(
        self,
        definition: Definition,
        context: FormContext,
        data: Any = None,
        initial: Mapping[str, Any] | None = None,
        *,
        principal: Principal,
        query: Any = None,
        is_live: bool = False,
    ) -> None:
        self.definition, self.context, self.principal = definition, context, principal
        self.data, self.is_bound = data, data is not None
        self.problems: list[str] = []
        self.marks = Marks.of(data) if data is not None else Marks()
        self._read = self._answers(initial or {}, query)
        self.errors: dict[str, list[str]] = {}
        self.resolved = resolve(definition, self._read.values, context)
        if is_live or not self.is_bound:
            self._forget_what_is_not_offered()
        else:
            self.errors = {path: list(told) for path, told in self._read.errors.items()}

    # what comes of it

    @property
    def values(self) -> dict[str, Any]:
        """The answers, as `properties` of a run; null is a default that was emptied."""
        return {
            name: value for name, value in self._read.values.items() if name not in self.secrets
        }

    @property
    def secrets(self) -> dict[str, str]:
        """Secrets that are no inputs, by name."""
        fields = self.resolved.definition.fields
        return {
            name: str(value)
            for name, value in self._read.values.items()
            if value is not None and name in fields and fields[name].in_secrets
        }

    def is_valid(self) -> bool:
        """Whether a run may start with it; what is wrong stands beside the fields then."""
        if not self.is_bound:
            return False
        try:
            check(
                self.definition,
                self.values,
                self.context,
                principal=self.principal,
                secrets=self.secrets,
            )
        except InvalidInput as error:
            self.add_problems(error)
        if not self.errors and not self.problems and self._opened():
            self.problems.append(MORE_QUESTIONS)
        return not self.errors and not self.problems

    def add_problems(self, error: IdpError) -> None:
        """Put what was refused beside the fields it speaks of."""
        problems = error.details.get("problems")
        self.redraw()
        if not problems:
            self.problems.append(str(error))
            return
        unread = {path.partition(".")[0] for path in self._read.errors}
        for one in problems:
            path = one["field"].removeprefix(ROOT).removeprefix(".")
            name = path.partition(".")[0]
            if name in unread:  # it says already that it cannot be read
                continue
            if name in self.resolved.fields and self.resolved.fields[name].is_visible:
                told = self.errors.setdefault(self._place_of(path), [])
                message = one["message"][:1].upper() + one["message"][1:]
                if message not in told:
                    told.append(message)
            else:
                self.problems.append(f"{path or ROOT}: {one['message']}")

    # what pages draw

    @cached_property
    def steps(self) -> list[DrawnStep]:
        """All pages with all that may come to stand on them; what is hidden is marked so, as is
        a page on which nothing is to be seen now."""
        drawn = []
        for number, step in enumerate(self.resolved.definition.steps):
            items = [self.item(name) for name in step.names]
            is_visible = step.visible is True and any(one.is_visible for one in items)
            drawn.append(DrawnStep(number, step.title, step.description, is_visible, items))
        return drawn

    @property
    def is_wizard(self) -> bool:
        return self.definition.is_wizard

    @property
    def has_review(self) -> bool:
        return self.is_wizard and self.definition.has_review

    @property
    def is_live(self) -> bool:
        """Whether what it asks may change with the answers, so that the server has to be asked."""
        fields = self.definition.fields.values()
        return bool(
            self.definition.queries
            or self.definition.expand
            or self.is_wizard
            or any(one.depends_on or one.widget in ("repository", "markdown") for one in fields)
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked at all."""
        return not any(one.is_visible for step in self.steps for one in step.items)

    @property
    def has_errors(self) -> bool:
        return bool(self.errors or self.problems)

    @property
    def wrong(self) -> list[Drawn]:
        """Questions that something is wrong with, in order."""
        return [
            one.drawn
            for step in self.steps
            for one in step.items
            if one.drawn is not None and one.drawn.has_errors
        ]

    @property
    def lists(self) -> dict[str, str]:
        """For each page, which questions may stand on it: another one is drawn as a whole."""
        return {
            str(one.number): _hash(",".join(each.id for each in one.items)) for one in self.steps
        }

    @property
    def marks_text(self) -> str:
        """What the form sends back of itself."""
        asked = self._asked()
        fields, secret = self.resolved.fields, self.definition.secret_names
        items = [one for step in self.steps for one in step.items]
        return Marks(
            shown=frozenset(asked),
            defaults={
                name: fields[name].default
                for name in asked
                if fields[name].default is not None and name not in secret
            },
            states={one.id: one.state for one in items},
            lists=self.lists,
            wrong=frozenset(one.id for one in items if one.drawn and one.drawn.has_errors),
        ).text()

    @property
    def review(self) -> list[Answer]:
        """The answers, for a last look."""
        return list(self._review())

    @property
    def media(self) -> forms.Media:
        return EntityPicker(url="").media + forms.Media(
            js=["actions/form.js"], css={"all": ["actions/form.css"]}
        )

    def redraw(self) -> None:
        """Draw it again with the errors there are now."""
        for name in ("steps", "_artist"):
            self.__dict__.pop(name, None)

    def item(self, name: str) -> Item:
        definition = self.resolved.definition
        if name in definition.titles:
            heading = definition.titles[name]
            is_visible = heading.visible is True
            return Item(
                names.html_id(f"heading.{name}"),
                is_visible,
                heading=heading,
                state=_hash(f"{is_visible}{heading}"),
            )
        drawn = self._artist.draw(name)
        return Item(drawn.box_id, drawn.is_visible, drawn=drawn, state=self._state(drawn))

    def html(self, item: Item) -> SafeString:
        """One item, as the page has it."""
        return render_to_string("actions/form/item.html", {"item": item, "form": self})

    # inside

    @cached_property
    def _artist(self) -> Artist:
        return Artist(self.resolved, self.principal, raw=self.data, errors=self.errors)

    def _state(self, drawn: Drawn) -> str:
        """A hash of how the question looks before anybody answers it, and of the parts it has."""
        bare = self._bare.draw(drawn.path, as_typed=False)
        item = Item(bare.box_id, bare.is_visible, drawn=bare)
        return _hash(self.html(item) + ",".join(drawn.parts))

    @cached_property
    def _bare(self) -> Artist:
        return Artist(self.resolved, self.principal)

    def _answers(self, initial: Mapping[str, Any], query: Any) -> Read:
        if self.is_bound:
            return self._through_conditions(self.data, self.marks)
        begun = {
            name: value
            for name, value in initial.items()
            if value is not None and not _is_masked(value)
        }
        if not self.definition.is_open:
            begun = {name: value for name, value in begun.items() if name in self.definition.fields}
        if query is not None:
            begun |= self._through_conditions(query, Marks()).values
        secret = self.definition.secret_names
        return Read({name: value for name, value in begun.items() if name not in secret})

    def _through_conditions(self, data: Any, marks: Marks) -> Read:
        """The answers, also to questions that there are only because of others."""
        if self.definition.expand is None:
            return read(self.definition.fields, data, marks)
        found = Read()
        for _ in range(MAX_ROUNDS):
            now = resolve(self.definition, found.values, self.context).definition
            again = read(now.fields, data, marks)
            if again.values == found.values and again.errors == found.errors:
                break
            found = again
        return found

    def _forget_what_is_not_offered(self) -> None:
        stale = [
            name
            for name, one in self.resolved.fields.items()
            if one.is_given and isinstance(one.enum, list) and not _is_among(one.value, one.enum)
        ]
        if stale:
            for name in stale:
                del self._read.values[name]
            self.resolved = resolve(self.definition, self._read.values, self.context)

    def _opened(self) -> bool:
        """Whether there are questions that whoever sent the form has not seen."""
        return self.marks.is_sent and not self._asked() <= self.marks.shown

    def _asked(self) -> set[str]:
        """The names of what somebody can answer."""
        return {
            one.drawn.path
            for step in self.steps
            if step.is_visible
            for one in step.items
            if one.drawn is not None and one.drawn.is_visible and not one.drawn.is_fixed
        }

    def _place_of(self, path: str) -> str:
        """The deepest part of `path` that is drawn by itself."""
        name, *rest = path.split(".")
        one, place = self.resolved.fields[name].field, name
        for part in rest:
            if one.widget == "group" and part in one.children:
                one = one.children[part]
            elif one.widget == "rows" and one.item is not None and part.isdecimal():
                one = one.item
            elif part in one.children:
                one = one.children[part]
            else:
                break
            place = f"{place}.{part}"
        return place

    def _review(self) -> Iterator[Answer]:
        for step in self.steps:
            for item in step.items if step.is_visible else ():
                if item.drawn is not None and item.is_visible:
                    yield from self._answer(item.drawn.path)

    def _answer(self, name: str) -> Iterator[Answer]:
        one = self.resolved.fields[name]
        review = one.field.review
        if review.get("show") is False or one.value is None or one.field.widget == "hidden":
            return
        title = str(review.get("name") or one.field.title)
        if review.get("mask") is not None:
            yield Answer(title, str(review["mask"]))
        elif one.field.children and isinstance(one.value, Mapping):
            for key, value in one.value.items():
                child = one.field.children.get(key)
                text = self._artist.text(child, value) if child else str(value)
                yield Answer(f"{title} › {child.title if child else key}", text)
        else:
            yield Answer(title, self._artist.text(one.field, one.value))


def _is_masked(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_masked, value.values()))
    return value == MASK or (isinstance(value, list) and any(map(_is_masked, value)))


def _is_among(value: Any, enum: list[Any]) -> bool:
    return all(one in enum for one in (value if isinstance(value, list) else [value]))


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
