"""What an action said before: its versions, what each changed, and going back to one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from actions.models import Action, ActionVersion
from actions.services.definitions import get_version, restore_version, versions_of
from catalog.admin.actors import actor_for
from catalog.kernel.admin import IdpModelAdmin
from catalog.kernel.errors import IdpError, NotFound
from catalog.kernel.yaml_writer import write_yaml

MAX_VERSIONS: Final = 200
AROUND: Final = 3  # unchanged lines around a change
_TONES: Final = {"+": "added", "-": "removed", "@": "place"}


@dataclass(frozen=True, slots=True)
class Line:
    """tone: "added", "removed", "place" (where in the text), "" for what is the same."""

    tone: str
    text: str


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Line]:
    """The lines of YAML that differ, with some around them."""
    old, new = (write_yaml(one).splitlines() for one in (before, after))
    lines = list(unified_diff(old, new, lineterm="", n=AROUND))[2:]
    return [Line(_TONES.get(line[:1], ""), line) for line in lines]


class VersionPages(IdpModelAdmin):
    """What the admin of actions has of this."""

    def version_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path(
                "<path:object_id>/versions/",
                view(self.versions_view),
                name="actions_action_versions",
            ),
            path(
                "<path:object_id>/versions/<int:number>/restore/",
                view(require_POST(self.restore_view)),
                name="actions_action_restore",
            ),
        ]

    def versions_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """All, and what one changed: `?v=` its number, `with` the one to compare it with (the one
        before it)."""
        action: Action = self.load(request, object_id)
        known = versions_of(action)
        listed = list(known.defer("document")[:MAX_VERSIONS])
        try:
            number = _number(request, "v", action.version)
            shown = get_version(action, number)
            older = _older(request, action, number)
        except NotFound as error:
            raise Http404(error.message) from None
        return self.page(
            request,
            "admin/actions/action/versions.html",
            {
                "title": action.title,
                "action": action,
                "tab": "versions",
                "versions": listed,
                "shown": shown,
                "older": older,
                "lines": difference(older.document, shown.document) if older else [],
                "text": write_yaml(shown.document),
            },
            original=action,
        )

    def restore_view(self, request: HttpRequest, object_id: str, number: int) -> HttpResponse:
        """Let the action say again what it said then."""
        action: Action = self.load(request, object_id)
        try:
            saved = restore_version(action.identifier, number, actor=actor_for(request))
        except IdpError as error:
            messages.error(request, f"Version {number} was not brought back. {error}")
        else:
            is_new = saved.version != action.version
            messages.success(
                request,
                f"Version {saved.version} says what version {number} said."
                if is_new
                else f"It says already what version {number} said.",
            )
        return HttpResponseRedirect(reverse("admin:actions_action_versions", args=[action.pk]))


def _older(request: HttpRequest, action: Action, number: int) -> ActionVersion | None:
    if "with" in request.GET:
        return get_version(action, _number(request, "with", number))
    return versions_of(action).filter(number__lt=number).first()


def _number(request: HttpRequest, name: str, standard: int) -> int:
    """Raises NotFound for what is no number."""
    given = request.GET.get(name, "")
    if not given:
        return standard
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise NotFound.of("Version", given, field=name)
    return int(given)
