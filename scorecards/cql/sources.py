"""Where the data of each source stands, and what to say to whoever misses it.

A source is, in this order: the fact of its key; what the entity's descriptor says under a key of
Cortex; the annotations of a Backstage entity; a property or a relation of the entity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import F, Value

from catalog.registry import rule_sources
from catalog.selectors.sql import Sql
from scorecards.cql.terms import jsonb


@dataclass(frozen=True, slots=True)
class Source:
    """name: as CQL says it, and the key of its fact. connect: how to have its data, in one line.

    descriptor: paths below `info`. members: what may be called on it, `git.fileExists("x")`; None
    for anything. Without brackets any member may be read.
    """

    name: str
    title: str
    connect: str = ""
    descriptor: tuple[tuple[str, ...], ...] = ()
    annotations: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    relations: tuple[str, ...] = ()
    members: frozenset[str] | None = None

    @property
    def hint(self) -> str:
        ways = [f'push the fact "{self.name}"']
        if self.descriptor:
            ways.append(f"write {self.descriptor[0][0]} in the descriptor")
        if self.annotations:
            ways.append(f"write the annotation {self.annotations[0]}")
        if self.properties:
            ways.append(f"fill the property {self.properties[0]}")
        return self.connect or f"To connect it, {' or '.join(ways)}."


def _tool(
    name: str,
    title: str,
    *descriptor: str | tuple[str, ...],
    members: str | None = None,
    **places: tuple[str, ...],
) -> Source:
    paths = tuple((one,) if isinstance(one, str) else one for one in descriptor)
    known = None if members is None else frozenset(members.split())
    return Source(
        name,
        title,
        descriptor=paths,
        members=known,
        annotations=places.get("annotations", ()),
        properties=(name, *places.get("properties", ())),
        relations=(name, *places.get("relations", ())),
    )


_TOOLS: Final = (
    _tool(
        "git",
        "Source code repository",
        "x-cortex-git",
        annotations=(
            "github.com/project-slug",
            "gitlab.com/project-slug",
            "bitbucket.org/project-slug",
            "dev.azure.com/project-repo",
        ),
        properties=("repository", "repo", "repositoryUrl", "repo_url"),
        relations=("repository", "repo"),
        members="fileExists fileContents codeSearch defaultBranch branchProtection "
        "numOfRequiredApprovals requiredApprovals pullRequests numOfPullRequests lastCommit "
        "numOfVulnerabilities vulnerabilities commits branches releases",
    ),
    _tool(
        "oncall",
        "On-call rotation",
        "x-cortex-oncall",
        annotations=(
            "pagerduty.com/service-id",
            "pagerduty.com/integration-key",
            "opsgenie.com/component-selector",
            "opsgenie.com/team",
        ),
        properties=("on_call", "onCall"),
        members="analysis numOfEscalations escalations incidents numOfIncidents",
    ),
    _tool(
        "slack",
        "Slack channel",
        "x-cortex-slack",
        annotations=("slack.com/channel",),
        properties=("slackChannel", "slack_channel"),
        members="channels numOfChannels",
    ),
    _tool(
        "k8s",
        "Kubernetes workload",
        "x-cortex-k8s",
        annotations=("backstage.io/kubernetes-id", "backstage.io/kubernetes-label-selector"),
        relations=("workload", "k8s_workload", "kubernetes"),
    ),
    _tool(
        "sonarqube",
        "SonarQube project",
        ("x-cortex-static-analysis", "sonarqube"),
        annotations=("sonarqube.org/project-key",),
        members="metric metrics issues numOfIssues freshness",
    ),
    _tool(
        "snyk",
        "Snyk project",
        "x-cortex-snyk",
        annotations=("snyk.io/org-name", "snyk.io/project-ids", "snyk.io/targets"),
        members="issues numOfIssues",
    ),
    _tool(
        "sentry",
        "Sentry project",
        "x-cortex-sentry",
        annotations=("sentry.io/project-slug",),
        members="issues numOfIssues",
    ),
    _tool(
        "jira",
        "Jira project",
        ("x-cortex-issues", "jira"),
        annotations=("jira/project-key",),
        properties=("jira_project", "jiraProject"),
        members="issues numOfIssues",
    ),
    _tool(
        "datadog",
        "Datadog monitors",
        ("x-cortex-apm", "datadog"),
        annotations=("datadoghq.com/dashboard-url", "datadoghq.com/graph-token"),
        members="monitors slos numOfMonitors",
    ),
    _tool("slos", "Service level objectives", "x-cortex-slos"),
    _tool("openapi", "API definition", members="paths numOfPaths"),
    _tool("verifications", "Verifications", members="lastVerifiedAt lastVerifiedBy"),
    _tool("deploys", "Deployments"),
    _tool("customEvents", "Events"),
    _tool("alerts", "Alerts", "x-cortex-alerts"),
    _tool("apm", "Application monitoring", "x-cortex-apm"),
    _tool("dashboards", "Dashboards", "x-cortex-dashboards"),
    _tool("argocd", "Argo CD application", annotations=("argocd/app-name",)),
    _tool("azureDevops", "Azure DevOps", "x-cortex-azure-devops"),
    _tool("bugsnag", "Bugsnag project", "x-cortex-bugsnag"),
    _tool("buildkite", "Buildkite pipelines", ("x-cortex-ci-cd", "buildkite")),
    _tool("checkmarx", "Checkmarx project", "x-cortex-checkmarx"),
    _tool("circleci", "CircleCI project", "x-cortex-circle-ci"),
    _tool("codecov", "Codecov", ("x-cortex-static-analysis", "codecov")),
    _tool("coralogix", "Coralogix application", "x-cortex-coralogix"),
    _tool("dynatrace", "Dynatrace", ("x-cortex-apm", "dynatrace"), ("x-cortex-slos", "dynatrace")),
    _tool("firehydrant", "FireHydrant services", "x-cortex-firehydrant"),
    _tool("grafana", "Grafana", annotations=("grafana/dashboard-selector",)),
    _tool("incidentIo", "incident.io", "x-cortex-incident-io"),
    _tool("jenkins", "Jenkins job", annotations=("jenkins.io/job-full-name",)),
    _tool("launchDarkly", "LaunchDarkly project", "x-cortex-launch-darkly"),
    _tool("mend", "Mend", ("x-cortex-static-analysis", "mend")),
    _tool("microsoftTeams", "Microsoft Teams channel", "x-cortex-microsoft-teams"),
    _tool(
        "newrelic",
        "New Relic application",
        ("x-cortex-apm", "newrelic"),
        annotations=("newrelic.com/dashboard-guid",),
    ),
    _tool(
        "prometheus",
        "Prometheus",
        ("x-cortex-slos", "prometheus"),
        annotations=("prometheus.io/rule",),
    ),
    _tool(
        "rollbar", "Rollbar project", "x-cortex-rollbar", annotations=("rollbar.com/project-slug",)
    ),
    _tool("rootly", "Rootly", "x-cortex-rootly"),
    _tool("semgrep", "Semgrep", "x-cortex-semgrep"),
    _tool("serviceNow", "ServiceNow", "x-cortex-servicenow"),
    _tool("veracode", "Veracode", ("x-cortex-static-analysis", "veracode")),
    _tool("wiz", "Wiz project", "x-cortex-wiz"),
)

# Those that the catalogue itself answers; the compiler knows how.
_OWN: Final = (
    Source("entity", "The entity", "The catalogue itself says it."),
    Source("ownership", "Owners", "Give the entity a team, or a person as its owner."),
    Source(
        "dependencies",
        "Dependencies",
        'Relations called "dependsOn" (or the fact of them in the descriptor) tell them.',
    ),
    Source(
        "documentation",
        "Documentation",
        'Add a link of type "documentation", or have the docs of the entity built.',
    ),
    Source("runbooks", "Runbooks", 'Add a link of type "runbook".'),
    Source(
        "docs", "Built documentation", "Name the folder of its docs: see the guide on TechDocs."
    ),
)

SOURCES: Final[Mapping[str, Source]] = {one.name: one for one in (*_OWN, *_TOOLS)}
TOOLS: Final[Mapping[str, Source]] = {one.name: one for one in _TOOLS}


def source_names() -> list[str]:
    return [*SOURCES, *rule_sources]


def fact(key: str) -> Sql:
    """The fact of this key, as jsonb."""
    return jsonb(
        "(SELECT nullif(f.value, 'null') FROM catalog_fact f "
        "WHERE f.entity_id = {} AND f.key = {})",
        F("pk"),
        Value(key),
    )


def described(keys: tuple[str, ...]) -> Sql:
    """What the descriptor says at a path, as jsonb; never JSON's null."""
    return jsonb(
        "nullif(({} #> {}::text[])::jsonb, 'null'::jsonb)", F("descriptor"), Value([*keys])
    )


def tool_data(source: Source) -> list[Sql]:
    """Where the members of a tool are looked for, the likeliest first."""
    return [fact(source.name), *(described(("info", *one)) for one in source.descriptor)]


def tool_value(source: Source) -> Sql:
    """What a tool is for the entity, wherever that is said; NULL when nothing is."""
    ways: list[Any] = tool_data(source)
    if source.annotations:
        ways.append(_annotated(source.annotations))
    empty = "'null'::jsonb, '\"\"'::jsonb, '[]'::jsonb, '{{}}'::jsonb"
    for name in source.properties:
        value = Sql("({} -> {}::text)", F("properties"), Value(name))
        ways.append(jsonb(f"CASE WHEN {{}} NOT IN ({empty}) THEN {{}} END", value, value))
    for name in source.relations:
        value = Sql("({} -> {}::text)", F("relations"), Value(name))
        ways.append(jsonb(f"CASE WHEN {{}} NOT IN ({empty}) THEN {{}} END", value, value))
    return first_of(ways)


def first_of(ways: list[Any]) -> Sql:
    if len(ways) == 1:
        return jsonb("{}", ways[0])
    return jsonb(f"coalesce({', '.join(['{}'] * len(ways))})", *ways)


def _annotated(names: tuple[str, ...]) -> Sql:
    """{annotation: value} of those that the entity has."""
    return jsonb(
        "(SELECT jsonb_object_agg(a.key, a.value) FROM jsonb_each(CASE WHEN "
        "jsonb_typeof({} -> 'annotations') = 'object' THEN {} -> 'annotations' END) a "
        "WHERE a.key = ANY({}::text[]))",
        F("properties"),
        F("properties"),
        Value([*names]),
    )
