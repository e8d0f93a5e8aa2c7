"""Inputs of the entity form in Unfold's look; the portal's pages are in the same shell."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from unfold import widgets as unfold

Select = unfold.UnfoldAdminSelectWidget
CheckboxList = unfold.UnfoldAdminCheckboxSelectMultipleWidget


class TextInput(unfold.UnfoldAdminTextInputWidget):
    """input_type: the HTML type; browsers give phones the fitting keyboard."""

    def __init__(self, *, input_type: str = "text", **attrs: Any) -> None:
        super().__init__(attrs)
        self.input_type = input_type


class LongTextInput(unfold.UnfoldAdminTextareaWidget):
    """Prose; grows with its content."""

    def __init__(self, *, rows: int = 4, **attrs: Any) -> None:
        super().__init__({"rows": rows, "class": "field-sizing-content", **attrs})


class CodeInput(unfold.UnfoldAdminTextareaWidget):
    """Text whose columns matter."""

    def __init__(self, *, rows: int = 4, **attrs: Any) -> None:
        given = attrs.pop("class", "")
        super().__init__(
            {
                "rows": rows,
                "class": f"font-mono field-sizing-content {given}",
                "spellcheck": "false",
                "autocapitalize": "off",
                **attrs,
            }
        )


class LinesInput(CodeInput):
    def __init__(self, **attrs: Any) -> None:
        super().__init__(rows=3, placeholder="One a line", **attrs)


class MomentInput(forms.DateTimeInput):
    input_type = "datetime-local"

    def __init__(self, **attrs: Any) -> None:
        classes = " ".join([*unfold.DATETIME_CLASSES, "max-w-2xl"])
        super().__init__({"class": classes, "step": "1", **attrs})

    def format_value(self, value: Any) -> Any:
        return value or None


class EntityPicker(forms.Widget):
    """Search for entities and pick one or several; what was picked stays in order.

    url: answers `?q=` with {"results": [{"value", "label", "kind"}]}. many: several values.
    is_free: what nobody has in the catalogue may be typed too. label_of: gives the labels of
    picked values; one that is missing there is shown as missing from the catalogue. kinds: for
    relations to any kind, the (identifier, title) of the blueprints to choose from.
    """

    template_name = "admin/widgets/entity_picker.html"

    class Media:
        js = ("catalog/admin/picker.js",)
        css = {"all": ("catalog/admin/admin.css",)}

    def __init__(
        self,
        *,
        url: str,
        many: bool = False,
        is_free: bool = False,
        kinds: Sequence[tuple[str, str]] = (),
        label_of: Callable[[Sequence[str]], dict[str, str]] | None = None,
    ) -> None:
        super().__init__()
        self.url, self.many, self.is_free = url, many, is_free
        self.kinds, self.label_of = kinds, label_of

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        if not self.many:
            return data.get(name)
        getlist = getattr(data, "getlist", None)
        return getlist(name) if getlist else data.get(name)

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False  # with nothing picked, nothing is sent

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        picked = [str(one) for one in (value if isinstance(value, list) else [value]) if one]
        labels = self.label_of(picked) if self.label_of and picked else {}
        settings = {
            "name": name,
            "url": self.url,
            "many": self.many,
            "free": self.is_free,
            "kinds": self.kinds,
            "picked": [
                {
                    "value": one,
                    "label": labels.get(one, one),
                    "missing": not self.is_free and one not in labels,
                }
                for one in picked
            ],
        }
        context["widget"] |= {
            "input_class": " ".join(unfold.INPUT_CLASSES),
            "picked": picked,
            "settings": settings,
            "settings_json": json.dumps(settings),
        }
        return context

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        # Through the site's own templates, which Django's form renderer does not look into.
        return render_to_string(self.template_name, self.get_context(name, value, attrs))
