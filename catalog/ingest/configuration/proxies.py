"""`proxy` of Backstage: endpoints under `/api/proxy`, with their secrets by name."""

from __future__ import annotations

from typing import Final

from catalog.dialects.backstage.config import Entry
from catalog.ingest.configuration.report import Status
from catalog.ingest.configuration.taking import Taking
from catalog.kernel.errors import AddressRefused
from catalog.kernel.http import looks_secret
from catalog.models import ProxyEndpoint
from catalog.services import proxy

_OPTIONS: Final = ("endpoints", "skipInvalidProxies", "reviveConsumedRequestBodies")
_KNOWN: Final = (
    "target",
    "headers",
    "changeOrigin",
    "pathRewrite",
    "allowedMethods",
    "allowedHeaders",
    "credentials",
)


def take_proxies(taking: Taking, root: Entry) -> None:
    section = root.get("proxy")
    if section is None:
        return
    with taking.attempt(section):
        endpoints = section.get("endpoints")
        for key, entry in (endpoints or section).items():
            if endpoints is None and key in _OPTIONS:
                continue
            with taking.attempt(entry):
                _take(taking, key, entry)
        for key, entry in section.items():
            if key in _OPTIONS[1:]:
                taking.meaningless(
                    entry, "each endpoint stands by itself, and bodies are passed on"
                )
            elif endpoints is not None and key != "endpoints":
                taking.meaningless(entry, "the older form is not read beside proxy.endpoints")


def _take(taking: Taking, key: str, entry: Entry) -> None:
    if entry.node is None or (entry.value is None and not entry.missing):
        return
    target = entry if not entry.is_object else entry.get("target")
    if target is None:
        raise entry.refused("it has no target", expected="target")
    if target.missing:
        taking.left_out(entry, target)
        return
    path = proxy.clean_path(key, field=entry.key)
    address = target.text().strip()
    stated: proxy.Stated = {"path": path, "target": address}
    said = f"{path} is served under /api/proxy{path}"
    taking.taken(entry, said)
    if entry.is_object:
        _take_options(taking, entry, path, stated)
    known = ProxyEndpoint.objects.filter(path=path).first()
    try:
        if known is None:
            proxy.create_endpoint(actor=taking.actor, **stated)
        else:
            proxy.update_endpoint(known, actor=taking.actor, **stated)
    except AddressRefused as error:  # what an operator may open, not a fault of the file
        taking.note_all(entry, Status.UNSUPPORTED, f"left out: {error}")


def _take_options(taking: Taking, entry: Entry, path: str, stated: proxy.Stated) -> None:
    if headers := entry.get("headers"):
        values: dict[str, str] = {}
        for name, one in headers.items():
            if one.value is None and not one.missing:
                continue
            if one.variables or looks_secret(name):
                values[name] = taking.referred(one, f"PROXY{path}_{name}")
                words = taking.words_of(one) if one.variables else ", kept as a secret"
            else:
                values[name] = one.template
                words = ""
            taking.taken(one, f"header {name} of {path}{words}")
        stated["headers"] = values
    if origin := entry.get("changeOrigin"):
        stated["change_origin"] = origin.flag()
        taking.taken(origin, f"the host that {path} is asked for")
    if rewrite := entry.get("pathRewrite"):
        stated["path_rewrite"] = {pattern: one.text() for pattern, one in rewrite.items()}
        taking.taken(rewrite, f"how paths of {path} are rewritten")
    if methods := entry.get("allowedMethods"):
        stated["methods"] = methods.texts()
        taking.taken(methods, f"what may be asked of {path}")
    if allowed := entry.get("allowedHeaders"):
        stated["allowed_headers"] = allowed.texts()
        taking.taken(allowed, f"headers that callers of {path} may send on")
    if credentials := entry.get("credentials"):
        stated["credentials"] = credentials.text()
        taking.taken(credentials, f"who may call {path}")
    taking.unread_rest(entry, _KNOWN)
