"""Scorecards: a list of all, the builder that shapes one, and what may be done with it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.forms import Media
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, reverse
from django.utils import timezone
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from catalog.admin.actors import actor_for, principal_of
from catalog.admin.filters import ChoiceFilter, KindFilter
from catalog.forms.widgets import EntityPicker
from catalog.kernel.errors import IdpError
from catalog.kernel.json_text import write_json
from scorecards.admin.bench import BenchPages, sample_picker
from scorecards.admin.builder import (
    CORTEX,
    NATIVE,
    ScorecardDocumentForm,
    builder_data,
    owners,
)
from scorecards.admin.deeds import DeedPages
from scorecards.admin.versions import VersionPages
from scorecards.admin.what_if import dated, what_if
from scorecards.formats import definition_of
from scorecards.models import Evaluation, Scorecard
from scorecards.services.drafting import Draft

_LIST: Final = "admin:scorecards_scorecard_changelist"
_PAGES: Final = "admin/scorecards/scorecard/"
_MEDIA: Final = EntityPicker(url="").media + Media(
    css={"all": ["scorecards/portal.css", "scorecards/admin/builder.css"]}
)
WARNING: Final = timedelta(days=28)  # proposed, for rules that lower many
CONFIRMED, POSTPONED, BACK = "_confirmed", "_from", "_back"  # buttons of the step before
FROM: Final = "effective_from"


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    options = tuple(Scorecard.State.values)


class DialectFilter(DropdownFilter):
    title = "written as"
    parameter_name = "dialect"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(Scorecard.Dialect.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(dialect=self.value()) if self.value() else queryset


class TroubleFilter(DropdownFilter):
    title = "evaluation"
    parameter_name = "trouble"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("failed", "Failed"), ("rules", "Rules that cannot be evaluated")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "failed":
            return queryset.exclude(error="")
        if self.value() == "rules":
            troubled = Scorecard.objects.filter(rules__removed_at=None).exclude(rules__problem="")
            return queryset.filter(pk__in=troubled.values("pk"))
        return queryset


@admin.register(Scorecard)
class ScorecardAdmin(BenchPages, DeedPages, VersionPages):
    list_display = ["name", "about", "state_of", "levels", "rule_count", "evaluated"]
    list_select_related = ["blueprint"]
    list_filter = [StateFilter, KindFilter, DialectFilter, TroubleFilter]
    search_fields = ["identifier", "title"]
    search_help_text = "Title or identifier"
    ordering = ["title", "identifier", "pk"]
    change_list_template = f"{_PAGES}list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        last = Evaluation.objects.filter(scorecard=OuterRef("pk")).order_by("-pk")
        return (
            super()
            .get_queryset(request)
            .annotate(
                entity_total=Subquery(last.values("entities")[:1]),
                took_ms=Subquery(last.values("duration_ms")[:1]),
            )
        )

    @display(description="Scorecard", ordering="title")
    def name(self, scorecard: Scorecard) -> str:
        return render_to_string(f"{_PAGES}name.html", {"scorecard": scorecard})

    @display(description="About", ordering="blueprint__title")
    def about(self, scorecard: Scorecard) -> str:
        return scorecard.blueprint.title if scorecard.blueprint else "Several kinds"

    @display(description="State", ordering="state")
    def state_of(self, scorecard: Scorecard) -> str:
        return render_to_string(f"{_PAGES}state.html", {"scorecard": scorecard})

    @display(description="Levels")
    def levels(self, scorecard: Scorecard) -> str:
        titles = [one.title for one in definition_of(scorecard).levels if one.title]
        return " › ".join(titles)

    @display(description="Rules")
    def rule_count(self, scorecard: Scorecard) -> int:
        return len(definition_of(scorecard).rules)

    @display(description="Evaluated", ordering="evaluated_at")
    def evaluated(self, scorecard: Scorecard) -> str:
        return render_to_string(f"{_PAGES}evaluated.html", {"scorecard": scorecard})

    def get_urls(self) -> list[URLPattern]:
        return [
            *self.bench_urls(),
            *self.deed_urls(),
            *self.version_urls(),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        given = request.POST if request.method == "POST" else request.GET
        dialect = CORTEX if given.get("dialect") == CORTEX else NATIVE
        return self._builder(request, None, dialect)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        scorecard: Scorecard = self.load(request, object_id)
        return self._builder(request, scorecard, scorecard.dialect)

    def _builder(
        self, request: HttpRequest, scorecard: Scorecard | None, dialect: str
    ) -> HttpResponse:
        form = ScorecardDocumentForm(request.POST or None, scorecard=scorecard, dialect=dialect)
        if request.method == "POST" and BACK not in request.POST and form.is_valid():
            step = self._confirming(request, form)
            if step is not None:
                return step
            saved = None if form.errors else form.save(actor=actor_for(request))
            if saved is not None:
                messages.success(request, _said(scorecard, saved))
                if "_continue" in request.POST:
                    return HttpResponseRedirect(
                        reverse("admin:scorecards_scorecard_change", args=[saved.pk])
                    )
                return HttpResponseRedirect(reverse(_LIST))
        return self.page(
            request,
            f"{_PAGES}builder.html",
            {
                "title": str(scorecard) if scorecard else "Add a scorecard",
                "scorecard": scorecard,
                "dialect": dialect,
                "tab": "builder",
                "form": form,
                "media": self.media + _MEDIA,
                "owners": owners(),
                "sample_picker": sample_picker(scorecard),
                "builder": builder_data(scorecard, form, dialect),
            },
            original=scorecard,
        )

    def _confirming(self, request: HttpRequest, form: ScorecardDocumentForm) -> HttpResponse | None:
        """The step before an active scorecard is saved that is new, or lowers many entities; None
        when it is confirmed, or there is nothing to confirm."""
        if CONFIRMED in request.POST:
            return None
        scorecard, document = form.scorecard, form.cleaned_data["document"]
        day = _day(request.POST.get(FROM, "")) if POSTPONED in request.POST else None
        draft = form.draft()
        if draft is not None and day is not None:
            document = form.cleaned_data["document"] = dated(document, day, scorecard)
            draft = form.draft()
        if draft is None or not _is_active(draft):
            return None
        try:
            shown = what_if(draft, scorecard, principal_of(request))
        except IdpError as error:
            form.add_error(None, str(error))
            return None
        if not shown.lowers_many and (scorecard is not None or day is not None):
            return None
        return self.page(
            request,
            f"{_PAGES}confirm.html",
            {
                "title": f"Before {draft.definition.title} is saved",
                "scorecard": scorecard,
                "dialect": form.dialect,
                "shown": shown,
                "document": form.data["document"] if day is None else write_json(document),
                "version": form.cleaned_data["version"],
                "goes_on": "_continue" in request.POST,
                "is_postponed": day is not None,
                "day": day or timezone.now().date() + WARNING,
                "today": timezone.now().date(),
                "media": self.media + _MEDIA,
            },
            original=scorecard,
        )


def _is_active(draft: Draft) -> bool:
    return draft.definition.state == Scorecard.State.ACTIVE


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _said(before: Scorecard | None, saved: Scorecard) -> str:
    if before is None:
        return f'Scorecard "{saved.title}" was created; it is evaluated now.'
    if saved.version == before.version:
        return f'Scorecard "{saved.title}" was saved; its rules are the same.'
    return f'Scorecard "{saved.title}" was saved as version {saved.version}.'
