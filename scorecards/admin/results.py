"""What came of scorecards, to look at: evaluations, scores, and how scores changed."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.contrib import admin
from django.db.models import BigIntegerField, F, QuerySet
from django.forms import Media
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from catalog.admin.filters import ExactTextFilter, KindFilter, MomentFilter
from catalog.kernel.admin import ReadOnlyAdmin
from catalog.kernel.keyset import Key, Keyset
from scorecards.admin.bench import rule_views
from scorecards.models import Evaluation, Score, Scorecard, ScoreChange
from scorecards.selectors.results import explain

_PAGES: Final = "admin/scorecards/results/"
_MEDIA: Final = Media(css={"all": ["scorecards/portal.css", "scorecards/admin/builder.css"]})


class ScorecardFilter(DropdownFilter):
    title = "scorecard"
    parameter_name = "scorecard"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        found = Scorecard.objects.order_by("title", "identifier").values_list("pk", "title")
        return [(str(pk), title) for pk, title in found]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        is_pk = value.isascii() and value.isdigit() and len(value) < 19
        return queryset.filter(scorecard=int(value)) if is_pk else queryset


class CauseFilter(DropdownFilter):
    title = "cause"
    parameter_name = "cause"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(ScoreChange.Cause.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(cause=self.value()) if self.value() else queryset


class OutcomeFilter(DropdownFilter):
    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("failed", "Failed"), ("lowered", "Lowered some"), ("changed", "Changed something")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "failed":
            return queryset.exclude(error="")
        if self.value() in ("lowered", "changed"):
            return queryset.filter(**{f"{self.value()}__gt": 0})
        return queryset


class StartedFilter(MomentFilter):
    title = "time"
    parameter_name = "started_at"


class AtFilter(MomentFilter):
    title = "time"
    parameter_name = "at"


class SinceFilter(MomentFilter):
    title = "unchanged since"
    parameter_name = "since"


class LevelFilter(ExactTextFilter):
    title = "level"
    parameter_name = "level"


class EntityKindFilter(KindFilter):
    path = "entity__blueprint__identifier"


class ChangedKindFilter(KindFilter):
    parameter_name = "blueprint"
    path = "blueprint"


class IdentifierFilter(ExactTextFilter):
    title = "identifier of the entity"
    parameter_name = "identifier"


class DirectionFilter(DropdownFilter):
    title = "direction"
    parameter_name = "direction"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("up", "Rose"), ("down", "Dropped"), ("in", "Came in"), ("out", "Left")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "up":
                return queryset.filter(rank__gt=F("was_rank"))
            case "down":
                return queryset.filter(rank__lt=F("was_rank"))
            case "in":
                return queryset.filter(was_statuses=None)
            case "out":
                return queryset.filter(statuses=None)
        return queryset


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnlyAdmin):
    keyset = Keyset([Key("pk", "pk", BigIntegerField())], descending=True)
    list_display = ["when", "about", "why", "took", "entities", "moves", "outcome"]
    list_display_links = ["when"]
    list_select_related = ["scorecard"]
    list_filter = [ScorecardFilter, CauseFilter, OutcomeFilter, StartedFilter]

    @display(description="Scorecard")
    def about(self, evaluation: Evaluation) -> str:
        return _cell("about", evaluation)

    @display(description="Started")
    def when(self, evaluation: Evaluation) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": evaluation.started_at})

    @display(description="Why")
    def why(self, evaluation: Evaluation) -> str:
        return _cell("why", evaluation)

    @display(description="Took")
    def took(self, evaluation: Evaluation) -> str:
        return f"{evaluation.duration_ms:,} ms"

    @display(description="Changed")
    def moves(self, evaluation: Evaluation) -> str:
        return _cell("moves", evaluation)

    @display(description="Outcome")
    def outcome(self, evaluation: Evaluation) -> str:
        return _cell("outcome", evaluation)


@admin.register(Score)
class ScoreAdmin(ReadOnlyAdmin):
    keyset = Keyset([Key("pk", "pk", BigIntegerField())], descending=True)
    list_display = ["entity_of", "about", "level_of", "points_of", "held"]
    list_select_related = ["scorecard__blueprint", "entity__blueprint"]
    list_filter = [ScorecardFilter, LevelFilter, EntityKindFilter, SinceFilter]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # entities go by SQL: their scores follow with the next evaluation
        return super().get_queryset(request).filter(entity__identifier__isnull=False)

    @display(description="Entity")
    def entity_of(self, score: Score) -> str:
        return render_to_string("admin/cells/entity.html", {"entity": score.entity})

    @display(description="Scorecard")
    def about(self, score: Score) -> str:
        return str(score.scorecard)

    @display(description="Level")
    def level_of(self, score: Score) -> str:
        return _cell("level", score)

    @display(description="Points")
    def points_of(self, score: Score) -> str:
        return _cell("points", score)

    @display(description="Since")
    def held(self, score: Score) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": score.since})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        score: Score = self.load(request, object_id)
        found = explain(score)
        return self.page(
            request,
            f"{_PAGES}score.html",
            {
                "title": f"{score.entity} on {score.scorecard}",
                "explained": found,
                "views": rule_views(found),
                "media": self.media + _MEDIA,
            },
        )


@admin.register(ScoreChange)
class ScoreChangeAdmin(ReadOnlyAdmin):
    class Media:
        css: ClassVar = {"all": ["scorecards/admin/builder.css"]}

    keyset = Keyset([Key("pk", "pk", BigIntegerField())], descending=True)
    list_display = ["when", "entity_of", "about", "change", "why"]
    list_display_links = ["when"]
    list_select_related = ["scorecard"]
    list_filter = [
        ScorecardFilter,
        DirectionFilter,
        CauseFilter,
        ChangedKindFilter,
        IdentifierFilter,
        AtFilter,
    ]

    @display(description="Entity")
    def entity_of(self, change: ScoreChange) -> str:
        return _cell("changed_entity", change)

    @display(description="Scorecard")
    def about(self, change: ScoreChange) -> str:
        return _cell("about", change)

    @display(description="Change")
    def change(self, change: ScoreChange) -> str:
        return _cell("change", change)

    @display(description="Why")
    def why(self, change: ScoreChange) -> str:
        return f"{change.get_cause_display()}, version {change.version}"

    @display(description="When")
    def when(self, change: ScoreChange) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": change.at})


def _cell(which: str, row: Any) -> str:
    return render_to_string(f"{_PAGES}cell.html", {"which": which, "row": row})
