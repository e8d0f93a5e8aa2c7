"""What the builder asks on the way: the form of what is typed, what would be sent, a test run."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from actions.admin import trying
from actions.admin.words import method_in_words
from actions.models import Action, Run
from actions.portal.forms import ActionForm, live
from actions.portal.words import STATUSES
from catalog.admin.actors import actor_for, principal_of
from catalog.forms.widgets import EntityPicker
from catalog.kernel.admin import IdpModelAdmin
from catalog.kernel.errors import IdpError, InvalidInput
from catalog.kernel.json_text import read_json, write_json
from catalog.kernel.yaml_reader import read_documents
from catalog.kernel.yaml_writer import write_yaml
from catalog.models import Entity

_PAGES: Final = "admin/actions/action/"


class BenchPages(IdpModelAdmin):
    """What the admin of actions has of this."""

    def bench_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        asked = {
            "preview": self.preview_view,
            "preview-live": self.live_view,
            "plan": self.plan_view,
            "text": self.text_view,
        }
        return [
            *(
                path(f"{name}/", view(require_POST(one)), name=f"actions_action_{name}")
                for name, one in asked.items()
            ),
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
        ]

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
