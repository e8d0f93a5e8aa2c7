"""Kubernetes: the objects of a cluster, read from its API server.

Lists are read in pages (`limit` and `continue`), see "Kubernetes API concepts: retrieving large
results sets in chunks". Any resource that the server serves can be listed: a kind is written
`group/version/plural` (`apps/v1/deployments`), or `version/plural` for the core group.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from catalog.ingest.sources.defaults import BundledKind
from catalog.kernel.errors import InvalidInput, UpstreamError, shorten
from catalog.kernel.http import Client
from catalog.kernel.source import Connection, Page, ResourceKind
from catalog.kernel.yaml_reader import load_document

PAGE_SIZE: Final = 250

# Where a pod finds the credentials of its service account.
_POD_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_POD_SERVER = "https://kubernetes.default.svc"

_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # the whole object once more

_KIND = re.compile(
    r"\A(?:(?P<group>[a-z0-9][a-z0-9.-]*)/)?(?P<version>v[0-9]+(?:(?:alpha|beta)[0-9]+)?)"
    r"/(?P<plural>[a-z0-9-]+)\Z"
)

# In the default namespace the name alone, as the catalogue names things everywhere.
_NAME = (
    'if (.metadata.namespace // "default") == "default" then .metadata.name '
    'else .metadata.namespace + "/" + .metadata.name end'
)

_SELECTOR = {
    "namespaces": {
        "type": "array",
        "items": {"type": "string"},
        "title": "Only of these namespaces",
    },
    "labelSelector": {"type": "string", "title": "Label selector, like app=web,tier!=cache"},
    "fieldSelector": {"type": "string", "title": "Field selector, like status.phase=Running"},
}


def _resource(name: str, title: str, *aliases: str) -> ResourceKind:
    return ResourceKind(name, title, _NAME, aliases=aliases, selector=_SELECTOR)


@dataclass(frozen=True, slots=True)
class _Cluster:
    """How to reach an API server. certificate: (PEM, key PEM) of the client."""

    server: str
    token: str = field(default="", repr=False)
    authority: str = ""
    certificate: tuple[str, str] | None = field(default=None, repr=False)
    is_verified: bool = True


class Kubernetes(BundledKind):
    name = "kubernetes"
    title = "Kubernetes"
    icon = "Kubernetes"
    description = "Workloads, namespaces, nodes and any other objects of a cluster."
    settings_schema = {
        "type": "object",
        "properties": {
            "clusterName": {
                "type": "string",
                "title": "Name of the cluster",
                "description": "Mappings read it as env.CLUSTER_NAME.",
                "minLength": 1,
                "maxLength": 100,
            },
            "login": {
                "type": "string",
                "title": "Log-in",
                "enum": ["token", "kubeconfig", "in-cluster"],
                "default": "token",
                "description": "in-cluster: idp runs in this cluster and uses the service account "
                "of its own pod.",
            },
            "server": {
                "type": "string",
                "format": "url",
                "title": "Address of the API server",
                "description": "For the log-in by token.",
            },
            "token": {
                "type": "string",
                "title": "Token of a service account",
                "description": "It needs get and list, for what the mapping names.",
                "secret": True,
            },
            "certificateAuthority": {
                "type": "string",
                "format": "textarea",
                "title": "Certificate of the authority (PEM)",
                "description": "Of a cluster whose certificate public authorities did not sign.",
            },
            "kubeconfig": {
                "type": "string",
                "format": "textarea",
                "title": "kubeconfig (YAML)",
                "description": "With a token or a client certificate in it; programs that make "
                "tokens are not run.",
                "secret": True,
            },
            "context": {"type": "string", "title": "Context in the kubeconfig"},
        },
        "required": ["clusterName"],
        "additionalProperties": False,
    }
    resources = (
        _resource("v1/namespaces", "Namespaces", "namespace", "namespaces"),
        _resource("v1/nodes", "Nodes", "node", "nodes"),
        _resource("v1/services", "Services", "service", "services"),
        _resource("v1/pods", "Pods", "pod", "pods"),
        _resource("v1/configmaps", "Config maps", "configmap", "configmaps"),
        _resource("v1/persistentvolumeclaims", "Volume claims", "persistentvolumeclaims"),
        _resource("apps/v1/deployments", "Deployments", "deployment", "deployments"),
        _resource("apps/v1/statefulsets", "Stateful sets", "statefulset", "statefulsets"),
        _resource("apps/v1/daemonsets", "Daemon sets", "daemonset", "daemonsets"),
        _resource("apps/v1/replicasets", "Replica sets", "replicaset", "replicasets"),
        _resource("batch/v1/jobs", "Jobs", "job", "jobs"),
        _resource("batch/v1/cronjobs", "Cron jobs", "cronjob", "cronjobs"),
        _resource(
            "autoscaling/v2/horizontalpodautoscalers",
            "Autoscalers",
            "horizontalpodautoscaler",
            "horizontalpodautoscalers",
        ),
        _resource("networking.k8s.io/v1/ingresses", "Ingresses", "ingress", "ingresses"),
        _resource("argoproj.io/v1alpha1/applications", "Argo CD applications"),
        _resource("argoproj.io/v1alpha1/rollouts", "Argo rollouts"),
    )

    def resource(self, name: str) -> ResourceKind | None:
        known = super().resource(name)
        if known is None and _KIND.match(name):
            return _resource(name, name)
        return known

    def environment(self, settings: Mapping[str, Any]) -> Mapping[str, str]:
        return {"CLUSTER_NAME": settings["clusterName"]}

    def check(self, connection: Connection) -> Sequence[str]:
        client = _client(connection)
        version = client.get_json("/version")
        found = [f"The cluster runs Kubernetes {version.get('gitVersion', '?')}."]
        for resource in self.resources[:1]:
            page = client.get_json(_path(resource.name), params={"limit": 1})
            remaining = page.get("metadata", {}).get("remainingItemCount", 0)
            count = len(page.get("items") or []) + remaining
            found.append(f"{count} namespaces can be read.")
        return found

    def fetch(
        self,
        connection: Connection,
        resource: ResourceKind,
        selector: Mapping[str, Any],
        cursor: Any = None,
    ) -> Iterator[Page]:
        client = _client(connection)
        paths = [_path(resource.name, one) for one in selector.get("namespaces") or [""]]
        query = {
            key: selector[key] for key in ("labelSelector", "fieldSelector") if selector.get(key)
        }
        at = cursor or {"path": 0, "continue": ""}
        while at is not None:
            page = self._page(client, paths[at["path"]], query, at["continue"])
            if page is None:
                # The server forgets a list after some minutes. What was read is read again.
                connection.log("warning", f"The list of {resource.name} expired; starting it again")
                at = {**at, "continue": ""}
                continue
            metadata = page.get("metadata") or {}
            if token := metadata.get("continue"):
                at = {**at, "continue": token}
            elif at["path"] + 1 < len(paths):
                at = {"path": at["path"] + 1, "continue": ""}
            else:
                at = None
            yield Page([_item(one, page) for one in page.get("items") or []], at)

    def _page(
        self, client: Client, path: str, query: Mapping[str, str], token: str
    ) -> dict[str, Any] | None:
        """One page of a list; None when `token` has expired."""
        params = {**query, "limit": PAGE_SIZE, **({"continue": token} if token else {})}
        try:
            page = client.get_json(path, params=params)
        except UpstreamError as error:
            if token and error.details.get("status") == 410:
                return None
            raise
        if not isinstance(page, dict) or not isinstance(page.get("items") or [], list):
            raise UpstreamError(f"{path} did not answer with a list, but with {shorten(page)}")
        return page


def _path(kind: str, namespace: str = "") -> str:
    match = _KIND.match(kind)
    if match is None:
        raise InvalidInput(
            f"{shorten(kind)} is no Kubernetes resource; expected group/version/plural",
            details={"field": "kind", "value": kind, "expected": "like apps/v1/deployments"},
        )
    group, version, plural = match.group("group", "version", "plural")
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    return (
        f"{root}/namespaces/{quote(namespace, safe='')}/{plural}"
        if namespace
        else f"{root}/{plural}"
    )


def _item(item: dict[str, Any], page: Mapping[str, Any]) -> dict[str, Any]:
    """An object of a list: lists leave out its kind, and carry what nobody maps."""
    kind = str(page.get("kind", "")).removesuffix("List")
    whole = {"apiVersion": page.get("apiVersion"), "kind": kind, **item}
    metadata = whole.get("metadata")
    if isinstance(metadata, dict):
        whole["metadata"] = {k: v for k, v in metadata.items() if k != "managedFields"}
    if whole["kind"] == "Secret":  # the catalogue may know that it is there, not what it holds
        whole = {k: v for k, v in whole.items() if k not in ("data", "stringData")}
        if isinstance(metadata, dict) and isinstance(metadata.get("annotations"), dict):
            annotations = {k: v for k, v in metadata["annotations"].items() if k != _APPLIED}
            whole["metadata"] = {**whole["metadata"], "annotations": annotations}
    return whole


def _client(connection: Connection) -> Client:
    cluster = _cluster(connection.settings)
    return connection.http.with_(
        base_url=cluster.server,
        headers={"Authorization": f"Bearer {cluster.token}"} if cluster.token else {},
        verify=cluster.authority or cluster.is_verified,
        cert=cluster.certificate,
    )


def _cluster(settings: Mapping[str, Any]) -> _Cluster:
    """Raises InvalidInput where the settings do not say enough to log in."""
    login = settings.get("login", "token")
    if login == "in-cluster":
        return _of_this_pod()
    if login == "kubeconfig":
        return _of_kubeconfig(settings.get("kubeconfig") or "", settings.get("context") or "")
    for name in ("server", "token"):
        if not settings.get(name):
            raise _wrong(name, None, "a value, for the log-in by token")
    return _Cluster(
        settings["server"], settings["token"], settings.get("certificateAuthority") or ""
    )


def _of_this_pod() -> _Cluster:
    try:
        token = (_POD_FOLDER / "token").read_text().strip()
        authority = (_POD_FOLDER / "ca.crt").read_text()
    except OSError as error:
        raise _wrong(
            "login", "in-cluster", "a pod with a service account; this program runs in none"
        ) from error
    return _Cluster(_POD_SERVER, token, authority)


def _of_kubeconfig(text: str, context: str) -> _Cluster:
    """The cluster of a kubeconfig ("Organizing Cluster Access Using kubeconfig Files").

    Only what is in the text itself is used: no files, and no programs (`exec`), since whoever may
    add a source may not thereby run programs on this machine.
    """
    try:
        document = load_document(text, name="kubeconfig")
    except InvalidInput as error:  # its words might quote the secret
        raise _wrong("kubeconfig", None, "YAML") from error
    if not isinstance(document, dict):
        raise _wrong("kubeconfig", None, "a kubeconfig in YAML")
    chosen = context or document.get("current-context") or ""
    place = _named(document, "contexts", chosen, "context")
    cluster = _named(document, "clusters", place.get("cluster"), "cluster")
    user = _named(document, "users", place.get("user"), "user")
    for part in ("exec", "auth-provider", "tokenFile"):
        if part in user:
            raise _wrong("kubeconfig", part, "a token or a client certificate in the text itself")
    if not isinstance(cluster.get("server"), str):
        raise _wrong("kubeconfig", None, "the address of the server (cluster.server)")
    certificate = None
    if "client-certificate-data" in user:
        certificate = (_pem(user, "client-certificate-data"), _pem(user, "client-key-data"))
    if certificate is None and not user.get("token"):
        raise _wrong("kubeconfig", None, "token, or client-certificate-data and client-key-data")
    return _Cluster(
        cluster["server"],
        user.get("token") or "",
        _pem(cluster, "certificate-authority-data")
        if "certificate-authority-data" in cluster
        else "",
        certificate,
        is_verified=cluster.get("insecure-skip-tls-verify") is not True,
    )


def _named(document: Mapping[str, Any], group: str, name: object, part: str) -> dict[str, Any]:
    entries = document.get(group)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(part)
            if isinstance(found, dict):
                return found
    raise _wrong("kubeconfig", name, f"the name of one of its {group}")


def _pem(holder: Mapping[str, Any], key: str) -> str:
    try:
        return base64.b64decode(holder[key], validate=True).decode()
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise _wrong("kubeconfig", key, "a PEM in base64") from error


def _wrong(setting: str, value: object, expected: str) -> InvalidInput:
    return InvalidInput(
        f"{setting} {'is missing' if value is None else f'names {shorten(value)}'}; "
        f"expected {expected}",
        details={"field": f"settings.{setting}", "value": value, "expected": expected},
    )
