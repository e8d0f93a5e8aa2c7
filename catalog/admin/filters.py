"""Filters of our lists. Parameters are short and readable: the address of a list is shared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import ValidationError
from django.db.models import F, JSONField, QuerySet, Value
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Lower
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual
from django.http import HttpRequest
from django.urls import reverse
from unfold.contrib.filters.admin import DropdownFilter, TextFilter
from unfold.widgets import UnfoldAdminTextInputWidget

from catalog.forms.fields import display_text, read_number
from catalog.forms.widgets import EntityPicker, MomentInput
from catalog.kernel.errors import shorten
from catalog.models import TEAM, Blueprint


class KindFilter(DropdownFilter):
    """By blueprint; `path` leads from the listed model to the blueprint's identifier."""

    title = "kind"
    parameter_name = "kind"
    path = "blueprint__identifier"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(Blueprint.objects.order_by(Lower("title")).values_list("identifier", "title"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.path: self.value()}) if self.value() else queryset


class SourceKindFilter(KindFilter):
    title = "kind of the source"
    path = "source__blueprint__identifier"


class _PickerForm(forms.Form):
    def __init__(self, *, name: str, label: str, url: str, data: dict[str, Any]) -> None:
        super().__init__(data)
        self.fields[name] = forms.CharField(
            label=label, required=False, widget=EntityPicker(url=url, is_free=True)
        )


class TeamFilter(SimpleListFilter):
    """By owner, found by searching: there may be thousands of teams."""

    title = "team"
    parameter_name = "team"
    template = "unfold/filters/filters_field.html"

    def has_output(self) -> bool:
        return True

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[()]:
        return ()

    def choices(self, changelist: Any) -> Iterator[Any]:
        url = f"{reverse('pick-entities')}?kind={TEAM}"
        data = {self.parameter_name: self.value()}
        yield {"form": _PickerForm(name=self.parameter_name, label="By team", url=url, data=data)}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(team__contains=[self.value()]) if self.value() else queryset


class OwnedFilter(DropdownFilter):
    title = "owner"
    parameter_name = "owned"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Has a team"), ("no", "Nobody's")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "yes":
            return queryset.exclude(team=[])
        return queryset.filter(team=[]) if self.value() == "no" else queryset


class ChoiceFilter(DropdownFilter):
    """By one of the `options` of `parameter_name`, which is a column too."""

    options: Sequence[str] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(one, one.replace("_", " ").capitalize()) for one in self.options]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset


class ExactTextFilter(TextFilter):
    """By the exact text of the column `parameter_name`."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        text = (self.value() or "").strip()
        return queryset.filter(**{self.parameter_name: text}) if text else queryset


class _RangeForm(forms.Form):
    """Two inputs of one range."""

    def __init__(self, *, name: str, label: str, moments: bool, data: dict[str, Any]) -> None:
        super().__init__(data)
        for end, words in (("from", "from"), ("to", "up to")):
            widget: forms.Widget = (
                MomentInput(step="60")
                if moments
                else UnfoldAdminTextInputWidget({"inputmode": "decimal"})
            )
            widget.attrs["aria-label"] = f"{label} {words}"
            self.fields[f"{name}_{end}"] = forms.CharField(
                label=f"{label}, {words}", required=False, widget=widget
            )


class RangeFilter(SimpleListFilter):
    """Between two values; what cannot be read is not filtered by, and says so."""

    template = "admin/filters/range.html"
    parameter_name = ""
    moments = False

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.problems: dict[str | None, str] = {}
        for name in self.expected_parameters():
            if name and name in params:
                self.used_parameters[name] = params.pop(name)[-1]

    def has_output(self) -> bool:
        return True

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[()]:
        return ()

    def expected_parameters(self) -> list[str | None]:
        return [f"{self.parameter_name}_from", f"{self.parameter_name}_to"]

    def choices(self, changelist: Any) -> Iterator[Any]:
        form = _RangeForm(
            name=self.parameter_name,
            label=str(self.title).capitalize(),
            moments=self.moments,
            data=self.used_parameters,
        )
        form.full_clean()
        for name, problem in self.problems.items():
            form.add_error(name, problem)
        yield {"form": form}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        for name, compare in zip(
            self.expected_parameters(), (GreaterThanOrEqual, LessThanOrEqual), strict=True
        ):
            text = (self.used_parameters.get(name or "") or "").strip()
            if text:
                try:
                    queryset = queryset.filter(compare(self.column(), self.read(text)))
                except ValidationError as error:
                    self.problems[name] = error.messages[0]
        return queryset

    def column(self) -> Any:
        """The expression to compare."""
        raise NotImplementedError

    def read(self, text: str) -> Any:
        """The value of an input. Raises ValidationError."""
        raise NotImplementedError


class MomentFilter(RangeFilter):
    """By the date and time (UTC) in the column `parameter_name`."""

    moments = True

    def column(self) -> Any:
        return F(self.parameter_name)

    def read(self, text: str) -> Any:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValidationError(f'"{shorten(text)}" is not a date and time') from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class PropertyRangeFilter(RangeFilter):
    """By a number among the properties of entities."""

    property_name = ""

    def column(self) -> Any:
        return KeyTransform(self.property_name, "properties")

    def read(self, text: str) -> Any:
        return Value(read_number(text), output_field=JSONField())


class PropertyFilter(DropdownFilter):
    """By a property with few possible `values`."""

    property_name = ""
    values: Sequence[Any] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(json.dumps(value), display_text(value)) for value in self.values]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        for value in self.values:
            if json.dumps(value) == self.value():
                return queryset.filter(properties__contains={self.property_name: value})
        return queryset


PROPERTY_PARAMETER = "p-"
MAX_PROPERTY_FILTERS = 8


def property_filters(blueprint: Blueprint) -> list[type[SimpleListFilter]]:
    """Filters for the enums, booleans and numbers of a blueprint, the first few of them."""
    made: list[type[SimpleListFilter]] = []
    for name, schema in blueprint.properties.items():
        common = {
            "title": (schema.get("title") or name).lower(),
            "parameter_name": f"{PROPERTY_PARAMETER}{name}",
            "property_name": name,
        }
        if schema.get("enum"):
            made.append(type("EnumFilter", (PropertyFilter,), {**common, "values": schema["enum"]}))
        elif schema["type"] == "boolean":
            made.append(type("FlagFilter", (PropertyFilter,), {**common, "values": [True, False]}))
        elif schema["type"] == "number":
            made.append(type("NumberFilter", (PropertyRangeFilter,), common))
    return made[:MAX_PROPERTY_FILTERS]
