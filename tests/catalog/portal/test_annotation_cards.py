"""The card "Tools": well-known annotations lead to their tools, and odd ones nowhere."""

import pytest

from catalog.ingest.integrations import create_source
from catalog.models import Blueprint
from catalog.portal.annotation_links import TOOLS, Bases, is_web, links_of
from catalog.portal.links import entity_url
from catalog.registry import source_kinds
from catalog.services import proxy
from catalog.services.blueprints import ensure_blueprints
from tests.factories import ACTOR, make_blueprint, make_entity

pytestmark = pytest.mark.django_db

BASES = Bases(
    {
        "jira": "https://acme.atlassian.net",
        "sonarqube": "https://sonar.test",
        "argocd": "https://argo.test",
        "jenkins": "https://jenkins.test/ci",
        "grafana": "https://grafana.test",
        "prometheus": "https://prom.test",
        "vault": "https://vault.test",
        "gocd": "https://gocd.test",
    }
)


def links(annotations, bases=BASES):
    return [
        one.url
        for tool in TOOLS
        if tool.value(annotations)
        for one in links_of(tool, annotations, bases)
    ]


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        (
            {"github.com/project-slug": "acme/cart"},
            [
                "https://github.com/acme/cart",
                "https://github.com/acme/cart/pulls",
                "https://github.com/acme/cart/actions",
            ],
        ),
        ({"github.com/team-slug": "acme/core"}, ["https://github.com/orgs/acme/teams/core"]),
        ({"github.com/user-login": "ada"}, ["https://github.com/ada"]),
        (
            {"gitlab.com/project-slug": "shop/web/cart", "gitlab.com/instance": "git.acme.test"},
            [
                "https://git.acme.test/shop/web/cart",
                "https://git.acme.test/shop/web/cart/-/merge_requests",
                "https://git.acme.test/shop/web/cart/-/pipelines",
            ],
        ),
        ({"gitlab.com/project-id": "42"}, ["https://gitlab.com/projects/42"]),
        ({"bitbucket.org/project-slug": "acme/cart"}, ["https://bitbucket.org/acme/cart"]),
        (
            {
                "dev.azure.com/project-repo": "Shop/cart",
                "dev.azure.com/host-org": "dev.azure.com/acme",
            },
            [
                "https://dev.azure.com/acme/Shop/_git/cart",
                "https://dev.azure.com/acme/Shop/_git/cart/pullrequests",
                "https://dev.azure.com/acme/Shop/_build",
            ],
        ),
        ({"dev.azure.com/project-repo": "Shop/cart"}, []),
        (
            {"jira/project-key": "SHOP", "jira/component": 'the "cart"'},
            [
                "https://acme.atlassian.net/browse/SHOP",
                "https://acme.atlassian.net/issues/?jql=project+%3D+%22SHOP%22+AND+"
                "statusCategory+%21%3D+Done+AND+component+%3D+%22the+%5C%22cart%5C%22%22",
            ],
        ),
        (
            {"pagerduty.com/service-id": "PABC12"},
            ["https://app.pagerduty.com/service-directory/PABC12"],
        ),
        (
            {"opsgenie.com/component-selector": "tag:cart"},
            ["https://app.opsgenie.com/alert/list?query=tag%3Acart"],
        ),
        (
            {"sonarqube.org/project-key": "main/acme:cart"},
            ["https://sonar.test/dashboard?id=acme%3Acart"],
        ),
        (
            {"argocd/app-name": "cart, cart-eu", "argocd/app-namespace": "argo"},
            [
                "https://argo.test/applications/argo/cart",
                "https://argo.test/applications/argo/cart-eu",
            ],
        ),
        ({"argocd/app-selector": "app=cart"}, ["https://argo.test/applications?labels=app%3Dcart"]),
        (
            {"jenkins.io/job-full-name": "eu:shop/cart"},
            ["https://jenkins.test/ci/job/shop/job/cart/"],
        ),
        (
            {"circleci.com/project-slug": "gh/acme/cart"},
            ["https://app.circleci.com/pipelines/gh/acme/cart"],
        ),
        ({"buildkite.com/project-slug": "acme/cart"}, ["https://buildkite.com/acme/cart"]),
        ({"travis-ci.com/repo-slug": "acme/cart"}, ["https://app.travis-ci.com/github/acme/cart"]),
        ({"gocd.org/pipelines": "cart"}, ["https://gocd.test/go/pipeline/activity/cart"]),
        (
            {"grafana/overview-dashboard": "d/abc/cart", "grafana/dashboard-selector": "cart"},
            ["https://grafana.test/d/abc/cart", "https://grafana.test/dashboards?tag=cart"],
        ),
        (
            {"grafana/overview-dashboard": "https://g.test/d/1?x=1"},
            ["https://g.test/d/1?x=1"],
        ),
        (
            {"prometheus.io/rule": 'up{job="cart"}|instance', "prometheus.io/alert": "all"},
            [
                "https://prom.test/graph?g0.expr=up%7Bjob%3D%22cart%22%7D",
                "https://prom.test/alerts",
            ],
        ),
        (
            {"datadoghq.com/dashboard-url": "https://app.datadoghq.eu/dashboard/abc"},
            ["https://app.datadoghq.eu/dashboard/abc"],
        ),
        (
            {"newrelic.com/dashboard-guid": "Abc=="},
            ["https://one.newrelic.com/redirect/entity/Abc%3D%3D"],
        ),
        (
            {"sentry.io/project-slug": "acme/cart"},
            ["https://sentry.io/organizations/acme/projects/cart/"],
        ),
        ({"sentry.io/project-slug": "cart"}, []),
        (
            {"aws.com/lambda-function-name": "cart", "aws.com/lambda-region": "eu-west-1"},
            [
                "https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1"
                "#/functions/cart"
            ],
        ),
        (
            {"vault.io/secrets-path": "shop/cart"},
            ["https://vault.test/ui/vault/secrets/secrets/list/shop/cart/"],
        ),
    ],
)
def test_annotations_lead_to_the_pages_of_their_tools(annotations, expected):
    assert links(annotations) == expected


def test_no_link_where_nobody_knows_the_address():
    told = {"jira/project-key": "A", "sonarqube.org/project-key": "k", "argocd/app-name": "a"}
    assert links(told, Bases({})) == []


@pytest.mark.parametrize(
    "value",
    [
        "javascript:alert(1)",
        "//evil.test/x",
        "https://evil.test",
        "../../x",
        "a/../../b",
        "a\nb",
        '"><script>alert(1)</script>',
        "x" * 10_000,
        "a b",
        "@evil.test",
        "\\\\evil.test\\x",
        "https://user:pass@evil.test/",
    ],
)
def test_odd_values_stay_harmless(value):
    allowed = {*BASES.told.values()} | {Bases({}).of(tool.name) for tool in TOOLS} - {""}
    free = {"datadoghq.com/dashboard-url", "grafana/overview-dashboard"}
    for tool in TOOLS:
        for key in (tool.key, *tool.keys, "gitlab.com/instance", "dev.azure.com/host-org"):
            annotations = {tool.key: "acme/cart", key: value}
            for one in links_of(tool, annotations, BASES):
                assert is_web(one.url)
                assert not any(sign in one.url for sign in "<>\"'\n \\")
                if key not in {*free, "gitlab.com/instance", "dev.azure.com/host-org"}:
                    assert any(one.url.startswith(f"{base}/") for base in allowed), one.url


def card(member, name="cart"):
    response = member.get(f"/catalog/component/{name}")
    assert response.status_code == 200
    found = [context for _, context in response.context["cards"] if "lines" in context]
    return (found[0]["lines"] if found else []), response.content.decode()


def annotated(name="cart", **annotations):
    if not Blueprint.objects.filter(identifier="component").exists():
        make_blueprint("component")
    return make_entity("component", name, properties={"annotations": annotations})


def test_addresses_come_from_sources_and_proxy_endpoints_without_secrets(member):
    create_source(
        identifier="j",
        kind="jira",
        actor=ACTOR,
        settings={"url": "https://acme.atlassian.net", "token": "t0p-s3cret"},
        mapping={"resources": []},
    )
    create_source(
        identifier="g",
        kind="github",
        actor=ACTOR,
        settings={"apiUrl": "https://ghe.acme.test/api/v3", "token": "t0p-s3cret"},
        mapping={"resources": []},
    )
    proxy.create_endpoint(path="/sonarqube", target="https://sonar.acme.test/base/api", actor=ACTOR)
    annotated(
        **{
            "jira/project-key": "SHOP",
            "github.com/project-slug": "acme/cart",
            "sonarqube.org/project-key": "cart",
        }
    )
    lines, html = card(member)
    assert [line.tool.name for line in lines] == ["github", "jira", "sonarqube"]
    assert 'href="https://ghe.acme.test/acme/cart/pulls"' in html
    assert 'href="https://acme.atlassian.net/browse/SHOP"' in html
    assert 'href="https://sonar.acme.test/base/dashboard?id=cart"' in html
    assert "t0p-s3cret" not in html


def test_facts_come_from_what_the_sources_brought(member, django_assert_max_num_queries):
    documents = [
        one for name in ("github", "jira", "pagerduty") for one in source_kinds[name].blueprints()
    ]
    ensure_blueprints({one["identifier"]: one for one in documents}, actor=ACTOR)
    make_entity("githubRepository", "acme/cart")
    make_entity("githubRepository", "acme/other")
    for number, status in enumerate(["open", "draft", "merged", "closed"]):
        make_entity(
            "githubPullRequest",
            f"acme/cart/{number}",
            properties={"status": status},
            relations={"repository": "acme/cart"},
        )
    make_entity("jiraProject", "SHOP")
    for number, category in enumerate(["Done", "To Do", "In Progress"]):
        make_entity(
            "jiraIssue",
            f"SHOP-{number}",
            properties={"statusCategory": category},
            relations={"project": "SHOP"},
        )
    make_entity("pagerdutyService", "P1", properties={"oncall": "ada@example.com"})
    make_entity(
        "pagerdutyIncident",
        "I1",
        properties={"status": "triggered"},
        relations={"pagerdutyService": "P1"},
    )
    annotated("plain")
    annotated(
        **{
            "github.com/project-slug": "acme/cart",
            "jira/project-key": "SHOP",
            "pagerduty.com/service-id": "P1",
        }
    )
    card(member)
    with django_assert_max_num_queries(60) as plain:
        assert card(member, "plain")[0] == []
    with django_assert_max_num_queries(len(plain) + 5):
        lines, html = card(member)
    assert {line.tool.name: [fact.text for fact in line.facts] for line in lines} == {
        "github": ["2 open pull requests", "0 open issues"],
        "jira": ["2 open issues"],
        "pagerduty": ["1 open incident", "On call: ada@example.com"],
    }
    assert f'href="{entity_url("githubRepository", "acme/cart")}"' in html


def test_an_entity_with_odd_annotations_has_its_page(member):
    make_blueprint("component")
    for number, odd in enumerate(([], "x", 7, {"jira/project-key": {"a": 1}}, {"a": None})):
        make_entity("component", f"odd{number}", properties={"annotations": odd})
        assert card(member, f"odd{number}")[0] == []
    annotated("bad", **{"datadoghq.com/dashboard-url": "javascript:alert(1)"})
    assert 'href="javascript' not in card(member, "bad")[1]
