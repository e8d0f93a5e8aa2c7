"""What may be done with a scorecard: each asks first, and is done on POST."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from catalog.admin.actors import actor_for
from catalog.kernel.actors import Actor
from catalog.kernel.admin import IdpModelAdmin
from catalog.kernel.errors import IdpError
from scorecards.admin.builder import copied, create
from scorecards.models import Exemption, Score, Scorecard
from scorecards.services import definitions
from scorecards.services.evaluating import evaluate_now

_PAGES: Final = "admin/scorecards/scorecard/"


@dataclass(frozen=True, slots=True)
class Deed:
    """icon: a Material Symbol. does: does it and returns what to say; told: what it means."""

    title: str
    icon: str
    button: str
    told: str
    does: Callable[[Scorecard, Actor], str]
    states: tuple[str, ...] = (*Scorecard.State.values,)
    tone: str = "primary"


def _evaluate(scorecard: Scorecard, actor: Actor) -> str:
    outcome = evaluate_now(scorecard, actor=actor)
    return (
        f"{outcome.entities:,} entities were evaluated: {outcome.raised:,} rose, "
        f"{outcome.lowered:,} dropped, {outcome.entered:,} came in, {outcome.left:,} left."
    )


def _to(state: str, said: str) -> Callable[[Scorecard, Actor], str]:
    def does(scorecard: Scorecard, actor: Actor) -> str:
        definitions.set_state(scorecard, state, actor)
        return said

    return does


State = Scorecard.State
DEEDS: Final[Mapping[str, Deed]] = {
    "evaluate": Deed(
        "Evaluate it now",
        "refresh",
        "Evaluate now",
        "All its entities are looked at anew. What changes in the catalogue is seen by itself; "
        "this is for whoever does not want to wait.",
        _evaluate,
        (State.ACTIVE, State.DRAFT),
    ),
    "activate": Deed(
        "Make it active",
        "play_arrow",
        "Activate",
        "Everybody sees it, its results stand on the entities, and it sends notices.",
        _to(State.ACTIVE, "It is active now."),
        (State.DRAFT, State.ARCHIVED),
    ),
    "draft": Deed(
        "Make it a draft",
        "edit_note",
        "Make it a draft",
        "It goes on being evaluated, but only admins and its owner see it, and nobody is told "
        "of anything.",
        _to(State.DRAFT, "It is a draft now."),
        (State.ACTIVE, State.ARCHIVED),
    ),
    "archive": Deed(
        "Archive it",
        "archive",
        "Archive",
        "It is not evaluated any more and nobody sees it but admins, here. Its results and their "
        "history stay.",
        _to(State.ARCHIVED, "It is archived now."),
        (State.ACTIVE, State.DRAFT),
        "danger",
    ),
}


class DeedPages(IdpModelAdmin):
    """What the admin of scorecards has of this."""

    def deed_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path(
                "<path:object_id>/do/<slug:name>/",
                view(self.deed_view),
                name="scorecards_scorecard_do",
            ),
            path(
                "<path:object_id>/duplicate/",
                view(self.duplicate_view),
                name="scorecards_scorecard_duplicate",
            ),
        ]

    def deed_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        scorecard: Scorecard = self.load(request, object_id)
        deed = DEEDS.get(name)
        if deed is None or scorecard.state not in deed.states:
            raise Http404(f"There is nothing like {name} to be done with it")
        error: IdpError | None = None
        if request.method == "POST":
            try:
                messages.success(request, deed.does(scorecard, actor_for(request)))
                return self._back(scorecard)
            except IdpError as refusal:
                error = refusal
        return self._ask(
            request,
            "deed.html",
            scorecard,
            error,
            {"title": f"{deed.title}: {scorecard}", "deed": deed},
        )

    def duplicate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A draft that says the same, under another name."""
        scorecard: Scorecard = self.load(request, object_id)
        identifier = request.POST.get("identifier", f"{scorecard.identifier}-copy").strip()
        title = request.POST.get("new_title", f"{scorecard} (copy)").strip()
        error: IdpError | None = None
        if request.method == "POST":
            try:
                copy = copied(scorecard, identifier, title)
                made = create(copy, scorecard.dialect, actor=actor_for(request))
            except IdpError as refusal:
                error = refusal
            else:
                messages.success(request, f'"{made}" is a draft that says the same.')
                return self._back(made)
        return self._ask(
            request,
            "duplicate.html",
            scorecard,
            error,
            {"title": f"Duplicate {scorecard}", "identifier": identifier, "new_title": title},
        )

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        scorecard: Scorecard = self.load(request, object_id)
        error: IdpError | None = None
        if request.method == "POST":
            own = scorecard.blueprint.identifier if scorecard.blueprint else None
            try:
                definitions.delete_scorecard(own, scorecard.identifier, actor=actor_for(request))
            except IdpError as refusal:
                error = refusal
            else:
                messages.success(request, f'Scorecard "{scorecard}" was deleted.')
                return HttpResponseRedirect(reverse("admin:scorecards_scorecard_changelist"))
        return self._ask(
            request,
            "delete.html",
            scorecard,
            error,
            {
                "title": f"Delete {scorecard}",
                "score_count": Score.objects.filter(scorecard=scorecard).count(),
                "exemption_count": Exemption.objects.filter(
                    scorecard=scorecard, status=Exemption.Status.APPROVED
                ).count(),
            },
        )

    def _ask(
        self,
        request: HttpRequest,
        template: str,
        scorecard: Scorecard,
        error: IdpError | None,
        context: dict[str, Any],
    ) -> HttpResponse:
        return self.page(
            request,
            f"{_PAGES}{template}",
            {"scorecard": scorecard, "error": error, **context},
            original=scorecard,
            status=error.status if error else 200,
        )

    def _back(self, scorecard: Scorecard) -> HttpResponse:
        return HttpResponseRedirect(
            reverse("admin:scorecards_scorecard_change", args=[scorecard.pk])
        )
