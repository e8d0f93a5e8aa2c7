"""The tab "Kubernetes": what runs of an entity in the synced clusters, and what is wrong."""

import json
import re
from datetime import UTC, datetime

import pytest
import yaml

from catalog.ingest.integrations import create_source
from catalog.kernel.errors import InvalidInput
from catalog.models import Blueprint, Entity
from catalog.selectors.label_selector import parse_selector
from catalog.services import catalog_settings
from tests.catalog.ingest.toy import sync
from tests.factories import ACTOR, make_blueprint, make_entity

pytestmark = pytest.mark.django_db

ID = "backstage.io/kubernetes-id"
PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Pod": "/api/v1/pods",
    "Service": "/api/v1/services",
    "ConfigMap": "/api/v1/configmaps",
    "Deployment": "/apis/apps/v1/deployments",
    "StatefulSet": "/apis/apps/v1/statefulsets",
    "DaemonSet": "/apis/apps/v1/daemonsets",
    "ReplicaSet": "/apis/apps/v1/replicasets",
    "Job": "/apis/batch/v1/jobs",
    "CronJob": "/apis/batch/v1/cronjobs",
    "Ingress": "/apis/networking.k8s.io/v1/ingresses",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/horizontalpodautoscalers",
}


def thing(kind, name, *, labels=None, owner="", namespace="shop", spec=None, status=None):
    return {
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-of-{name}",
            "labels": labels or {},
            "ownerReferences": [{"uid": f"uid-of-{owner}"}] if owner else [],
        },
        "spec": spec or {},
        "status": status or {},
    }


def deployment(name, labels=None, *, ready=1, wanted=1, **more):
    template = {"spec": {"containers": [{"name": "main", "image": "shop/cart:1.8"}]}}
    spec, status = {"replicas": wanted, "template": template}, {"readyReplicas": ready, **more}
    return thing("Deployment", name, labels=labels, spec=spec, status=status)


def pod(name, *, owner="", labels=None, state=None, ready=True, restarts=0, probe=None, **status):
    container = {"name": "main", "image": "shop/cart:1.8"}
    if probe:
        container["readinessProbe"] = probe
    told = {
        "name": "main",
        "ready": ready,
        "restartCount": restarts,
        "state": state or {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        **status,
    }
    return thing(
        "Pod",
        name,
        owner=owner,
        labels=labels,
        spec={"containers": [container], "nodeName": "node-1"},
        status={"phase": "Running", "containerStatuses": [told]},
    )


def cluster(vendor, *objects, name="eu"):
    """Have the objects of a cluster synced."""
    for kind, path in PATHS.items():
        items = [one for one in objects if one["kind"] == kind]
        if kind == "Namespace":
            items = [{"metadata": {"name": one}} for one in ("kube-system", "shop", "default")]
        vendor.json(path, {"kind": f"{kind}List", "metadata": {}, "items": items})
    source = create_source(
        identifier=f"cluster-{name}",
        kind="kubernetes",
        actor=ACTOR,
        settings={"clusterName": name, "server": vendor.url, "token": "t"},
        with_blueprints=True,
    )
    run = sync(source)
    assert (run.state, run.error) == ("succeeded", "")
    return source


def component(name="cart", blueprint="component", **annotations):
    if not Blueprint.objects.filter(identifier=blueprint).exists():
        make_blueprint(
            blueprint, relations={"dependsOn": {"title": "Needs", "target": "*", "many": True}}
        )
    named = {
        f"backstage.io/kubernetes-{key.replace('_', '-')}": value
        for key, value in annotations.items()
    }
    return make_entity(blueprint, name, properties={"annotations": named})


def tab(member, name="cart"):
    response = member.get(f"/catalog/component/{name}?tab=kubernetes")
    assert response.status_code == 200
    return response.context, response.content.decode()


def names(rows):
    return [str(row.entity) for row in rows]


# --- the grammar ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fits", "fails"),
    [
        ("app=web", {"app": "web"}, {"app": "api"}),
        ("app == web", {"app": "web"}, {}),
        ("app=", {"app": ""}, {"app": "web"}),
        ("app!=web", {}, {"app": "web"}),
        ("tier in (a, b)", {"tier": "b"}, {"tier": "c"}),
        ("tier notin (a,b)", {"other": "a"}, {"tier": "a"}),
        ("canary", {"canary": "no"}, {}),
        ("!canary", {}, {"canary": ""}),
        ("! canary", {"x": "y"}, {"canary": "1"}),
        ("example.com/app=a.b_c-d", {"example.com/app": "a.b_c-d"}, {"app": "a.b_c-d"}),
        (" app=web , tier in (a),!x ", {"app": "web", "tier": "a"}, {"app": "web"}),
    ],
)
def test_a_label_selector_means_what_kubernetes_means(text, fits, fails):
    requirements = parse_selector(text)
    assert all(one.holds(fits) for one in requirements)
    assert not all(one.holds(fails) for one in requirements)


@pytest.mark.parametrize(
    "text", ["", " , ", "app=web,", "a b", "tier in a", "tier in (a", "=x", "a=b=c", "x=é", "-a"]
)
def test_a_selector_that_is_none_is_refused_with_the_part(text):
    with pytest.raises(InvalidInput, match="label selector is not understood; expected"):
        parse_selector(text)


def test_the_database_agrees_with_the_grammar(vendor, member):
    labels = {
        "a": {"app": "web"},
        "b": {"app": "api", "tier": "x"},
        "c": {"app": ""},
        "d": {"tier": "x"},
    }
    cluster(vendor, *(deployment(name, of) for name, of in labels.items()))
    for number, (selector, expected) in enumerate(
        {
            "app=web": ["a"],
            "app!=web": ["b", "c", "d"],
            "app in (web,api)": ["a", "b"],
            "app notin (web, api)": ["c", "d"],
            "app,app!=web": ["b", "c"],
            "!app": ["d"],
            "app in (web,api),tier=x": ["b"],
        }.items()
    ):
        component(f"cart{number}", label_selector=selector)
        context, _ = tab(member, f"cart{number}")
        assert names(context["clusters"][0].workloads) == expected, selector
        requirements = parse_selector(selector)
        assert expected == [
            name for name, of in labels.items() if all(one.holds(of) for one in requirements)
        ]


# --- what belongs to an entity ----------------------------------------------------------------


def test_what_has_the_label_what_that_made_and_what_leads_there(vendor, member):
    cluster(
        vendor,
        deployment("cart", {ID: "cart"}, ready=2, wanted=3),
        thing("ReplicaSet", "cart-1", owner="cart", spec={"replicas": 3}),
        pod("cart-1-a", owner="cart-1", labels={"app": "cart"}),
        pod("other-1-a", labels={"app": "other"}),
        thing("Service", "cart", spec={"selector": {"app": "cart"}, "ports": [{"port": 80}]}),
        thing("Service", "headless", spec={}),
        thing("Service", "elsewhere", namespace="default", spec={"selector": {"app": "cart"}}),
        thing(
            "Ingress",
            "web",
            spec={
                "rules": [
                    {
                        "host": "shop.example.com",
                        "http": {
                            "paths": [{"path": "/", "backend": {"service": {"name": "cart"}}}]
                        },
                    }
                ]
            },
        ),
        thing(
            "HorizontalPodAutoscaler",
            "cart",
            spec={
                "minReplicas": 2,
                "maxReplicas": 5,
                "scaleTargetRef": {"kind": "Deployment", "name": "cart"},
            },
            status={"currentReplicas": 3},
        ),
        deployment("search", {ID: "search"}),
    )
    component(id="cart")
    context, html = tab(member)
    [found] = context["clusters"]
    assert (found.name, names(found.workloads), names(found.pods)) == ("eu", ["cart"], ["cart-1-a"])
    assert sorted(names(found.network)) == ["cart", "web"]
    assert sorted(names(found.others)) == ["cart", "cart-1"]
    [workload] = found.workloads
    assert (workload.ready, workload.state, workload.scaler) == ("2/3", "Degraded", "2 to 5")
    assert "shop.example.com/" in html
    assert 'href="/catalog/workload/cart-Deployment-shop-eu"' in html
    assert re.search(r"1 pod\b", html)
    assert "selects its pods" in html


def test_the_name_stands_in_for_the_id_and_namespaces_narrow(vendor, member):
    cluster(vendor, deployment("cart", {ID: "cart"}))
    component(namespace="shop")
    assert names(tab(member)[0]["clusters"][0].workloads) == ["cart"]
    Entity.objects.filter(identifier="cart", blueprint__identifier="component").delete()
    component(id="cart", namespace="default")
    context, html = tab(member)
    assert context["clusters"] == []
    assert "Nothing of it runs in the clusters" in html
    assert f"<code>{ID}=cart</code>" in html
    assert "default" in html
    assert context["synced"] == ["eu"]


def test_settings_choose_the_clusters(vendor, member):
    cluster(vendor, deployment("cart", {ID: "cart"}), name="eu")
    cluster(vendor, deployment("cart", {ID: "cart"}), name="us")
    component(id="cart")
    component("tied", id="cart", cluster="us")
    needs = component("needs", id="cart")
    Entity.objects.filter(pk=needs.pk).update(relations={"dependsOn": ["resource:eu"]})
    expected = {
        "multiTenant": (["eu", "us"], ["eu", "us"], ["eu", "us"]),
        "singleTenant": ([], ["us"], []),
        "catalogRelation": ([], [], ["eu"]),
    }
    for method, clusters in expected.items():
        catalog_settings.update(actor=ACTOR, kubernetes={"serviceLocatorMethod": method})
        pages = [tab(member, name) for name in ("cart", "tied", "needs")]
        assert tuple([one.name for one in page["clusters"]] for page, _ in pages) == clusters
        if method == "singleTenant":
            assert "backstage.io/kubernetes-cluster</code>, which cart does not have" in pages[0][1]
        if method == "catalogRelation":
            assert "cart depends on none" in pages[0][1]


def test_the_tab_is_shown_where_there_is_something_to_look_for(member):
    component("plain")
    component("ours", id="ours")
    make_entity("component", "odd", properties={"annotations": {ID: 7, "x": None}})
    make_entity("component", "odder", properties={"annotations": ["a"]})
    shown = [
        "tab=kubernetes" in member.get(f"/catalog/component/{name}").content.decode()
        for name in ("plain", "ours", "odd", "odder")
    ]
    assert shown == [False, True, False, False]


def test_a_broken_selector_is_told(member):
    component(label_selector="app in (<b>")
    _, html = tab(member)
    assert "in the label selector is not understood" in html
    assert "&lt;b&gt;" in html
    assert "has to be corrected" in html


def test_only_what_a_cluster_brought_counts(vendor, member):
    cluster(vendor, deployment("cart", {ID: "cart"}))
    make_entity("workload", "made-by-hand", properties={"labels": {ID: "cart"}})
    component(id="cart")
    assert names(tab(member)[0]["clusters"][0].workloads) == ["cart"]


def test_the_number_of_statements_is_constant(vendor, member, django_assert_max_num_queries):
    pods = [pod(f"p{n}", labels={ID: "cart"}) for n in range(60)]
    cluster(vendor, deployment("cart", {ID: "cart"}), *pods)
    component(id="cart")
    component("few", label_selector="app=none")
    tab(member)
    with django_assert_max_num_queries(40) as few:
        tab(member, "few")
    with django_assert_max_num_queries(len(few) + 1):
        context, _ = tab(member)
    assert context["pod_count"] == 60


# --- what is wrong ----------------------------------------------------------------------------


def problems(context):
    return [(one.detector, one.severity, len(one.found)) for one in context["problems"]]


def test_detectors_name_what_is_wrong_worst_first(vendor, member):
    labels = {ID: "cart"}
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting pod=p_x(1)"}
    bad = {"lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}
    cluster(
        vendor,
        deployment(
            "cart",
            labels,
            conditions=[{"type": "Available", "status": "False", "message": "Too few <replicas>"}],
        ),
        thing(
            "HorizontalPodAutoscaler",
            "cart",
            labels=labels,
            spec={"maxReplicas": 5, "scaleTargetRef": {"kind": "Deployment", "name": "cart"}},
            status={"currentReplicas": 5},
        ),
        pod("a", labels=labels, state={"waiting": waiting}, ready=False, restarts=7, **bad),
        pod("b", labels=labels, state={"waiting": waiting}, ready=False, restarts=7, **bad),
        pod("slow", labels=labels, ready=False, probe={"initialDelaySeconds": 5}),
        pod("fine", labels=labels, probe={"initialDelaySeconds": 5}),
    )
    component(id="cart")
    context, html = tab(member)
    assert problems(context) == [
        ("hpa-max-current-replicas", 8, 1),
        ("condition-message-present", 6, 1),
        ("container-waiting", 4, 2),
        ("containers-restarting", 4, 2),
        ("readiness-probe-taking-too-long", 4, 1),
    ]
    assert (context["pod_count"], context["bad_pod_count"]) == (4, 3)
    assert "It used more memory than its limit allows" in html
    assert "CrashLoopBackOff: back-off 5m0s restarting" in html
    assert "pod=p_x" not in html
    assert "Too few &lt;replicas&gt;" in html


def test_odd_properties_break_nothing(vendor, member):
    cluster(vendor, pod("a", labels={ID: "cart"}))
    odd = {
        "containers": [7, {"restarts": "many", "state": 3, "readiness": {"delay": "x"}}],
        "conditions": {"a": 1},
        "images": "none",
        "replicas": "two",
        "maxReplicas": None,
        "health": ["x"],
        "addresses": 5,
    }
    entity = Entity.objects.get(identifier="a-Pod-shop-eu")
    entity.properties = {**entity.properties, **odd}
    entity.save(update_fields=["properties"])
    component(id="cart")
    assert names(tab(member)[0]["clusters"][0].pods) == ["a"]


def test_a_real_cluster_answers(vendor, member, test_data):
    folder = test_data / "kubernetes"
    recorded = json.loads((folder / "cluster-responses/1-deployments.json").read_text())
    objects = [
        {**one, "kind": kind}
        for key, kind in (
            ("deployments", "Deployment"),
            ("replicaSets", "ReplicaSet"),
            ("pods", "Pod"),
            ("horizontalPodAutoscalers", "HorizontalPodAutoscaler"),
        )
        for one in recorded[key]
    ]
    for path in sorted((folder / "live-objects").glob("*.yaml")):
        document = json.loads(json.dumps(yaml.safe_load(path.read_text()), default=_text))
        if document["kind"] in PATHS:
            document["metadata"].setdefault("labels", {})["live"] = "yes"
            document["metadata"].setdefault("namespace", "default")
            document["metadata"]["name"] += path.stem
            objects.append(document)
    cluster(vendor, *objects)
    component(id="dice-roller")
    context, _ = tab(member)
    [found] = context["clusters"]
    assert (names(found.workloads), len(found.pods)) == (["dice-roller"], 10)
    assert (found.workloads[0].ready, found.workloads[0].scaler) == ("10/10", "10 to 15")
    assert problems(context) == []
    component("live", label_selector="live")
    context, _ = tab(member, "live")
    assert problems(context) == [
        ("condition-message-present", 6, 1),
        ("job-failed", 5, 1),
        ("container-waiting", 4, 1),
        ("containers-restarting", 4, 1),
    ]


def _text(value):
    assert isinstance(value, datetime)
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
