"""What templates ask, what they may do, and how one would come out."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from rest_framework.exceptions import Throttled
from rest_framework.request import Request

from actions.scaffolder.dry_running import WALL_CLOCK_S, dry_run
from actions.scaffolder.finding import template_named
from actions.scaffolder.registry import template_actions
from actions.scaffolder.template import Template, read_template
from actions.scaffolder.template_actions import ensure_action
from actions.scaffolder.templating import environment
from actions.services.access import Access
from catalog.api.backstage.base import BackstageView, answer, call
from catalog.api.openapi import OBJECT, list_of
from catalog.api.slots import slot
from catalog.dialects.backstage.refs import EntityRef
from catalog.kernel.errors import InvalidInput, InvalidRequest, PermissionDenied
from catalog.services.permissions import WRITERS, Standing

TAG = "Backstage scaffolder"
_TEXT = {"type": "string"}
_CONTENTS = list_of(
    {
        "type": "object",
        "properties": {"path": _TEXT, "base64Content": _TEXT},
        "required": ["path", "base64Content"],
    }
)
_DRY_RUN = {
    "type": "object",
    "properties": {
        "template": OBJECT,
        "values": OBJECT,
        "secrets": {"type": "object", "additionalProperties": _TEXT},
        "directoryContents": _CONTENTS,
    },
    "required": ["template", "values", "directoryContents"],
}


class ParameterSchema(BackstageView):
    @call(
        "get_template_parameter_schema",
        "What a template asks",
        path=["namespace", "kind", "name"],
        answers={200: OBJECT},
        errors=[404],
        tag=TAG,
    )
    def get(self, request: Request, namespace: str, kind: str, name: str) -> HttpResponse:
        found = template_named(EntityRef(kind, namespace, name))
        Access(self.principal).require_see(ensure_action(found.entity))
        return answer(_asked(read_template(found.document)))


class ActionList(BackstageView):
    @call(
        "list_template_actions",
        "What the steps of templates may do",
        answers={200: list_of(OBJECT)},
        tag=TAG,
    )
    def get(self, request: Request) -> HttpResponse:
        return answer(
            [
                {
                    "id": action.id,
                    "description": action.description,
                    "examples": [
                        {"description": one.description, "example": one.example}
                        for one in action.examples
                    ],
                    "schema": {"input": action.input, "output": action.output},
                }
                for _, action in sorted(template_actions.items())
            ]
        )


class TemplatingExtensions(BackstageView):
    @call(
        "list_templating_extensions",
        "Filters and globals of expressions",
        answers={200: OBJECT},
        tag=TAG,
    )
    def get(self, request: Request) -> HttpResponse:
        engine = environment()
        return answer({"filters": engine.describe_filters(), "globals": engine.describe_globals()})


class Autocomplete(BackstageView):
    @call(
        "autocomplete",
        "Names of things elsewhere, for fields of forms",
        path=["provider", "resource"],
        body=OBJECT,
        answers={200: OBJECT},
        tag=TAG,
        description="No provider is known: repositories are named by hand.",
    )
    def post(self, request: Request, provider: str, resource: str) -> HttpResponse:
        raise InvalidRequest(f"Unsupported provider: {provider}")


class DryRun(BackstageView):
    @call(
        "dry_run_template",
        "Run a template without changing anything elsewhere",
        body=_DRY_RUN,
        answers={200: OBJECT},
        errors=[403, 429],
        tag=TAG,
        description="`directoryContents` are the files beside the template. Two of one caller, and "
        "eight of all, may run at once.",
    )
    def post(self, request: Request) -> HttpResponse:
        if Standing(self.principal).role not in WRITERS:
            raise PermissionDenied(
                "You may not try templates out", hint="Ask an admin for the role Member."
            )
        body = self.body
        contents = _contents(body["directoryContents"])
        with slot("dry-run", self.principal, lasts_s=2 * WALL_CLOCK_S) as held:
            if held is None:
                raise Throttled(wait=10)
            made = dry_run(
                body["template"],
                body["values"],
                body.get("secrets") or {},
                contents,
                principal=self.principal,
            )
        if made.error is not None:
            raise InvalidInput(str(made.error))
        return answer(
            {
                "log": [{"body": dict(line)} for line in made.log],
                "directoryContents": [
                    {
                        "path": file.path,
                        "executable": file.is_executable,
                        "base64Content": base64.b64encode(file.content).decode(),
                    }
                    for file in made.files
                ],
                "output": made.output,
                "steps": made.steps,
            }
        )


def _asked(template: Template) -> dict[str, Any]:
    """Each page with its title, description and schema."""
    said: dict[str, Any] = {
        "title": template.title,
        "description": template.description or None,
        "presentation": dict(template.presentation) or None,
    }
    return {
        **{key: value for key, value in said.items() if value is not None},
        "steps": [
            {
                "title": page.get("title") or "Please enter the following information",
                **({"description": page["description"]} if page.get("description") else {}),
                "schema": dict(page),
            }
            for page in template.pages
        ],
    }


def _contents(given: list[Mapping[str, str]]) -> dict[str, bytes]:
    found = {}
    for number, one in enumerate(given):
        try:
            found[one["path"]] = base64.b64decode(one["base64Content"], validate=True)
        except ValueError:  # what is no base64, and what is no ASCII
            field = f"directoryContents.{number}.base64Content"
            raise InvalidInput.of(field, one["base64Content"], "base64") from None
    return found
