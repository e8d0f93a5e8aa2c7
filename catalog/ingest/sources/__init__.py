"""The source kinds that come with the product; each module (or package) is one kind."""

from __future__ import annotations

from typing import Final

from django.utils.module_loading import import_string

from catalog.registry import register_source_kind

# In the order in which people choose from them.
_KINDS: Final = (
    "github.GitHub",
    "gitlab.GitLab",
    "github_discovery.GitHubDiscovery",
    "gitlab_discovery.GitLabDiscovery",
    "kubernetes.Kubernetes",
    "aws.Aws",
    "jira.Jira",
    "pagerduty.PagerDuty",
    "prometheus.Prometheus",
    "git.Git",
    "backstage_files.BackstageFiles",
    "http.Http",
    "webhook.Webhook",
)


def register_all() -> None:
    """Let people add sources of these kinds; called once, by `CatalogConfig.ready()`."""
    for path in _KINDS:
        register_source_kind(import_string(f"{__name__}.{path}")())
