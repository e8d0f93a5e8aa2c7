"""What a run is going to do, in a sentence for whoever is about to start it: no secrets, no
templates, no query strings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import regex

from actions.models import Action
from actions.registry import backends

_TEMPLATE: Final = regex.compile(r"\{\{.*?\}\}", regex.DOTALL)
MAX_WORDS: Final = 120

Method = Mapping[str, Any]


def sentence_of(action: Action) -> str:
    """ "Calls https://ci.example.com/deploy"; "" where nothing is known of the type."""
    method = action.invocation
    kind = str(method.get("type", "")).replace("-", "_")
    if told := _SENTENCES.get(kind):
        return told(method)
    backend = backends.get(kind)
    return backend.description if backend else ""


def address_of(url: Any) -> str:
    """Scheme, host and path of an address whose parts may be templates."""
    shown = _plain(url)
    parts = urlsplit(shown) if "://" in shown else None
    if parts is None:
        return shown.partition("?")[0] or "an address that the inputs give"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _webhook(method: Method) -> str:
    address = address_of(method.get("url"))
    if method.get("agent") is True:
        return f"An agent inside your network calls {address}"
    waits = " and waits for its answer" if method.get("synchronized") is True else ""
    return f"Calls {address}{waits}"


def _github(method: Method) -> str:
    place = f"{_plain(method.get('org'))}/{_plain(method.get('repo'))}"
    return f"Starts the workflow {_plain(method.get('workflow'))} in {place} on GitHub"


def _gitlab(method: Method) -> str:
    place = f"{_plain(method.get('groupName'))}/{_plain(method.get('projectName'))}"
    branch = f", from {_plain(method['defaultRef'])}" if method.get("defaultRef") else ""
    return f"Starts a pipeline of {place} on GitLab{branch}"


def _azure(method: Method) -> str:
    hook, organisation = _plain(method.get("webhook")), _plain(method.get("org"))
    return f"Calls the service hook {hook} of {organisation} on Azure DevOps"


def _upsert(method: Method) -> str:
    return f"Creates or changes a {_plain(method.get('blueprintIdentifier'))} in the catalogue"


def _integration(method: Method) -> str:
    execution = method.get("integrationActionExecutionProperties") or {}
    what = _plain(method.get("integrationActionType")).replace("_", " ")
    if isinstance(execution, Mapping) and execution.get("workflow"):
        what += f" ({_plain(execution['workflow'])})"
    return f"Asks the integration {_plain(method.get('installationId'))} to {what}"


def _template(method: Method) -> str:
    return "Follows the steps of a software template"


def _kafka(_: Method) -> str:
    return "Puts a message on the queue of runs"


def _plain(value: Any) -> str:
    """A value with what is filled in later left open."""
    if value is None:
        return "…"
    text = _TEMPLATE.sub("…", str(value)).strip() or "…"
    return text if len(text) <= MAX_WORDS else f"{text[:MAX_WORDS]}…"


_SENTENCES: Final[Mapping[str, Callable[[Method], str]]] = {
    "WEBHOOK": _webhook,
    "GITHUB": _github,
    "GITLAB": _gitlab,
    "AZURE_DEVOPS": _azure,
    "UPSERT_ENTITY": _upsert,
    "INTEGRATION_ACTION": _integration,
    "TEMPLATE": _template,
    "KAFKA": _kafka,
}
