"""What a scorecard said before: its versions, what each changed, and going back to one."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from catalog.admin.actors import actor_for
from catalog.kernel.admin import IdpModelAdmin
from catalog.kernel.errors import IdpError, NotFound
from catalog.kernel.json_text import write_json
from catalog.kernel.yaml_writer import write_yaml
from scorecards.models import Scorecard, ScorecardVersion
from scorecards.selectors.versions import Difference, differences
from scorecards.services.definitions import restore_version
from scorecards.services.keeping import get_version, versions_of

MAX_VERSIONS: Final = 200
MAX_PK: Final = 10  # digits


class VersionPages(IdpModelAdmin):
    """What the admin of scorecards has of this."""

    def version_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path(
                "<path:object_id>/versions/",
                view(self.versions_view),
                name="scorecards_scorecard_versions",
            ),
            path(
                "<path:object_id>/versions/<int:number>/restore/",
                view(require_POST(self.restore_view)),
                name="scorecards_scorecard_restore",
            ),
        ]

    def versions_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """All, and what one changed: `?v=` its number, `with` the one to compare it with (the one
        before it)."""
        scorecard: Scorecard = self.load(request, object_id)
        known = versions_of(scorecard)
        try:
            shown = get_version(scorecard, _number(request, "v", scorecard.version))
            older = _older(request, scorecard, shown)
        except NotFound as error:
            raise Http404(error.message) from None
        return self.page(
            request,
            "admin/scorecards/scorecard/versions.html",
            {
                "title": str(scorecard),
                "scorecard": scorecard,
                "tab": "versions",
                "versions": list(known.defer("document")[:MAX_VERSIONS]),
                "shown": shown,
                "older": older,
                "changes": [_row(one) for one in differences(older, shown)] if older else [],
                "text": write_yaml(shown.document),
            },
            original=scorecard,
        )

    def restore_view(self, request: HttpRequest, object_id: str, number: int) -> HttpResponse:
        """Let the scorecard say again what it said then."""
        scorecard: Scorecard = self.load(request, object_id)
        try:
            saved = restore_version(scorecard, number, actor=actor_for(request))
        except IdpError as error:
            messages.error(request, f"Version {number} was not brought back. {error}")
        else:
            is_new = saved.version != scorecard.version
            messages.success(
                request,
                f"Version {saved.version} says what version {number} said."
                if is_new
                else f"It says already what version {number} said.",
            )
        return HttpResponseRedirect(
            reverse("admin:scorecards_scorecard_versions", args=[scorecard.pk])
        )


def _row(one: Difference) -> dict[str, Any]:
    return {
        "path": one.path,
        "kind": one.kind,
        "before": "" if one.before is None else _text(one.before),
        "after": "" if one.after is None else _text(one.after),
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else write_json(value)


def _older(
    request: HttpRequest, scorecard: Scorecard, shown: ScorecardVersion
) -> ScorecardVersion | None:
    if "with" in request.GET:
        return get_version(scorecard, _number(request, "with", shown.version))
    return versions_of(scorecard).filter(version__lt=shown.version).first()


def _number(request: HttpRequest, name: str, standard: int) -> int:
    """Raises NotFound for what is no number."""
    given = request.GET.get(name, "")
    if not given:
        return standard
    if not (given.isascii() and given.isdigit() and len(given) < MAX_PK):
        raise NotFound.of("Version", given, field=name)
    return int(given)
