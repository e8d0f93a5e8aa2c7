"""GITLAB: a pipeline is started, found again, and looked after until it ends."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from actions.backends.base import FIELD, FLAG, TEXT, MethodBackend, is_false, text_of
from actions.backends.forges import api_for, as_text, begun_at, post, untaken
from actions.models import Run
from actions.registry import Invocation, Outcome
from catalog.ingest.sources.gitlab.api import GitLabApi, segment
from catalog.kernel.errors import InvalidInput, UpstreamNotFound, UpstreamRefused

RUN_VARIABLE: Final = "IDP_RUN_ID"  # by which a pipeline is found again, and reports
_GOOD: Final = ("success", "skipped")
_BAD: Final = ("failed", "canceled")

Item = Mapping[str, Any]


class GitLab(MethodBackend):
    type = "GITLAB"
    title = "GitLab pipeline"
    description = "Starts a GitLab pipeline and follows it to its end"
    icon = "GitLab"
    watch_every_s = 30
    schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "type": {"const": "GITLAB"},
            "groupName": {
                **TEXT,
                "title": "Group",
                "description": "With those around it, such as acme/platform.",
            },
            "projectName": {**TEXT, "title": "Project"},
            "defaultRef": {
                "type": ["string", "null"],
                "title": "Branch or tag",
                "description": "Where no input `ref` names one. Without both, the default branch.",
            },
            "pipelineVariables": {
                "type": ["object", "string", "null"],
                "title": "Variables of the pipeline",
                "description": "Sent as text; without them the inputs are sent. "
                "{{ JQ }} is filled in.",
            },
            "reportWorkflowStatus": {
                **FLAG,
                "title": "The end of the pipeline is the end of the run",
                "default": True,
            },
        },
        "required": ["type", "groupName", "projectName"],
    }

    def completed(self, run: Run, payload: Item, context: Item) -> dict[str, Any]:
        """The inputs become variables where the method names none; its ref is settled."""
        inputs = context["inputs"]
        variables = payload.get("pipelineVariables")
        ref = inputs.get("ref") if isinstance(inputs.get("ref"), str) else None
        return {
            **payload,
            "defaultRef": ref or payload.get("defaultRef"),
            "pipelineVariables": inputs if variables is None else variables,
        }

    def invoke(self, invocation: Invocation) -> Outcome:
        run, payload = invocation.run, invocation.payload
        variables = _variables(payload, run)
        path = f"{_project(payload)}/pipeline"
        with _api(payload) as api:
            ref = payload.get("defaultRef") or api.get_json(_project(payload)).get("default_branch")
            if not isinstance(ref, str) or not ref:
                raise InvalidInput.of(f"{FIELD}.defaultRef", ref, "a branch or tag")
            if run.attempts > 1 and (found := _found(api, run, payload, ref)):
                # The attempt before this one may have worked without our hearing of it.
                invocation.log(f"The pipeline was started already: {found['web_url']}")
                return _begun(found)
            document = {
                "ref": ref,
                "variables": [{"key": key, "value": value} for key, value in variables.items()],
            }
            try:
                answer = post(api.client, path, document, expect=(200, 201), invocation=invocation)
            except UpstreamRefused as error:
                error.hint = "Starting pipelines takes a token with the scope api."
                raise
        return _begun(answer.json())

    def watch(self, run: Run) -> Outcome | None:
        payload = run.payload
        if run.external_run_id is None or is_false(payload.get("reportWorkflowStatus")):
            return None
        path = f"{_project(payload)}/pipelines/{segment(run.external_run_id)}"
        with _api(payload) as api:
            found = api.get_json(path)
        status = str(found.get("status") or "")
        label = status.replace("_", " ")
        if status in _GOOD:
            return Outcome(status="SUCCESS", status_label=label)
        if status in _BAD:
            summary = f"The pipeline ended with: {label}"
            return Outcome(status="FAILURE", status_label=label, summary=summary)
        return Outcome(status_label=label)


def _found(api: GitLabApi, run: Run, payload: Item, ref: str) -> Item | None:
    """What was started for the run: by its variable or, where the token may not see those, the
    first that nobody else is known to have started.
    """
    params: dict[str, Any] = {
        "source": "api",
        "ref": ref,
        "updated_after": f"{begun_at(run):%Y-%m-%dT%H:%M:%SZ}",
        "order_by": "id",
    }
    candidates = untaken(api.all(f"{_project(payload)}/pipelines", **params))
    for one in candidates:
        try:
            variables = api.get_json(f"{_project(payload)}/pipelines/{one['id']}/variables")
        except (UpstreamRefused, UpstreamNotFound):
            return one
        if any(
            (variable["key"], variable["value"]) == (RUN_VARIABLE, run.identifier)
            for variable in variables
        ):
            return one
    return None


def _begun(found: Item) -> Outcome:
    links = [str(found["web_url"])] if found.get("web_url") else []
    return Outcome(external_run_id=str(found["id"]), links=links)


def _api(payload: Item) -> AbstractContextManager[GitLabApi]:
    return api_for(
        "gitlab",
        "GitLab",
        _path(payload),
        make=GitLabApi,
        names=GitLabApi.names,
        is_open=lambda api: not (api.groups or api.projects),
    )


def _path(payload: Item) -> str:
    return "/".join(text_of(payload, key).strip("/") for key in ("groupName", "projectName"))


def _project(payload: Item) -> str:
    return f"projects/{segment(_path(payload))}"


def _variables(payload: Item, run: Run) -> dict[str, str]:
    given = payload.get("pipelineVariables") or {}
    if not isinstance(given, Mapping):
        raise InvalidInput.of(f"{FIELD}.pipelineVariables", given, "an object")
    texts = {str(name): as_text(value) for name, value in given.items() if value is not None}
    return {**texts, RUN_VARIABLE: run.identifier}
