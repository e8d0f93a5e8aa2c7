"""Kubernetes against real objects, served in list form."""

import base64
import json

import pytest
import yaml

from catalog.ingest.sources.kubernetes import Kubernetes
from catalog.kernel.errors import (
    InvalidInput,
    UpstreamError,
    UpstreamNotFound,
    UpstreamRefused,
    UpstreamUnavailable,
)
from catalog.kernel.http import Client
from catalog.kernel.source import Connection
from tests.vendors import Answer, failing

kind = Kubernetes()
DEPLOYMENTS = "/apis/apps/v1/deployments"


def connect(url, log=lambda level, message: None, **settings):
    given = {"clusterName": "demo", "server": url, "token": "t1", **settings}
    return Connection(given, Client(), log)


def listed(connection, name, selector=None, cursor=None):
    resource = kind.resource(name)
    return [
        item
        for page in kind.fetch(connection, resource, selector or {}, cursor)
        for item in page.items
    ]


def objects(count, **rest):
    return [
        {"metadata": {"name": f"o{number}", "namespace": "shop"}, **rest} for number in range(count)
    ]


def in_pages(vendor, path, items, list_kind="DeploymentList", size=2):
    """The API server's lists: `limit` and `continue`; apiVersion and kind stand on the list."""

    @vendor.route(path)
    def _(call):
        start = int(call.query.get("continue") or 0)
        end = start + size
        metadata = {"continue": str(end)} if end < len(items) else {}
        version = path.removeprefix("/apis/").removeprefix("/api/").rpartition("/")[0]
        return {
            "kind": list_kind,
            "apiVersion": version,
            "metadata": metadata,
            "items": items[start:end],
        }


def test_lists_are_read_to_their_end_and_name_the_kind_of_each_object(vendor):
    vendor.require("authorization", "Bearer t1")
    in_pages(vendor, DEPLOYMENTS, objects(5))
    found = listed(connect(vendor.url), "deployment")
    assert [one["metadata"]["name"] for one in found] == ["o0", "o1", "o2", "o3", "o4"]
    assert {(one["apiVersion"], one["kind"]) for one in found} == {("apps/v1", "Deployment")}
    assert len(vendor.calls) == 3


def test_a_list_goes_on_where_a_cursor_stands(vendor):
    in_pages(vendor, DEPLOYMENTS, objects(5))
    pages = list(kind.fetch(connect(vendor.url), kind.resource("deployment"), {}))
    rest = listed(connect(vendor.url), "deployment", cursor=pages[1].next)
    assert [one["metadata"]["name"] for one in rest] == ["o4"]
    assert pages[-1].next is None


def test_namespaces_and_selectors_narrow_the_list(vendor):
    for namespace in ("a", "b"):
        in_pages(vendor, f"/api/v1/namespaces/{namespace}/pods", objects(1), "PodList")
    found = listed(
        connect(vendor.url), "v1/pods", {"namespaces": ["a", "b"], "labelSelector": "app=web"}
    )
    assert len(found) == 2
    assert {call.query["labelSelector"] for call in vendor.calls} == {"app=web"}


def test_an_expired_list_is_read_again(vendor):
    in_pages(vendor, DEPLOYMENTS, objects(3))
    vendor.trouble(DEPLOYMENTS, Answer(410, b'{"reason": "Expired"}'), when={"continue": "2"})
    said = []
    found = listed(connect(vendor.url, lambda *line: said.append(line)), "deployment")
    assert [one["metadata"]["name"] for one in found] == ["o0", "o1", "o0", "o1", "o2"]
    assert said == [("warning", "The list of apps/v1/deployments expired; starting it again")]


def test_a_page_that_cannot_be_read_is_no_end_of_the_list(vendor):
    in_pages(vendor, DEPLOYMENTS, objects(6))
    vendor.trouble(DEPLOYMENTS, failing(), when={"continue": "4"}, times=99)
    pages = kind.fetch(connect(vendor.url), kind.resource("deployment"), {})
    assert [len(next(pages).items), len(next(pages).items)] == [2, 2]
    with pytest.raises(UpstreamUnavailable):
        next(pages)


def test_a_resource_that_is_not_served_is_no_empty_list(vendor):
    with pytest.raises(UpstreamNotFound):
        listed(connect(vendor.url), "argoproj.io/v1alpha1/applications")


def test_what_secrets_hold_and_managed_fields_are_left_out(vendor):
    secret = {
        "metadata": {"name": "db", "managedFields": [{"manager": "kubectl"}]},
        "data": {"password": "aHVudGVyMg=="},
    }
    in_pages(vendor, "/api/v1/secrets", [secret], "SecretList")
    [item] = listed(connect(vendor.url), "v1/secrets")
    assert item == {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}}


def test_it_says_what_it_can_see(vendor):
    vendor.json("/version", {"gitVersion": "v1.34.1"})
    metadata = {"remainingItemCount": 11, "continue": "x"}
    vendor.json("/api/v1/namespaces", {"metadata": metadata, "items": objects(1)})
    assert kind.check(connect(vendor.url)) == [
        "The cluster runs Kubernetes v1.34.1.",
        "12 namespaces can be read.",
    ]


def test_a_refused_token_is_told(vendor):
    vendor.require("authorization", "Bearer t2")
    with pytest.raises(UpstreamRefused):
        kind.check(connect(vendor.url))


@pytest.mark.parametrize("name", ["apps/v1/../secrets", "deployments/", "v1", "APPS/v1/x", ""])
def test_names_that_are_no_resources_are_not_known(name):
    assert kind.resource(name) is None


def kubeconfig(url, **user):
    return yaml.safe_dump(
        {
            "current-context": "main",
            "contexts": [{"name": "main", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": user}],
        }
    )


def test_a_kubeconfig_with_a_token_logs_in(vendor):
    vendor.require("authorization", "Bearer t1")
    in_pages(vendor, DEPLOYMENTS, objects(1))
    connection = connect("", login="kubeconfig", kubeconfig=kubeconfig(vendor.url, token="t1"))
    assert len(listed(connection, "deployment")) == 1


@pytest.mark.parametrize(
    ("_case", "text", "reason"),
    [
        ("programs", kubeconfig("https://k.example.com", exec={"command": "sh"}), "names exec"),
        ("files", kubeconfig("https://k.example.com", tokenFile="/etc/x"), "names tokenFile"),
        ("nothing", kubeconfig("https://k.example.com"), "token, or client-certificate-data"),
        ("no context", "current-context: other", "names other"),
        ("no YAML", "a: [", "expected YAML"),
        (
            "no PEM",
            kubeconfig("https://k.example.com", **{"client-certificate-data": "!"}),
            "a PEM in base64",
        ),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_says_why(_case, text, reason):
    connection = connect("", login="kubeconfig", kubeconfig=text)
    with pytest.raises(InvalidInput, match=reason) as raised:
        listed(connection, "deployment")
    assert raised.value.details["field"] == "settings.kubeconfig"


def test_a_client_certificate_is_read_from_the_kubeconfig():
    pem = base64.b64encode(b"no certificate").decode()
    text = kubeconfig(
        "https://k.example.com", **{"client-certificate-data": pem, "client-key-data": pem}
    )
    with pytest.raises(InvalidInput):
        listed(connect("", login="kubeconfig", kubeconfig=text), "deployment")


def test_outside_a_cluster_there_is_no_log_in_by_pod():
    with pytest.raises(InvalidInput, match="this program runs in none"):
        listed(connect("", login="in-cluster"), "deployment")


def test_real_objects_of_a_cluster_come_through_whole(vendor, test_data):
    answers = json.loads(
        (test_data / "kubernetes" / "cluster-responses" / "1-deployments.json").read_text()
    )
    in_pages(vendor, DEPLOYMENTS, answers["deployments"])
    found = listed(connect(vendor.url), "deployment")
    assert len(found) == len(answers["deployments"])
    assert found[0]["spec"] == answers["deployments"][0]["spec"]


def test_a_list_that_is_none_is_told(vendor):
    vendor.json(DEPLOYMENTS, ["surprise"])
    with pytest.raises(UpstreamError, match="did not answer with a list"):
        listed(connect(vendor.url), "deployment")
