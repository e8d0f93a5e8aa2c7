"""What GITHUB and GITLAB share: whose credentials start the work, and how one run is told apart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

from actions.models import Run
from actions.registry import Invocation
from actions.services.json_of_javascript import stringify
from catalog.ingest.connections import open_source
from catalog.kernel.errors import Conflict, IdpError, UpstreamError
from catalog.kernel.http import Client, Response
from catalog.kernel.source import Connection
from catalog.models import Integration

CLOCK_SKEW: Final = timedelta(seconds=30)


class Api(Protocol):
    @property
    def is_anonymous(self) -> bool: ...


_Api = TypeVar("_Api", bound=Api)


@contextmanager
def api_for(
    kind: str,
    vendor: str,
    name: str,
    *,
    make: Callable[[Connection], _Api],
    names: Callable[[_Api, str], bool],
    is_open: Callable[[_Api], bool],
) -> Iterator[_Api]:
    """The API of the enabled source that has credentials for the repository or project `name`.

    names: whether the settings of a source name it, or name none at all (`is_open`); such a source
    comes last. Raises Conflict where there is none; the error of a source that cannot be opened,
    where no other fits.
    """
    found: list[_Api] = []
    failure: IdpError | None = None
    sources = Integration.objects.filter(kind=kind, runs_here=True, is_enabled=True)
    with ExitStack() as stack:
        for integration in sources.order_by("identifier"):
            try:
                connection = open_source(integration, log=_ignore).connection
                stack.enter_context(connection.http)
                api = make(connection)
            except IdpError as error:
                failure = failure or error
                continue
            if not api.is_anonymous and names(api, name):
                found.append(api)
        if not found:
            raise failure or _nobody(vendor, name)
        yield min(found, key=is_open)


def _nobody(vendor: str, name: str) -> Conflict:
    return Conflict(
        f"No enabled {vendor} source has credentials for {name}",
        hint=f"Add a source of the kind {vendor} that names it, with a token that may write.",
        details={"resource": "Integration", "value": name},
    )


def post(
    client: Client,
    path: str,
    document: Mapping[str, Any],
    *,
    expect: Collection[int],
    invocation: Invocation,
) -> Response:
    """Ask for the work to be started, once, and keep what was asked and answered."""
    invocation.extend()
    invocation.record(
        method="POST",
        url=f"{client.base_url}/{path}",
        request_headers={"content-type": "application/json"},
        request_body=stringify(document),
    )
    try:
        response = client.post(path, json=document, expect=expect)
    except UpstreamError as error:
        if isinstance(status := error.details.get("status"), int):
            invocation.record(status_code=status, response_body=error.message)
        raise
    invocation.record(status_code=response.status, response_body=response.text)
    return response


def begun_at(run: Run) -> datetime:
    """Since when what was started for the run may be there, by a clock that is not ours."""
    tried = run.deliveries.order_by("-number")[: max(1, run.attempts)]
    return min((one.started_at for one in tried), default=run.created_at) - CLOCK_SKEW


def untaken(candidates: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those, oldest first, that no run is known to have started."""
    found = sorted(candidates, key=lambda one: (str(one.get("created_at")), int(one["id"])))
    names = [str(one["id"]) for one in found]
    taken = set(
        Run.objects.filter(external_run_id__in=names).values_list("external_run_id", flat=True)
    )
    return [one for one in found if str(one["id"]) not in taken]


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else stringify(value)


def _ignore(level: str, message: str) -> None:
    """A source's remarks are for its own log."""
