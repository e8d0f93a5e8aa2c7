"""How often a source syncs: one of the usual answers, or words of one's own."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from catalog.forms.widgets import TextInput
from catalog.kernel.errors import InvalidInput
from catalog.kernel.schedules import parse_schedule

_OWN: Final = "own"
_USUAL: Final = (
    ("", "By hand only"),
    ("every 15m", "Every 15 minutes"),
    ("every 1h", "Every hour"),
    ("every 6h", "Every 6 hours"),
    ("every 1d", "Every day"),
    (_OWN, "Another schedule"),
)


class ScheduleForm(forms.Form):
    """`cleaned_data["schedule"]` is what services take."""

    use_required_attribute = False

    usual = forms.ChoiceField(
        choices=_USUAL, required=False, widget=forms.RadioSelect(), label="When it syncs"
    )
    own = forms.CharField(
        max_length=100,
        required=False,
        label="Another schedule",
        widget=TextInput(autocapitalize="off", spellcheck="false", placeholder="0 3 * * *"),
        help_text='Like "every 30m", or a cron line in UTC like "0 3 * * 1-5".',
    )

    def __init__(self, data: Any = None, *, schedule: str = "") -> None:
        is_usual = schedule in dict(_USUAL)
        initial = {
            "usual": schedule if is_usual else _OWN,
            "own": "" if is_usual else schedule,
        }
        super().__init__(data, initial=initial)

    def clean(self) -> dict[str, Any]:
        usual = self.cleaned_data.get("usual", "")
        text = self.cleaned_data.get("own", "").strip() if usual == _OWN else usual
        if usual == _OWN and not text:
            self.add_error("own", "Say when, or choose one of the others.")
        try:
            parse_schedule(text)
        except InvalidInput as error:
            self.add_error("own", str(error))
        return {**self.cleaned_data, "schedule": text}
