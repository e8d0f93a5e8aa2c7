"""Actions: a list of all, and the builder that shapes one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import (
    Count,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
)
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce
from django.forms import Media
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from actions.admin import trying
from actions.admin.builder import ActionDocumentForm, builder_data, categories
from actions.admin.importing import ImportPages
from actions.admin.versions import VersionPages
from actions.admin.words import method_in_words, trigger_in_words
from actions.models import Action, Run
from actions.portal.forms import ActionForm, live
from actions.portal.methods import sentence_of
from actions.portal.words import STATUSES
from actions.services.action_spec import OPERATIONS
from actions.services.definitions import delete_action
from actions.services.triggers import event_titles
from catalog.admin.actors import actor_for, principal_of
from catalog.forms.widgets import EntityPicker
from catalog.kernel.errors import IdpError, InvalidInput
from catalog.kernel.json_text import read_json, write_json
from catalog.kernel.yaml_reader import read_documents
from catalog.kernel.yaml_writer import write_yaml
from catalog.models import TEAM, USER, Entity

LATELY: Final = timedelta(days=30)
_LIST: Final = "admin:actions_action_changelist"
_PAGES: Final = "admin/actions/action/"
_MEDIA: Final = EntityPicker(url="").media + Media(
    js=["actions/form.js"], css={"all": ["actions/form.css", "actions/admin/builder.css"]}
)


class TriggerFilter(DropdownFilter):
    title = "trigger"
    parameter_name = "trigger"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        events = [(name, title) for name, title in event_titles().items()]
        return [("self-service", "People"), ("automation", "Any event"), *events]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        if value in ("self-service", "automation"):
            return queryset.alias(said=KT("document__trigger__type")).filter(said=value)
        return queryset.alias(said=KT("document__trigger__event__type")).filter(said=value)


class OperationFilter(DropdownFilter):
    title = "operation"
    parameter_name = "operation"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(one, one.capitalize()) for one in OPERATIONS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.alias(done=KT("document__trigger__operation")).filter(done=self.value())


class PublishedFilter(DropdownFilter):
    title = "published"
    parameter_name = "published"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Published"), ("no", "Not published")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        off = Q(shown="false")
        held = queryset.alias(shown=KT("document__publish"))
        return held.filter(off) if self.value() == "no" else held.filter(~off | Q(shown=None))


class CategoryFilter(DropdownFilter):
    title = "category"
    parameter_name = "category"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(one, one) for one in categories()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.alias(group=KT("document__category")).filter(group=self.value())


@admin.register(Action)
class ActionAdmin(ImportPages, VersionPages):
    list_display = ["name", "trigger_of", "does", "about", "is_on", "last_run"]
    list_select_related = ["blueprint", "template"]
    list_filter = [TriggerFilter, OperationFilter, PublishedFilter, CategoryFilter]
    search_fields = ["identifier", "document__title"]
    search_help_text = "Title or identifier"
    ordering = ["identifier"]
    change_list_template = f"{_PAGES}list.html"
    feed_model = "action"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        runs = Run.objects.filter(action=OuterRef("pk"), is_test=False).order_by("-pk")
        lately = runs.filter(created_at__gt=timezone.now() - LATELY).order_by().values("action")
        return (
            super()
            .get_queryset(request)
            .annotate(
                name_of=Coalesce(KT("document__title"), F("identifier"), output_field=TextField()),
                last_status=Subquery(runs.values("status")[:1]),
                last_run_id=Subquery(runs.values("identifier")[:1]),
                last_at=Subquery(runs.values("created_at")[:1]),
                run_total=Subquery(
                    lately.annotate(total=Count("pk")).values("total"),
                    output_field=IntegerField(),
                ),
            )
        )

    @display(description="Action", ordering="name_of")
    def name(self, action: Action) -> str:
        return render_to_string(f"{_PAGES}name.html", {"action": action})

    @display(description="Trigger")
    def trigger_of(self, action: Action) -> str:
        what, which = trigger_in_words(action)
        return render_to_string(
            f"{_PAGES}trigger.html", {"action": action, "what": what, "which": which}
        )

    @display(description="What it does")
    def does(self, action: Action) -> str:
        return render_to_string(
            f"{_PAGES}does.html",
            {"method": method_in_words(action.invocation), "sentence": sentence_of(action)},
        )

    @display(description="Blueprint", ordering="blueprint__title")
    def about(self, action: Action) -> str:
        return action.blueprint.title if action.blueprint else ""

    @display(description="Published", boolean=True)
    def is_on(self, action: Action) -> bool:
        return action.is_published

    @display(description="Last run", ordering="last_at")
    def last_run(self, action: Any) -> str:
        badge = STATUSES[action.last_status] if action.last_status else None
        return render_to_string(f"{_PAGES}last_run.html", {"action": action, "badge": badge})

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        benches = {
            "preview": self.preview_view,
            "preview-live": self.live_view,
            "plan": self.plan_view,
            "text": self.text_view,
        }
        return [
            *(
                path(f"{name}/", view(require_POST(one)), name=f"actions_action_{name}")
                for name, one in benches.items()
            ),
            *self.import_urls(),
            path(
                "<path:object_id>/test/",
                view(require_POST(self.test_view)),
                name="actions_action_test",
            ),
            path(
                "test-runs/<str:identifier>/",
                view(self.test_run_view),
                name="actions_action_test-run",
            ),
            *self.version_urls(),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return self._builder(request, None)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return self._builder(request, self.load(request, object_id))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        action: Action = self.load(request, object_id)
        error: IdpError | None = None
        if request.method == "POST":
            try:
                delete_action(action.identifier, actor=actor_for(request))
            except IdpError as refusal:
                error = refusal
            else:
                messages.success(request, f'Action "{action.title}" was deleted; its runs stay.')
                return HttpResponseRedirect(reverse(_LIST))
        runs = Run.objects.filter(action=action)
        return self.page(
            request,
            f"{_PAGES}delete.html",
            {
                "title": f"Delete {action.title}",
                "action": action,
                "run_count": runs.count(),
                "open_count": runs.filter(status__in=Run.OPEN).count(),
                "error": error,
            },
            original=action,
            status=error.status if error else 200,
        )

    # the bench

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """The form that the action in the builder makes. Changes nothing."""
        context: dict[str, Any] = {}
        try:
            action = self._asking(request)
            context["form"], entity = self._form(request, action)
            context["sample"] = _sample_picker(action, entity)
            if not action.is_self_service:
                context["event"] = request.POST.get(trying.EVENT) or write_json(
                    trying.sample_event(action, entity)
                )
        except IdpError as error:
            context["error"] = error
        context["action"] = request.GET.get("action", "")
        return TemplateResponse(request, f"{_PAGES}preview.html", context)

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """What has changed of that form since it was drawn."""
        try:
            return live(request, self._form(request, self._asking(request))[0])
        except IdpError as error:
            return HttpResponse(error.message, status=error.status, content_type="text/plain")

    def plan_view(self, request: HttpRequest) -> HttpResponse:
        """What would be sent, with the samples of the preview. Nothing is."""
        context: dict[str, Any] = {}
        try:
            action = self._typed(request)
            form, entity = self._form(request, action)
            event = None if action.is_self_service else _event(request, action, entity)
            context["plan"] = trying.planned(
                action,
                entity=entity,
                form=form if action.is_self_service else None,
                event=event,
                principal=principal_of(request),
            )
            context["method"] = method_in_words(action.invocation)
        except IdpError as error:
            context["error"] = error
        return TemplateResponse(request, f"{_PAGES}plan.html", context)

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Start the stored action as a test."""
        action: Action = self.load(request, object_id)
        principal = principal_of(request)
        try:
            form, entity = self._form(request, action, is_strict=True)
            run = trying.test_run(
                action, entity=entity, form=form, principal=principal, actor=actor_for(request)
            )
        except IdpError as error:
            return TemplateResponse(
                request,
                f"{_PAGES}test_run.html",
                {"error": error, "problems": error.details.get("problems")},
            )
        return self._test_run(request, run)

    def test_run_view(self, request: HttpRequest, identifier: str) -> HttpResponse:
        """What came of a test, for as long as it is not done."""
        run = Run.objects.filter(identifier=identifier, is_test=True).first()
        if run is None:
            return HttpResponse("The run is gone.", content_type="text/plain")
        return self._test_run(request, run)

    def text_view(self, request: HttpRequest) -> JsonResponse:
        """The document as YAML (`to=yaml`), or YAML as a document: {"text"} or {"error"}."""
        text = request.POST.get("text", "")
        try:
            if request.POST.get("to") == "yaml":
                return JsonResponse({"text": write_yaml(read_json(text))})
            return JsonResponse({"text": write_json(_one_document(text))})
        except IdpError as error:
            return JsonResponse({"error": error.message})

    def _test_run(self, request: HttpRequest, run: Run) -> HttpResponse:
        delivery = run.deliveries.last()
        return TemplateResponse(
            request,
            f"{_PAGES}test_run.html",
            {
                "run": run,
                "badge": STATUSES[run.status],
                "delivery": delivery,
                "body": trying.readable(delivery.request_body) if delivery else "",
            },
        )

    def _typed(self, request: HttpRequest) -> Action:
        """The action in the builder. Raises IdpError."""
        return trying.read_action(request.POST.get("document", ""), self._stored(request))

    def _asking(self, request: HttpRequest) -> Action:
        """The same as far as its form goes; the rest need not be right yet. Raises IdpError."""
        return trying.read_form(request.POST.get("document", ""), self._stored(request))

    def _stored(self, request: HttpRequest) -> Action | None:
        """The action that the one in the builder is to replace: `?action=`, its pk."""
        pk = request.GET.get("action", "")
        return self.load(request, pk) if pk else None

    def _form(
        self, request: HttpRequest, action: Action, *, is_strict: bool = False
    ) -> tuple[ActionForm, Entity | None]:
        principal = principal_of(request)
        entity = trying.sample_of(action, request.POST, principal, is_strict=is_strict)
        return trying.form_of(action, request.POST, principal, entity), entity

    def _builder(self, request: HttpRequest, action: Action | None) -> HttpResponse:
        form = ActionDocumentForm(request.POST or None, action=action)
        if request.method == "POST" and form.is_valid():
            saved = form.save(actor=actor_for(request))
            if saved is not None:
                messages.success(request, _said(action, saved))
                if "_continue" in request.POST:
                    return HttpResponseRedirect(
                        reverse("admin:actions_action_change", args=[saved.pk])
                    )
                return HttpResponseRedirect(reverse(_LIST))
        people, teams = (f"{reverse('pick-entities')}?kind={kind}" for kind in (USER, TEAM))
        return self.page(
            request,
            f"{_PAGES}builder.html",
            {
                "title": action.title if action else "Add an action",
                "action": action,
                "tab": "builder",
                "form": form,
                "media": self.media + _MEDIA,
                "categories": categories(),
                "pickers": {
                    f"{grant}_{what}": EntityPicker(url=url, many=True, is_free=True).render(
                        f"{grant}_{what}", [], {"id": f"id_{grant}_{what}"}
                    )
                    for grant in ("execute", "approve")
                    for what, url in (("users", people), ("teams", teams))
                },
                "builder": builder_data(action, form),
            },
            original=action,
        )


def _said(before: Action | None, saved: Action) -> str:
    if before is None:
        return f'Action "{saved.title}" was created.'
    if saved.version == before.version:
        return f'Action "{saved.title}" was saved; what it says is the same.'
    return f'Action "{saved.title}" was saved as version {saved.version}.'


def _sample_picker(action: Action, entity: Entity | None) -> str:
    """The input that chooses the entity to try on; "" for an action that is about none."""
    blueprint = trying.sample_blueprint(action)
    if blueprint is None:
        return ""
    picker = EntityPicker(
        url=f"{reverse('pick-entities')}?kind={blueprint.identifier}",
        label_of=lambda names: {one: str(entity) for one in names},
    )
    chosen = entity.identifier if entity else None
    return picker.render(trying.SAMPLE, chosen, {"id": "id_sample"})


def _event(request: HttpRequest, action: Action, entity: Entity | None) -> dict[str, Any]:
    given = request.POST.get(trying.EVENT, "")
    if not given.strip():
        return trying.sample_event(action, entity)
    event = read_json(given)
    if not isinstance(event, dict):
        raise InvalidInput("The sample event is no JSON object: {…}")
    return event


def _one_document(text: str) -> Any:
    """Raises IdpError."""
    found = [one for one in read_documents(text, name="YAML") if one.error or one.value is not None]
    if not found:
        raise InvalidInput("There is no YAML yet")
    if len(found) > 1:
        raise InvalidInput("These are several documents; an action is one")
    if found[0].error:
        raise InvalidInput(str(found[0].error))
    return found[0].value
