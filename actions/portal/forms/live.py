"""The form on the way: what has changed of it since it was drawn, to be put into the page.

Only that is sent whose look has changed, so that focus, caret and what is being typed elsewhere
stay. POST parameters beside the form's own: `step`, to have a page of it checked before the next
one is shown; `review`, for a last look; `preview`, the name of an input whose Markdown is to be
seen.
"""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from actions.portal.forms import names
from actions.portal.forms.form import ActionForm

MAX_PREVIEW = 100_000


def live(request: HttpRequest, form: ActionForm) -> HttpResponse:
    """Answers the POST of a form that is being filled in; see the module. `form` is bound to it,
    with `is_live`."""
    event: dict[str, Any] = {}
    if (number := request.POST.get("step", "")).isdecimal():
        event["step"] = int(number)
        event["ok"] = _is_step_right(form, int(number))
    event["steps"] = [one.is_visible for one in form.steps]
    parts = [_changed(form, everywhere="step" in request.POST)]
    if "review" in request.POST:
        parts.append(render_to_string("actions/form/review.html", {"form": form, "swap": True}))
    if name := request.POST.get("preview"):
        text = request.POST.get(name, "")[:MAX_PREVIEW]
        parts.append(
            render_to_string(
                "actions/form/preview.html", {"id": names.html_id(name), "text": text, "swap": True}
            )
        )
    response = HttpResponse("".join(parts))
    response["HX-Trigger-After-Swap"] = json.dumps({"actionform": event})
    return response


def _is_step_right(form: ActionForm, number: int) -> bool:
    """Whether nothing on this page is wrong; only what is wrong there is shown."""
    form.is_valid()
    form.problems.clear()
    if not 0 <= number < len(form.resolved.definition.steps):
        return True
    here = set(form.resolved.definition.steps[number].names)
    form.errors = {
        path: told for path, told in form.errors.items() if path.partition(".")[0] in here
    }
    form.redraw()
    return not form.errors


def _changed(form: ActionForm, *, everywhere: bool) -> str:
    """everywhere: what is wrong, or was, is drawn anew, too."""
    parts = []
    for step in form.steps:
        if form.marks.lists.get(str(step.number)) != form.lists[str(step.number)]:
            parts.append(
                render_to_string(
                    "actions/form/items.html", {"form": form, "step": step, "swap": True}
                )
            )
            continue
        for item in step.items:
            is_wrong = item.drawn is not None and item.drawn.has_errors
            is_told = everywhere and (is_wrong or item.id in form.marks.wrong)
            if is_told or form.marks.states.get(item.id) != item.state:
                parts.append(
                    render_to_string(
                        "actions/form/item.html", {"form": form, "item": item, "swap": True}
                    )
                )
    parts.append(render_to_string("actions/form/marks.html", {"form": form, "swap": True}))
    return "".join(parts)
