"""`kubernetes` of Backstage: clusters become sources that read them."""

from __future__ import annotations

import base64
import binascii
import os
from typing import Any, Final
from urllib.parse import urlsplit

from catalog.dialects.backstage.config import Entry
from catalog.ingest.configuration.report import Status
from catalog.ingest.configuration.taking import UNREAD, Taking, identifier_of
from catalog.services import catalog_settings

SCHEDULE: Final = "every 15m"

_TYPES: Final = {
    "catalog": "clusters are not read from Resource entities; add a Kubernetes source for each",
    "gke": "add a Kubernetes source for each cluster, with the token of a service account",
    "localKubectlProxy": "add a Kubernetes source with a kubeconfig",
}
_TAKEN: Final = ("url", "name", "title", "serviceAccountToken", "caData", "authProvider")


def take_clusters(taking: Taking, root: Entry) -> None:
    kubernetes = root.get("kubernetes")
    if kubernetes is None:
        return
    if method := kubernetes.get("serviceLocatorMethod"):
        with taking.attempt(method):
            _take_method(taking, method)
    if methods := kubernetes.get("clusterLocatorMethods"):
        with taking.attempt(methods):
            for one in methods.elements():
                with taking.attempt(one):
                    _take_locator(taking, one)
    for name, status, words in (
        ("customResources", Status.UNSUPPORTED, "name them in the mapping of the source"),
        ("objectTypes", Status.UNSUPPORTED, "the mapping of the source says what is read"),
        ("apiVersionOverrides", Status.UNSUPPORTED, "the mapping of the source names versions"),
        ("clusterLocatorContinueOnError", Status.MEANINGLESS, "each cluster syncs by itself"),
        ("frontend", Status.UNSUPPORTED, "pods are not deleted from here"),
        ("proxy", Status.UNSUPPORTED, "the API of a cluster is not served here"),
    ):
        if entry := kubernetes.get(name):
            taking.note(entry, status, words)


def in_pod() -> bool:
    """Whether this program runs in a cluster."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def in_cluster(taking: Taking, name: str, *, identifier: str) -> str:
    """A source that reads the cluster which this program runs in; off where it runs in none.

    Returns its identifier.
    """
    is_known = taking.has_source(identifier, "kubernetes")
    row = taking.source(
        identifier,
        "kubernetes",
        title=f"Kubernetes: {name}",
        settings={"clusterName": name, "login": "in-cluster"},
        schedule=SCHEDULE,
        is_enabled=None if is_known else in_pod(),
        with_blueprints=True,
    )
    return row.identifier


def _take_method(taking: Taking, entry: Entry) -> None:
    """`{type: multiTenant}`, or the word alone."""
    said = entry if not entry.is_object else entry.get("type")
    if said is None:
        raise entry.refused("it has no type", expected="an object with type")
    current = catalog_settings.current().kubernetes
    catalog_settings.update(
        actor=taking.actor, kubernetes={**current, "serviceLocatorMethod": said.text()}
    )
    taking.taken(said, "how clusters are matched to entities")


def _take_locator(taking: Taking, entry: Entry) -> None:
    if config_map := entry.get("configMap"):
        name = config_map.get("name")
        if name is None:
            raise config_map.refused("it has no name", expected="the name of a ConfigMap")
        identifier = in_cluster(
            taking, name.text(), identifier=identifier_of("kubernetes", name.text())
        )
        off = "" if in_pod() else "; it is off, since this program runs in no pod"
        taking.partly(
            config_map,
            f"source {identifier} reads the cluster that it runs in, with the service account of "
            f"its own pod: a ConfigMap holds no credentials{off}",
        )
        return
    kind = entry.get("type")
    if kind is None:
        raise entry.refused("it has no type", expected="type config, with clusters")
    if kind.text() != "config":
        taking.unsupported(
            entry, _TYPES.get(kind.text(), "only clusters of the type config are taken over")
        )
        return
    taking.taken(kind, "each cluster is a source")
    if clusters := entry.get("clusters"):
        for one in clusters.elements():
            with taking.attempt(one):
                _take_cluster(taking, one)


def _take_cluster(taking: Taking, entry: Entry) -> None:
    url, name = entry.get("url"), entry.get("name")
    if url is None or name is None:
        raise entry.refused("it has no url or no name", expected="url and name")
    if url.missing or name.missing:
        taking.left_out(entry, url, name)
        return
    identifier = identifier_of("kubernetes", name.text())
    said = f"source {identifier}"
    provider = entry.get("authProvider")
    token = entry.get("serviceAccountToken")
    if token is None and (urlsplit(url.text()).hostname or "").startswith("kubernetes.default"):
        in_cluster(taking, name.text(), identifier=identifier)
        taking.taken(entry, f"{said} reads the cluster that it runs in")
        return
    settings: dict[str, Any] = {
        "clusterName": name.text(),
        "login": "token",
        "server": url.text(),
    }
    for one in (url, name):
        taking.taken(one, said)
    if token:
        settings["token"] = taking.sealed(token)
        taking.taken(token, f"token of {said}{taking.words_of(token)}")
    if authority := entry.get("caData"):
        settings["certificateAuthority"] = _pem(authority)
        taking.taken(authority, f"certificate of the authority of {said}")
    if title := entry.get("title"):
        taking.taken(title, f"title of {said}")
    if provider:
        if provider.text() == "serviceAccount":
            taking.taken(provider, f"{said} logs in with a token")
        else:
            taking.partly(provider, f"{said} needs the token of a service account")
    elif token is None:
        taking.partly(url, f"{said} needs the token of a service account")
    for key, status, words in (
        ("skipTLSVerify", Status.UNSUPPORTED, "certificates are always checked; give caData"),
        ("caFile", Status.UNSUPPORTED, f"enter the certificate in {said}"),
        ("skipMetricsLookup", Status.MEANINGLESS, "metrics are those of a Prometheus source"),
        ("customResources", Status.UNSUPPORTED, f"name them in the mapping of {said}"),
    ):
        if other := entry.get(key):
            taking.note(other, status, words)
    for key, one in entry.items():
        if key not in _TAKEN and taking.note_of(one.path) is None:
            taking.unsupported(one, UNREAD)
    taking.source(
        identifier,
        "kubernetes",
        title=title.text() if title else f"Kubernetes: {name.text()}",
        settings=settings,
        schedule=SCHEDULE,
        is_enabled=None if token or taking.has_source(identifier, "kubernetes") else False,
        with_blueprints=True,
    )


def _pem(entry: Entry) -> str:
    """A certificate, which configuration holds in base64. Raises InvalidInput."""
    text = "".join(entry.text().split())
    try:
        return base64.b64decode(text, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise entry.refused("it is not a PEM in base64", expected="a PEM in base64") from None
