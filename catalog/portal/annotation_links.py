"""Where the well-known annotations lead: pages of other tools, by their own ways of addressing.

Values are written by anybody who writes a descriptor: they go into an address as a part of it,
encoded, or are no link at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from catalog.models import Entity

Annotations = Mapping[str, str]

MAX_VALUE: Final = 500  # characters
_ODD = re.compile(r"[\x00-\x20\x7f\\]")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Link:
    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Bases:
    """Addresses of tools by name ("jira": "https://acme.atlassian.net"), without a slash at the
    end; those of public services are known without being told."""

    told: Mapping[str, str]

    def of(self, tool: str) -> str:
        return self.told.get(tool) or _PUBLIC.get(tool, "")


@dataclass(frozen=True, slots=True)
class Tool:
    """title, icon (a Material Symbol) and links of a tool. key: the annotation that says most."""

    name: str
    title: str
    icon: str
    key: str
    links: Callable[[Annotations, str], Iterator[Link]]
    keys: tuple[str, ...] = ()

    def value(self, annotations: Annotations) -> str:
        """What the annotations say, to be shown."""
        found = (annotations.get(key) for key in (self.key, *self.keys))
        return next((one for one in found if one), "")


def annotations_of(entity: Entity) -> dict[str, str]:
    """The annotations of an entity that are text."""
    told = entity.properties.get("annotations")
    if not isinstance(told, dict):
        return {}
    return {name: value.strip() for name, value in told.items() if isinstance(value, str)}


def links_of(tool: Tool, annotations: Annotations, bases: Bases) -> list[Link]:
    return [one for one in tool.links(annotations, bases.of(tool.name)) if is_web(one.url)]


def is_web(url: Any) -> bool:
    """Whether it is an address of a page, with a host and without credentials."""
    if not isinstance(url, str) or len(url) > 4 * MAX_VALUE or _ODD.search(url):
        return False
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.username is None
            and parts.password is None
        )
    except ValueError:
        return False


# --- pieces -----------------------------------------------------------------------------------


def path_part(value: str, *, segments: int = 0) -> str:
    """A value as a part of a path; "" when it is none. segments: how many it must have."""
    value = value.strip().strip("/")
    parts = value.split("/")
    if not value or len(value) > MAX_VALUE or any(one in ("", ".", "..") for one in parts):
        return ""
    if segments and len(parts) != segments:
        return ""
    return quote(value, safe="/@:~+-._")


def _host_of(value: str) -> str:
    """`https://host` of a host or an address; "" when it is neither."""
    host = value.partition("://")[2] or value
    return f"https://{host.strip('/')}" if _HOST.fullmatch(host.strip("/")) else ""


def _page(base: str, path: str, part: str, text: str, end: str = "") -> Iterator[Link]:
    if base and part:
        yield Link(text, f"{base}{path}{part}{end}")


def _asked(base: str, path: str, text: str, **query: str) -> Iterator[Link]:
    """A page that takes the value as a question."""
    if base and all(query.values()):
        yield Link(text, f"{base}{path}?{urlencode(query)}")


def _simple(key: str, path: str, text: str, end: str = "", *, segments: int = 0) -> Any:
    def links(annotations: Annotations, base: str) -> Iterator[Link]:
        part = path_part(annotations.get(key, ""), segments=segments)
        return _page(base, path, part, text, end)

    return links


# --- tools ------------------------------------------------------------------------------------


def _github(annotations: Annotations, base: str) -> Iterator[Link]:
    if slug := path_part(annotations.get("github.com/project-slug", ""), segments=2):
        yield Link("Repository", f"{base}/{slug}")
        yield Link("Pull requests", f"{base}/{slug}/pulls")
        yield Link("Actions", f"{base}/{slug}/actions")
    if team := path_part(annotations.get("github.com/team-slug", ""), segments=2):
        owner, _, name = team.partition("/")
        yield Link("Team", f"{base}/orgs/{owner}/teams/{name}")
    yield from _page(base, "/", path_part(annotations.get("github.com/user-login", "")), "Profile")


def _gitlab(annotations: Annotations, base: str) -> Iterator[Link]:
    base = _host_of(annotations.get("gitlab.com/instance", "")) or base
    if slug := path_part(annotations.get("gitlab.com/project-slug", "")):
        yield Link("Project", f"{base}/{slug}")
        yield Link("Merge requests", f"{base}/{slug}/-/merge_requests")
        yield Link("Pipelines", f"{base}/{slug}/-/pipelines")
    elif (number := annotations.get("gitlab.com/project-id", "")).isdecimal():
        yield Link("Project", f"{base}/projects/{quote(number)}")
    yield from _page(
        base, "/groups/", path_part(annotations.get("gitlab.com/team-path", "")), "Group"
    )
    yield from _page(base, "/", path_part(annotations.get("gitlab.com/user-login", "")), "Profile")


def _jira(annotations: Annotations, base: str) -> Iterator[Link]:
    key = annotations.get("jira/project-key", "")
    if not base:
        return
    part = path_part(key, segments=1)
    yield from _page(base, "/browse/", part, "Project")
    query = annotations.get("jira/all-issues-jql", "")
    if not query and part:
        conditions = [f'project = "{_quoted(key)}"', "statusCategory != Done"]
        for name in ("component", "label", "team"):
            if value := annotations.get(f"jira/{name}"):
                field = "labels" if name == "label" else name
                conditions.append(f'{field} = "{_quoted(value)}"')
        query = " AND ".join(conditions)
    yield from _asked(base, "/issues/", "Open issues", jql=query)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _sonar(annotations: Annotations, base: str) -> Iterator[Link]:
    # It may name one of several servers in front of the key.
    key = annotations.get("sonarqube.org/project-key", "").rpartition("/")[2]
    return _asked(base, "/dashboard", "Dashboard", id=key)


def _argo(annotations: Annotations, base: str) -> Iterator[Link]:
    for name in annotations.get("argocd/app-name", "").split(","):
        namespace = path_part(annotations.get("argocd/app-namespace", ""), segments=1)
        part = path_part(name, segments=1)
        if part and namespace:
            part = f"{namespace}/{part}"
        yield from _page(base, "/applications/", part, name.strip() or "Application")
    selector = annotations.get("argocd/app-selector", "")
    yield from _asked(base, "/applications", "Applications", labels=selector)


def _sentry(annotations: Annotations, base: str) -> Iterator[Link]:
    slug = path_part(annotations.get("sentry.io/project-slug", ""), segments=2)
    owner, _, project = slug.partition("/")
    if project:
        yield Link("Issues", f"{base}/organizations/{owner}/projects/{project}/")


def _datadog(annotations: Annotations, base: str) -> Iterator[Link]:
    yield Link("Dashboard", annotations.get("datadoghq.com/dashboard-url", ""))


def _grafana(annotations: Annotations, base: str) -> Iterator[Link]:
    overview = annotations.get("grafana/overview-dashboard", "")
    if is_web(overview):
        yield Link("Overview", overview)
    elif ":" not in overview:
        yield from _page(base, "/", path_part(overview.partition("?")[0]), "Overview")
    selector = annotations.get("grafana/dashboard-selector", "")
    if re.fullmatch(r"[\w.:-]+", selector):
        yield from _asked(base, "/dashboards", "Dashboards", tag=selector)
    labels = annotations.get("grafana/alert-label-selector", "")
    yield from _asked(base, "/alerting/list", "Alerts", search=labels)


def _opsgenie(annotations: Annotations, base: str) -> Iterator[Link]:
    selector = annotations.get("opsgenie.com/component-selector", "")
    yield from _asked(base, "/alert/list", "Alerts", query=selector)
    if team := annotations.get("opsgenie.com/team", ""):
        yield from _asked(
            base, "/alert/list", "Alerts of the team", query=f'teams:"{_quoted(team)}"'
        )


def _azure(annotations: Annotations, base: str) -> Iterator[Link]:
    told = annotations.get("dev.azure.com/host-org", "")
    host, _, organization = told.partition("/")
    if _HOST.fullmatch(host) and (owner := path_part(organization)):
        base = f"https://{host}/{owner}"
    if not base:
        return
    repository = path_part(annotations.get("dev.azure.com/project-repo", ""), segments=2)
    project, _, name = repository.partition("/")
    project = project or path_part(annotations.get("dev.azure.com/project", ""), segments=1)
    if name:
        yield Link("Repository", f"{base}/{project}/_git/{name}")
        yield Link("Pull requests", f"{base}/{project}/_git/{name}/pullrequests")
    if project:
        yield Link("Pipelines", f"{base}/{project}/_build")


def _jenkins(annotations: Annotations, base: str) -> Iterator[Link]:
    told = annotations.get("jenkins.io/job-full-name") or annotations.get(
        "jenkins.io/github-folder", ""
    )
    part = path_part(told.rpartition(":")[2])
    return _page(base, "/job/", part.replace("/", "/job/"), "Job", "/")


def _prometheus(annotations: Annotations, base: str) -> Iterator[Link]:
    for rule in annotations.get("prometheus.io/rule", "").split(",")[:5]:
        # What stands behind the bar says which labels to draw.
        expression = rule.partition("|")[0].strip()
        yield from _asked(base, "/graph", expression or "Graph", **{"g0.expr": expression})
    alert = annotations.get("prometheus.io/alert", "").strip()
    if alert == "all":
        yield Link("Alerts", f"{base}/alerts")
    else:
        yield from _asked(base, "/alerts", "Alerts", search=alert)


def _lambda(annotations: Annotations, base: str) -> Iterator[Link]:
    region = annotations.get("aws.com/lambda-region", "")
    name = path_part(annotations.get("aws.com/lambda-function-name", ""), segments=1)
    if name and re.fullmatch(r"[a-z]{2}(?:-[a-z]+)+-[0-9]", region):
        host = f"https://{region}.console.aws.amazon.com"
        yield Link("Function", f"{host}/lambda/home?region={region}#/functions/{name}")


_PUBLIC: Final[Mapping[str, str]] = {
    "github": "https://github.com",
    "gitlab": "https://gitlab.com",
    "bitbucket": "https://bitbucket.org",
    "pagerduty": "https://app.pagerduty.com",
    "sentry": "https://sentry.io",
    "opsgenie": "https://app.opsgenie.com",
    "circleci": "https://app.circleci.com",
    "buildkite": "https://buildkite.com",
    "travis": "https://app.travis-ci.com",
    "rollbar": "https://rollbar.com",
    "bugsnag": "https://app.bugsnag.com",
    "newrelic": "https://one.newrelic.com",
    "snyk": "https://app.snyk.io",
    "quay": "https://quay.io",
}

TOOLS: Final = (
    Tool(
        "github",
        "GitHub",
        "code",
        "github.com/project-slug",
        _github,
        ("github.com/team-slug", "github.com/user-login"),
    ),
    Tool(
        "gitlab",
        "GitLab",
        "code",
        "gitlab.com/project-slug",
        _gitlab,
        ("gitlab.com/project-id", "gitlab.com/team-path", "gitlab.com/user-login"),
    ),
    Tool(
        "bitbucket",
        "Bitbucket",
        "source",
        "bitbucket.org/project-slug",
        _simple("bitbucket.org/project-slug", "/", "Repository", segments=2),
    ),
    Tool(
        "azure",
        "Azure DevOps",
        "source",
        "dev.azure.com/project-repo",
        _azure,
        ("dev.azure.com/project",),
    ),
    Tool("jira", "Jira", "task", "jira/project-key", _jira, ("jira/all-issues-jql",)),
    Tool(
        "pagerduty",
        "PagerDuty",
        "notifications_active",
        "pagerduty.com/service-id",
        _simple("pagerduty.com/service-id", "/service-directory/", "Service", segments=1),
    ),
    Tool(
        "opsgenie",
        "Opsgenie",
        "notifications_active",
        "opsgenie.com/component-selector",
        _opsgenie,
        ("opsgenie.com/team",),
    ),
    Tool("sonarqube", "SonarQube", "verified", "sonarqube.org/project-key", _sonar),
    Tool("argocd", "Argo CD", "sync", "argocd/app-name", _argo, ("argocd/app-selector",)),
    Tool(
        "jenkins",
        "Jenkins",
        "build",
        "jenkins.io/job-full-name",
        _jenkins,
        ("jenkins.io/github-folder",),
    ),
    Tool(
        "circleci",
        "CircleCI",
        "build",
        "circleci.com/project-slug",
        _simple("circleci.com/project-slug", "/pipelines/", "Pipelines", segments=3),
    ),
    Tool(
        "buildkite",
        "Buildkite",
        "build",
        "buildkite.com/project-slug",
        _simple("buildkite.com/project-slug", "/", "Pipeline", segments=2),
    ),
    Tool(
        "travis",
        "Travis CI",
        "build",
        "travis-ci.com/repo-slug",
        _simple("travis-ci.com/repo-slug", "/github/", "Builds", segments=2),
    ),
    Tool(
        "gocd",
        "GoCD",
        "build",
        "gocd.org/pipelines",
        _simple("gocd.org/pipelines", "/go/pipeline/activity/", "Pipeline", segments=1),
    ),
    Tool(
        "grafana",
        "Grafana",
        "monitoring",
        "grafana/overview-dashboard",
        _grafana,
        ("grafana/dashboard-selector", "grafana/alert-label-selector"),
    ),
    Tool(
        "prometheus",
        "Prometheus",
        "monitoring",
        "prometheus.io/rule",
        _prometheus,
        ("prometheus.io/alert",),
    ),
    Tool("datadog", "Datadog", "monitoring", "datadoghq.com/dashboard-url", _datadog),
    Tool(
        "newrelic",
        "New Relic",
        "monitoring",
        "newrelic.com/dashboard-guid",
        _simple("newrelic.com/dashboard-guid", "/redirect/entity/", "Dashboard", segments=1),
    ),
    Tool("sentry", "Sentry", "bug_report", "sentry.io/project-slug", _sentry),
    Tool(
        "rollbar",
        "Rollbar",
        "bug_report",
        "rollbar.com/project-slug",
        _simple("rollbar.com/project-slug", "/", "Items", "/", segments=2),
    ),
    Tool(
        "bugsnag",
        "Bugsnag",
        "bug_report",
        "bugsnag.com/project-key",
        _simple("bugsnag.com/project-key", "/", "Errors", segments=2),
    ),
    Tool(
        "snyk",
        "Snyk",
        "security",
        "snyk.io/org-name",
        _simple("snyk.io/org-name", "/org/", "Projects", segments=1),
    ),
    Tool(
        "quay",
        "Quay",
        "deployed_code",
        "quay.io/repository-slug",
        _simple("quay.io/repository-slug", "/repository/", "Images", segments=2),
    ),
    Tool("lambda", "AWS Lambda", "cloud", "aws.com/lambda-function-name", _lambda),
    Tool(
        "vault",
        "Vault",
        "key",
        "vault.io/secrets-path",
        _simple("vault.io/secrets-path", "/ui/vault/secrets/secrets/list/", "Secrets", "/"),
    ),
)
