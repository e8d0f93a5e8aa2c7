"""Runs the steps of a template, one after the other, and gives what they made."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
from django.utils import timezone

from actions.scaffolder.expressions import is_truthy
from actions.scaffolder.origin import Origin
from actions.scaffolder.registry import (
    ActionContext,
    TemplateAction,
    get_template_action,
)
from actions.scaffolder.task import Cancelled, Reporter, Result, Task
from actions.scaffolder.template import Step
from actions.scaffolder.templating import render, render_condition
from actions.scaffolder.workspace import Workspace
from catalog.kernel.errors import (
    IdpError,
    InvalidInput,
    LimitExceeded,
    UpstreamUnavailable,
    shorten,
)
from catalog.kernel.http.masking import HIDDEN, mask
from catalog.kernel.schema import check_json
from catalog.selectors.documents import timestamp

MAX_EACH: Final = 1_000
MAX_INPUT: Final = 20_000_000  # characters of a step's, all turns of `each` together
MAX_LINES: Final = 5_000  # of the log, by actions
MAX_SAID: Final = 4_000_000  # characters of these
MAX_HIDDEN: Final = 5_000  # texts that no line may show
MAX_OUTPUT_BYTES: Final = 2 * 1024 * 1024

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f]")  # by browsers, in an address

PROCESSING, COMPLETED, FAILED = "processing", "completed", "failed"
SKIPPED, CANCELLED = "skipped", "cancelled"


class Runner:
    """One run in one workspace."""

    def __init__(
        self, task: Task, *, workspace: Workspace, origin: Origin, reporter: Reporter
    ) -> None:
        self._task = task
        self._workspace = workspace
        self._origin = origin
        self._reporter = reporter
        self._hidden = set(task.hidden) | {one for one in task.secrets.values() if one}
        self._deadline = time.monotonic() + task.wall_clock_s
        self._outputs: dict[str, dict[str, Any]] = {}
        self._lines = self._characters = 0
        self._failure: tuple[str, IdpError] | None = None
        self._records: list[dict[str, Any]] = [
            {"id": step.id, "name": step.name, "action": step.action, "status": "open"}
            for step in task.template.steps
        ]

    def run(self) -> Result:
        """Raises Cancelled; UpstreamUnavailable where nothing has been changed outside, so that
        it may be tried again as a whole."""
        result = self._run()
        result.hidden = frozenset(self._hidden)
        return result

    def _run(self) -> Result:
        steps = self._task.template.steps
        self._log(f"Starting up task with {len(steps)} steps")
        self._reporter.steps(self._records)
        try:
            self._check_actions()
        except IdpError as error:
            self._log(str(error), level="ERROR")
            return Result(error=error)
        try:
            for number, step in enumerate(steps):
                self._check_in(step.id)
                self._run_step(step, self._records[number])
        except LimitExceeded as error:  # no time is left, not even to clean up
            self._log(str(error), level="ERROR")
            return Result(outputs=self._outputs, error=error)
        if self._failure:
            name, failure = self._failure
            return Result(outputs=self._outputs, error=failure, failed_step=name)
        try:
            return Result(self._output(), self._outputs)
        except IdpError as error:
            self._log(f"The output cannot be worked out: {error}", level="ERROR")
            return Result(outputs=self._outputs, error=error)

    def keep(self, name: str, folder: str = "") -> str:
        """Keep what is in the workspace now. See `Reporter.keep`."""
        return self._reporter.keep(self._workspace, name, folder, self._hidden)

    # --- steps --------------------------------------------------------------------------------

    def _check_actions(self) -> None:
        """Before anything is done: a step that is sure to fail should not leave half a work."""
        for step in self._task.template.steps:
            if step.condition is None:
                get_template_action(step.action)

    def _run_step(self, step: Step, record: dict[str, Any]) -> None:
        if self._failure and not step.runs_after_failure:
            self._tell(record, SKIPPED, f"Skipping step {step.id} because a previous step failed")
            return
        record["startedAt"] = timestamp(timezone.now())
        self._tell(record, PROCESSING, f"Beginning step {step.name}")
        try:
            if step.each is None and not self._is_wanted(step, {}):
                self._skip(step, record)
                return
            action = get_template_action(step.action)
            if self._is_left_out(action, step, record):
                return
            self._outputs[step.id] = self._perform(action, step, record)
        except Cancelled:
            self._tell(record, CANCELLED, f"Step {step.id} has been cancelled.")
            raise
        except IdpError as error:
            if isinstance(error, UpstreamUnavailable) and self._may_start_over():
                self._tell(record, FAILED, str(error), level="WARNING")
                raise
            self._failure = self._failure or (step.name, error)
            self._tell(record, FAILED, str(error), level="ERROR")
            return
        except Exception:
            self._tell(record, FAILED, "The server failed at it; its log says why.", level="ERROR")
            raise
        self._tell(record, COMPLETED, f"Finished step {step.name}")

    def _skip(self, step: Step, record: dict[str, Any]) -> None:
        self._tell(record, SKIPPED, f"Skipping step {step.id} because its if condition was false")

    def _is_left_out(self, action: TemplateAction, step: Step, record: dict[str, Any]) -> bool:
        """Whether a dry run leaves it out, with outputs made up."""
        if not self._task.is_dry_run:
            return False
        shown = self._render(step.input, secrets=dict.fromkeys(self._task.secrets, HIDDEN))
        self._log(
            f"Running {action.id} in dry-run mode with inputs (secrets redacted): {_json(shown)}",
            step=step.id,
        )
        if action.supports_dry_run:
            return False
        if step.each is None:
            action.check(shown, action.id)
        self._outputs[step.id] = example_of(action.output) if action.output else {}
        self._tell(record, SKIPPED, f"Skipping because {action.id} does not support dry-run")
        return True

    def _perform(
        self, action: TemplateAction, step: Step, record: dict[str, Any]
    ) -> dict[str, Any]:
        """The output of a step; with `each`, of each of its outputs a list."""
        calls: list[tuple[dict[str, Any], dict[str, Any] | None]] = []
        size = 0
        for each in self._iterations(step):
            self._check_in(step.id)
            if step.each is not None and not self._is_wanted(step, each):
                calls.append((each, None))
                continue
            rendered = self._input(step, each)
            key = f"[{each['each']['key']}]" if each else ""
            size += len(_json(rendered))
            if size > MAX_INPUT:
                raise LimitExceeded(f"The input has more than {MAX_INPUT:,} characters")
            action.check(rendered, f"{action.id}{key}")
            calls.append((each, rendered))
        if not action.supports_dry_run:
            record["isLasting"] = True
            self._reporter.steps(self._records)
        found: dict[str, Any] = {}
        for each, given in calls:
            self._check_in(step.id)
            if each:
                word = "Skipping" if given is None else "Running"
                self._say(f"{word} step each: {shorten(_json(each['each']), 500)}", step)
            if given is not None:
                self._add(found, self._call(action, step, given), is_list=bool(each))
        self._drop_strays(step)
        return found

    def _call(
        self, action: TemplateAction, step: Step, given: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        def log(message: str, level: str = "INFO") -> None:
            self._say(message, step, level=level)

        context = ActionContext(
            input=given,
            workspace=self._workspace,
            origin=self._origin,
            log=log,
            check_in=lambda: self._check_in(step.id),
            keep=self.keep,
            run=self._task.id,
            template=self._task.template.ref,
            actor=self._task.actor,
            principal=self._task.principal,
            is_dry_run=self._task.is_dry_run,
        )
        return action.run(context) or {}

    def _add(self, found: dict[str, Any], output: Mapping[str, Any], *, is_list: bool) -> None:
        for name, value in output.items():
            if is_list:
                found.setdefault(name, []).append(value)
            else:
                found[name] = value
        _check_output(found)

    def _drop_strays(self, step: Step) -> None:
        for path in self._workspace.check():
            self._log(f"{path} was left out: it leads out", step=step.id, level="WARNING")

    def _iterations(self, step: Step) -> Iterator[dict[str, Any]]:
        """What `each` is in each turn; once nothing for a step that is not repeated."""
        if step.each is None:
            yield {}
            return
        values = self._render(step.each, secrets=self._task.secrets)
        if isinstance(values, Mapping):
            pairs = [(key, value) for key, value in values.items()]
        elif isinstance(values, list):
            pairs = [(str(key), value) for key, value in enumerate(values)]
        else:
            raise InvalidInput(
                f'Invalid value on action {step.action}.each parameter, "{step.each}" cannot be '
                "resolved to a value"
            )
        if len(pairs) > MAX_EACH:
            raise LimitExceeded(f"each gives {len(pairs):,} turns; expected at most {MAX_EACH:,}")
        for key, value in pairs:
            yield {"each": {"key": key, "value": value}}

    def _is_wanted(self, step: Step, each: Mapping[str, Any]) -> bool:
        if step.condition is None or isinstance(step.condition, bool):
            return step.condition is not False
        problems: list[str] = []
        found = render_condition(
            step.condition,
            {**self._context(), **each},
            problems,
            is_failing=self._failure is not None,
        )
        self._warn(problems, step, "if")
        return is_truthy(found)

    def _input(self, step: Step, each: Mapping[str, Any]) -> dict[str, Any]:
        problems: list[str] = []
        given: dict[str, Any] = self._render(
            step.input, each, secrets=self._task.secrets, problems=problems
        )
        if self._task.secrets and "secrets" in _json(step.input):
            # What secrets have become part of may not be shown either.
            plain = self._render(step.input, each, secrets={})
            self._hidden |= set(_differing(given, plain))
            if len(self._hidden) > MAX_HIDDEN:
                raise LimitExceeded(f"Secrets stand in more than {MAX_HIDDEN:,} values")
        self._warn(problems, step, "input")
        return given

    def _warn(self, problems: Sequence[str], step: Step, part: str) -> None:
        for problem in problems:
            self._log(f"{part}: {problem}", step=step.id, level="WARNING")

    # --- rendering ----------------------------------------------------------------------------

    def _render(
        self,
        value: Any,
        each: Mapping[str, Any] | None = None,
        *,
        secrets: Mapping[str, str],
        problems: list[str] | None = None,
    ) -> Any:
        context = {**self._context(), **(each or {}), "secrets": dict(secrets)}
        return render(value, context, [] if problems is None else problems)

    def _context(self) -> dict[str, Any]:
        return {
            "parameters": self._task.parameters,
            "steps": {name: {"output": output} for name, output in self._outputs.items()},
            "environment": {"parameters": {}, "secrets": {}},
            "user": self._task.user,
            "context": {"task": {"id": self._task.id}},
        }

    def _output(self) -> dict[str, Any]:
        """What the template gives: links and texts whose `if` does not hold are left out."""
        said = self._task.template.output
        found: dict[str, Any] = self._render(said, secrets={})
        for name in ("links", "text"):
            if isinstance(found.get(name), list):
                found[name] = [_harmless(one) for one in _shown(found[name], said[name])]
        _check_output(found)
        return found

    # --- telling ------------------------------------------------------------------------------

    def _tell(
        self, record: dict[str, Any], status: str, message: str, *, level: str = "INFO"
    ) -> None:
        record["status"] = status
        if status != PROCESSING:
            record["endedAt"] = timestamp(timezone.now())
        self._reporter.steps(self._records)
        self._log(message, step=record["id"], status=status, level=level)

    def _say(self, message: str, step: Step, *, level: str = "INFO") -> None:
        """A line of an action. Raises LimitExceeded."""
        self._lines += 1
        self._characters += len(message)
        if self._lines > MAX_LINES or self._characters > MAX_SAID:
            raise LimitExceeded(
                f"The log has more than {MAX_LINES:,} lines, or {MAX_SAID:,} characters"
            )
        self._log(message, step=step.id, level=level)

    def _log(self, message: str, *, step: str = "", status: str = "", level: str = "INFO") -> None:
        self._reporter.log(mask(message, self._hidden), level=level, step=step, step_status=status)

    def _check_in(self, step: str) -> None:
        if time.monotonic() > self._deadline:
            raise LimitExceeded(
                f"The run took longer than {self._task.wall_clock_s:g} s and was stopped",
                details={"step": step},
            )
        if self._reporter.is_cancelled():
            raise Cancelled

    def _may_start_over(self) -> bool:
        """Whether nothing has been begun that outlasts the workspace, or waits to clean up."""
        return not (
            self._task.is_dry_run
            or self._failure
            or any(one.get("isLasting") for one in self._records)
            or any(step.runs_after_failure for step in self._task.template.steps)
        )


def _shown(rendered: Sequence[Any], said: Any) -> Iterator[dict[str, Any]]:
    """Those that have no `if`, or one that holds; one that came out undefined does not."""
    conditional = [
        isinstance(one, Mapping) and "if" in one for one in (said if isinstance(said, list) else ())
    ]
    for number, one in enumerate(rendered):
        if not isinstance(one, Mapping):
            continue
        is_asked = "if" in one or (number < len(conditional) and conditional[number])
        if not is_asked or is_truthy(one.get("if")):
            yield {key: value for key, value in one.items() if key != "if"}


def _harmless(link: dict[str, Any]) -> dict[str, Any]:
    """Without a `url` that is a program (javascript:) and no path or address."""
    scheme = _SCHEME.match(_UNSEEN.sub("", str(link.get("url", ""))))
    if scheme is None or scheme[1].lower() in ("http", "https", "mailto"):
        return link
    return {key: value for key, value in link.items() if key != "url"}


def example_of(schema: Mapping[str, Any]) -> Any:
    """A value that a schema might mean."""
    if schema.get("examples"):
        return schema["examples"][0]
    match schema.get("type"):
        case "object":
            properties = schema.get("properties") or {}
            return {name: example_of(one) for name, one in properties.items()}
        case "array":
            return [example_of(schema["items"])] if schema.get("items") else []
        case "string":
            return "<example>"
        case "number" | "integer":
            return 0
        case "boolean":
            return False
        case _:
            return "<unknown>"


def _differing(given: Any, plain: Any) -> Iterator[str]:
    """The texts of `given` that are not the same in `plain`."""
    if isinstance(given, str):
        if given != plain:
            yield given
    elif isinstance(given, Mapping):
        other = plain if isinstance(plain, Mapping) else {}
        for key, value in given.items():
            yield from _differing(value, other.get(key))
    elif isinstance(given, list):
        others = plain if isinstance(plain, list) else []
        for number, value in enumerate(given):
            yield from _differing(value, others[number] if number < len(others) else None)


def _check_output(found: Mapping[str, Any]) -> None:
    check_json(found)
    if len(orjson.dumps(found)) > MAX_OUTPUT_BYTES:
        raise LimitExceeded(f"An output has more than {MAX_OUTPUT_BYTES:,} bytes")


def _json(value: Any) -> str:
    """For the log; whatever the engine's values are."""
    return json.dumps(value, ensure_ascii=False, default=str)
