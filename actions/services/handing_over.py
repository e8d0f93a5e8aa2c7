"""A run on its way to what does the work: its payload is filled in, and it is put where a worker or
an agent finds it.

The payload is filled in once. It is kept as people may see it, and encrypted as it is sent, so that
each attempt sends the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any

from django.db import transaction
from django.utils import timezone

from actions.inputs import definition_of, expanded
from actions.models import Action, ActionVersion, Run, RunLog
from actions.registry import Backend, Completes, backends
from actions.selectors.entity_documents import document_of
from actions.selectors.runs import entity_of
from actions.services import signing, templating
from actions.services.states import move, time_limit, write_line
from catalog.kernel import crypto
from catalog.kernel.actors import Actor, Insider
from catalog.kernel.errors import IdpError, InvalidInput
from catalog.kernel.http.masking import mask
from catalog.kernel.json_text import texts_in

AGENT = "_PORT_EXEC_AGENT"  # the name under which an execution agent claims its runs
_FETCHED = "Waits for {name} to fetch it."


def hand_over(run: Run, *, by: Actor) -> None:
    """Put a run in progress where its work gets done; a payload that cannot be filled in fails it.

    The caller holds the run's row, saves it, and tells a worker when `run.due_at` is set.
    """
    run.expires_at = timezone.now() + time_limit(run)
    try:
        backend, payload = _filled_in(run)
    except IdpError as error:
        fail(run, str(error), by=by)
        return
    run.attempts = 0
    if name := "" if run.is_test else backend.agent_of(payload):  # an agent would do it
        run.is_pending, run.installation = True, name[:200]
        shown = "an execution agent" if name == AGENT else name
        write_line(run, _FETCHED.format(name=shown), by=by.name)
    else:
        run.due_at = timezone.now()


def fail(run: Run, why: str, *, by: Actor) -> None:
    """End a run whose row the caller holds."""
    move(run, Run.Status.FAILURE, summary=why)
    write_line(run, why, by=by.name, level=RunLog.Level.ERROR)


def opened(run: Run) -> dict[str, Any]:
    """{"inputs": the secret ones, "payload", "secrets": texts that nobody may see}, in clear.

    Raises SealingFailed.
    """
    empty: dict[str, Any] = {"inputs": {}, "payload": run.payload, "secrets": []}
    return {**empty, **crypto.open_(run.sealed)} if run.sealed else empty


def with_secrets(inputs: Mapping[str, Any], secrets: Mapping[str, Any]) -> dict[str, Any]:
    """`inputs` with each secret in its place, which its dotted path names ("database.password");
    one of its own, which has no place, stands beside them.
    """
    found: dict[str, Any] = deepcopy(dict(inputs))
    for path, value in secrets.items():
        holder, _, rest = path.partition(".")
        place: Any = found
        while rest and _has(place, holder):
            place = place[int(holder) if isinstance(place, list) else holder]
            holder, _, rest = rest.partition(".")
        if _has(place, holder) and not rest:
            place[int(holder) if isinstance(place, list) else holder] = value
        else:
            found[path] = value
    return found


def seal(run: Run, **parts: Any) -> None:
    """Keep what nobody may see; parts that hold nothing are left out."""
    kept = {name: value for name, value in parts.items() if value}
    run.sealed = crypto.seal(kept) if kept else None


def reseal_runs() -> int:
    """Seal anew what is not sealed with the server's first key, one run at a time; how many that
    were. Raises SealingFailed.
    """
    pks = Run.objects.filter(sealed__isnull=False).values_list("pk", flat=True)
    return sum(_reseal(pk) for pk in pks)


@transaction.atomic
def _reseal(pk: int) -> bool:
    run = Run.objects.select_for_update(of=("self",)).filter(pk=pk).first()
    if run is None or run.sealed is None or crypto.is_current(run.sealed):
        return False
    try:
        run.sealed = crypto.reseal(run.sealed)
    except crypto.SealingFailed as error:
        error.message = f"What run {run.identifier} keeps cannot be opened with this server's keys"
        raise
    run.save(update_fields=["sealed"])
    return True


def masked(value: Any, secrets: Collection[str]) -> Any:
    """`value` with the secrets hidden in its texts and keys."""
    if not secrets:
        return value
    if isinstance(value, str):
        return mask(value, secrets)
    if isinstance(value, Mapping):
        return {mask(str(key), secrets): masked(one, secrets) for key, one in value.items()}
    if isinstance(value, list):
        return [masked(one, secrets) for one in value]
    return value


def _filled_in(run: Run) -> tuple[Backend, dict[str, Any]]:
    action = run.action
    if action is None:
        raise InvalidInput("The action was deleted before the run began")
    method = _document(action, run.version)["invocationMethod"]
    backend = backends.get(method["type"])
    if backend is None:
        raise InvalidInput.of("invocationMethod.type", method["type"], _known())
    hidden = opened(run)["inputs"]
    sent = {name: signing.encrypt(value) for name, value in hidden.items()}
    context = templating.context_of(
        run,
        inputs=with_secrets(expanded(definition_of(action), run.properties, Insider()), sent),
        entity=_entity(run),
        event=run.event,
        action=action,
    )
    named = templating.secrets_named(templating.secret_names(method))
    payload, shown, made = templating.fill_in_and_hide(
        method, {**context, "secrets": named}, field="invocationMethod"
    )
    if isinstance(backend, Completes):
        payload = backend.completed(run, payload, context)
        shown = backend.completed(run, shown, context)
    typed = filter(None, texts_in(hidden))
    secrets = {*named.values(), *made, *typed, *templating.credentials_in(payload)}
    run.payload = masked(shown, secrets)
    seal(run, inputs=hidden, payload=payload if secrets else None, secrets=sorted(secrets))
    return backend, payload


def _document(action: Action, version: int) -> Mapping[str, Any]:
    """What the action said when the run was started."""
    document: Mapping[str, Any] = action.document
    if action.version != version:
        kept = ActionVersion.objects.filter(action=action, number=version).first()
        document = kept.document if kept else document
    return document


def _entity(run: Run) -> dict[str, Any] | None:
    """The entity as it is now, or as much as the run remembers of it."""
    if not run.entity or not run.blueprint:
        return None
    found = entity_of(run)
    document = document_of(found) if found else None
    if document is not None:
        return document
    return {
        "identifier": run.entity["identifier"],
        "title": run.entity.get("title"),
        "blueprint": run.blueprint["identifier"],
        "properties": {},
        "relations": {},
    }


def _has(holder: Any, key: str) -> bool:
    if isinstance(holder, list):
        return key.isdigit() and int(key) < len(holder)
    return isinstance(holder, dict) and key in holder


def _known() -> str:
    return f"one of {', '.join(sorted(backends))}"
