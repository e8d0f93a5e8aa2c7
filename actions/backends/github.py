"""GITHUB: a workflow is started, found again, and looked after until it ends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final
from urllib.parse import quote

from actions.backends.base import FIELD, FLAG, TEXT, MethodBackend, is_false, is_true, text_of
from actions.backends.forges import api_for, as_text, begun_at, post, untaken
from actions.models import Run
from actions.registry import Invocation, Outcome
from actions.services import templating
from catalog.ingest.sources.github.api import PAGE_SIZE, GitHubApi
from catalog.kernel.errors import InvalidInput, UpstreamError, UpstreamRefused
from catalog.kernel.http import Response

DISPATCHED: Final = (200, 204)
_RETURN_DETAILS: Final = "return_run_details"
_GOOD: Final = ("success", "neutral", "skipped")
_UNEXPECTED: Final = re.compile(r"Unexpected inputs provided: \[([^\]]*)\]")
_STANDARD: Final = "standardInputs"  # of the payload: what is sent where the method names none

Item = Mapping[str, Any]


class GitHub(MethodBackend):
    type = "GITHUB"
    title = "GitHub workflow"
    description = "Starts a GitHub workflow and follows it to its end"
    icon = "Github"
    watch_every_s = 30
    schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "type": {"const": "GITHUB"},
            "org": {**TEXT, "title": "Organisation", "description": "Or user."},
            "repo": {**TEXT, "title": "Repository"},
            "workflow": {
                "type": ["string", "integer"],
                "title": "Workflow",
                "description": "The name of its file, such as deploy.yml; on: workflow_dispatch.",
            },
            "branch": {
                "type": ["string", "null"],
                "title": "Branch",
                "description": "Without one: `ref` of the inputs, or the default branch.",
            },
            "workflowInputs": {
                "type": ["object", "string", "null"],
                "title": "Inputs of the workflow",
                "description": "Sent as text. {{ JQ }} is filled in.",
            },
            "reportWorkflowStatus": {
                **FLAG,
                "title": "The end of the workflow is the end of the run",
                "default": True,
            },
        },
        "required": ["type", "org", "repo", "workflow"],
    }

    def completed(self, run: Run, payload: Item, context: Item) -> dict[str, Any]:
        """Where the method names no inputs of the workflow: the run's, and all about it, as older
        actions relied on; the workflow need not take them.
        """
        if payload.get("workflowInputs") is not None:
            return dict(payload)
        inputs: dict[str, Any] = {}
        if not is_true(payload.get("omitUserInputs")):
            inputs |= context["inputs"]
        if not is_true(payload.get("omitPayload")):
            inputs["port_payload"] = templating.standard_message(run, context)
        return {**payload, _STANDARD: inputs}

    def invoke(self, invocation: Invocation) -> Outcome:
        run, payload = invocation.run, invocation.payload
        inputs, is_named = _inputs(payload)
        ref = _ref(payload, inputs)
        with _api(payload) as api:
            if run.attempts > 1 and (found := _found(api, run, payload)):
                # The attempt before this one may have worked without our hearing of it.
                invocation.log(f"The workflow was started already: {found['html_url']}")
                return _begun(found["id"], found["html_url"])
            ref = ref or str(api.get_json(_repository(payload)).get("default_branch") or "main")
            answer = _dispatch(api, payload, ref, inputs, invocation, may_drop=not is_named)
        if answer.status == 200:
            begun = answer.json()
            return _begun(begun["workflow_run_id"], begun.get("html_url"))
        invocation.log("GitHub took it, and does not say which run that is; it is looked for.")
        return Outcome(external_run_id="")  # not that of an earlier delivery

    def watch(self, run: Run) -> Outcome | None:
        payload, number = run.payload, run.external_run_id
        if number and is_false(payload.get("reportWorkflowStatus")):
            return None
        with _api(payload) as api:
            if not number:
                found = _found(api, run, payload)
                return _begun(found["id"], found["html_url"]) if found else None
            path = f"{_repository(payload)}/actions/runs/{quote(number, safe='')}"
            return _progress(api.get_json(path))


def _dispatch(
    api: GitHubApi,
    payload: Item,
    ref: str,
    inputs: dict[str, str],
    invocation: Invocation,
    *,
    may_drop: bool,
) -> Response:
    """may_drop: inputs that the workflow does not take are left out. Raises UpstreamError."""
    path = f"{_workflow(payload)}/dispatches"
    document: dict[str, Any] = {"ref": ref, "inputs": inputs, _RETURN_DETAILS: True}
    while True:
        try:
            return post(api.client, path, document, expect=DISPATCHED, invocation=invocation)
        except UpstreamRefused as error:
            error.hint = "Starting workflows takes the permission to write actions."
            raise
        except UpstreamError as error:
            # Refused, so nothing was started, and it may be said in another way.
            is_refused = error.details.get("status") in (400, 422)
            milder = _milder(document, error.message, may_drop=may_drop) if is_refused else None
            if milder is None:
                raise
            document = milder


def _milder(document: dict[str, Any], said: str, *, may_drop: bool) -> dict[str, Any] | None:
    if _RETURN_DETAILS in document and _RETURN_DETAILS in said:  # servers before 2026
        return {key: value for key, value in document.items() if key != _RETURN_DETAILS}
    if may_drop and (match := _UNEXPECTED.search(said)):
        unexpected = set(re.findall(r'"([^"]+)"', match[1])) & document["inputs"].keys()
        if unexpected:
            kept = {k: v for k, v in document["inputs"].items() if k not in unexpected}
            return {**document, "inputs": kept}
    return None


def _found(api: GitHubApi, run: Run, payload: Item) -> Item | None:
    """What was started for the run, as far as that can be known: by the identifier in its name,
    or by who started it there, when, and on which branch.
    """
    params: dict[str, Any] = {
        "event": "workflow_dispatch",
        "created": f">={begun_at(run):%Y-%m-%dT%H:%M:%SZ}",
        "per_page": PAGE_SIZE,
    }
    if branch := _ref(payload, _inputs(payload)[0]):
        params["branch"] = branch
    listed = api.get_json(f"{_workflow(payload)}/runs", **params).get("workflow_runs") or []
    for one in listed:
        if run.identifier in str(one.get("display_title")):
            return dict(one)
    login = _login(api)
    candidates = untaken(
        one
        for one in listed
        if not login or (one.get("triggering_actor") or one["actor"])["login"] == login
    )
    return candidates[0] if candidates else None


def _login(api: GitHubApi) -> str:
    """Under which name we start workflows; "" when GitHub does not say."""
    try:
        if api.is_app:
            return f"{api.installation()['app_slug']}[bot]"
        return str(api.get_json("user")["login"])
    except (UpstreamRefused, KeyError):
        return ""


def _progress(found: Item) -> Outcome:
    links = [found["html_url"]] if found.get("html_url") else []
    status, conclusion = str(found.get("status") or ""), str(found.get("conclusion") or "")
    if status != "completed":
        return Outcome(status_label=_words(status), links=links)
    label = _words(conclusion)
    if conclusion in _GOOD:
        return Outcome(status="SUCCESS", status_label=label, links=links)
    summary = f"The workflow ended with: {label}"
    return Outcome(status="FAILURE", status_label=label, summary=summary, links=links)


def _begun(number: Any, link: Any) -> Outcome:
    return Outcome(external_run_id=str(number), links=[str(link)] if link else ())


def _api(payload: Item) -> AbstractContextManager[GitHubApi]:
    name = f"{text_of(payload, 'org')}/{text_of(payload, 'repo')}"
    return api_for(
        "github",
        "GitHub",
        name,
        make=GitHubApi,
        names=lambda api, one: api.scope.names(one),
        is_open=lambda api: not (api.scope.owners or api.scope.repositories),
    )


def _repository(payload: Item) -> str:
    return "repos/" + "/".join(quote(text_of(payload, key), safe="") for key in ("org", "repo"))


def _workflow(payload: Item) -> str:
    name = text_of(payload, "workflow").removeprefix(".github/workflows/")
    return f"{_repository(payload)}/actions/workflows/{quote(name, safe='')}"


def _inputs(payload: Item) -> tuple[dict[str, str], bool]:
    """What the workflow is given, as text, and whether the method names it."""
    named = payload.get("workflowInputs")
    given = payload.get(_STANDARD) or {} if named is None else named
    if not isinstance(given, Mapping):
        raise InvalidInput.of(f"{FIELD}.workflowInputs", given, "an object")
    texts = {str(name): as_text(value) for name, value in given.items() if value is not None}
    return texts, named is not None


def _ref(payload: Item, inputs: dict[str, str]) -> str:
    """The branch or tag that the method or its input `ref` names, which is then no input."""
    own = inputs.pop("ref", "")
    return str(payload.get("branch") or own or "").strip()


def _words(status: str) -> str:
    return status.replace("_", " ")
