"""What does the work of runs: this app's backends and those of plugins register here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from actions.models import Run


@dataclass(frozen=True, slots=True)
class Invocation:
    """One attempt to do the work of a run.

    payload: the invocation method, filled in; inputs: of the run; both in clear. secrets: texts
    that must not be shown wherever they turn up. record: tells what was sent and answered (method,
    url, request_headers, request_body, status_code, response_headers, response_body, error); it is
    masked, cut and kept with this attempt. log: adds a line (message, level, step, step_status) to
    the run's log, masked. is_cancelled: whether somebody stopped the run meanwhile. extend: keeps
    others from taking the run over for another while; whatever takes minutes calls it.
    """

    run: Run
    payload: Mapping[str, Any]
    inputs: Mapping[str, Any]
    secrets: frozenset[str]
    record: Callable[..., None]
    log: Callable[..., None]
    is_cancelled: Callable[[], bool]
    extend: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt. status: "SUCCESS" or "FAILURE" ends the run; None leaves it open,
    for somebody else to report its end. output: of a template.
    """

    status: str | None = None
    summary: str | None = None
    status_label: str | None = None
    links: Sequence[str] = ()
    external_run_id: str | None = None
    response: Any = None
    output: Any = None


class Backend(Protocol):
    """A type of invocation method. schema: JSON Schema of the method, whose titles and
    descriptions the form of the admin shows.
    """

    type: str
    title: str
    description: str
    icon: str
    schema: Mapping[str, Any]

    def check(self, method: Mapping[str, Any]) -> None:
        """Raises InvalidInput for a method that could never work."""

    def agent_of(self, payload: Mapping[str, Any]) -> str:
        """Under which name an agent claims such runs; "" where a worker here does the work."""

    def invoke(self, invocation: Invocation) -> Outcome:
        """Do the work, outside of any transaction.

        It may be called again for the same run, when nobody knows whether the first time worked.
        Raises UpstreamUnavailable to be called again later, any other IdpError to fail the run.
        """


@runtime_checkable
class Completes(Protocol):
    """A backend that says by itself what its method leaves unsaid."""

    def completed(
        self, run: Run, payload: Mapping[str, Any], context: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The payload with what is missing, from the context of its templates; called once, as the
        payload is filled in."""


@runtime_checkable
class Watches(Protocol):
    """A backend that can ask how the work goes on elsewhere.

    It is asked `watch_every_s` after an attempt that left the run open, and then less and less
    often, until the run ends.
    """

    watch_every_s: int

    def watch(self, run: Run) -> Outcome | None:
        """What is new; None when nothing is. Raises UpstreamUnavailable to be asked again, any
        other IdpError to fail the run.
        """


backends: dict[str, Backend] = {}


def register_backend(backend: Backend) -> None:
    """Let actions use this type of invocation method. Raises ValueError when the name is taken."""
    if backend.type in backends:
        raise ValueError(f"An invocation backend is already called {backend.type!r}")
    backends[backend.type] = backend
