"""CQL over real entities: what compiles, what is true of whom, and what is refused where."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.db import connection
from django.db.models import F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.kernel.errors import InvalidInput
from catalog.models import Entity, Fact, MetricPoint
from catalog.selectors.kinds import load_kinds
from scorecards import cql
from scorecards.cql import tree
from scorecards.models import Score, Scorecard, ScorecardVersion
from scorecards.rules.compiled import Compilation, Compiled
from tests.factories import make_blueprint, make_entity

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)

# Section 3.4 of the reference.
PUBLIC = [
    "git != null",
    "oncall != null",
    "slack != null",
    "k8s != null",
    "jira != null",
    "sonarqube != null",
    "description != null",
    "entity.description().length > 0",
    "entity.description() != null",
    "ownership != null",
    "ownership.teams().length >= 1",
    "ownership.allOwners().length > 0",
    'links("runbook").length > 0',
    'links("dynatrace").anyMatch("https://.*.live.dynatrace.com/.*")',
    'custom("slos") != null',
    'custom("sox-scope") != "undefined"',
    'custom("testField") == "100"',
    'jq(custom("test.coverage"), ".branch") > 75',
    'jq(custom("lineCount"), ". | tonumber") <= 200',
    'jq(custom("hasDeepReferences"), "not")',
    'semver(jq(custom("runtime_info"), ".app_version")).isStable()',
    'git.fileExists("README.md")',
    'git.fileExists("a") or git.fileExists("b")',
    'git.defaultBranch().matches("master")',
    "git.branchProtection() != null",
    "git.numOfRequiredApprovals() > 0",
    'git.numOfVulnerabilities(severity=["CRITICAL","HIGH"]) == 0',
    'git.vulnerabilities(severity=["HIGH"],source=["GITHUB_ADVANCED_SECURITY"]).length < 1',
    'git.pullRequests().filter((pr) => pr.status == "OPEN").length <= 5',
    'git.codeSearch(query = "log4j|struts2").length == 0',
    'sonarqube.metric("coverage") >= 90',
    'captures("code-cov", sonarqube.metric("coverage")) > 50',
    "snyk.numOfIssues() == 0",
    "jira.numOfIssues() == 0",
    "datadog.monitors().length > 0",
    'oncall.analysis(lookback = duration("P1W")).meanSecondsToResolve < 3600',
    'oncall.analysis(lookback = duration("P1W")).meanSecondsToFirstAck < 300',
    'oncall.analysis(lookback = duration("P1W")).offHourInterruptions < 3',
    'deploys(lookback=duration("P7D")).length > 0',
    '(deploys(lookback=duration("P7D"),types=["ROLLBACK"]).length / '
    'deploys(lookback=duration("P7D"),types=["DEPLOY"]).length) > 0.05',
    "dependencies.in().length > 0",
    'dependencies.out().any((d) => d.type == "AWS::S3::Bucket")',
    "dependencies.out(includeArchived = true).any((d) => d.isArchived == true)",
    "ownership.teams().filter(team => team.identityProviderGroups.any(group => "
    'group.source == "OKTA" and group.groupIdentifier == "X")).length > 0',
    'groups().any((group) => group.name.matchesIn("tier-"))',
    'hasGroup("tier-1")',
    'entity.type() == "container" AND entity.tag() == "production"',
    '!(entity.tag().matches(".*a.*") OR entity.tag().matches(".*b.*"))',
    'entity.destinations(relationshipType = "ai-skill-service").length > 0',
    'entity.sources(relationshipType = "ai-plugin-skills").length > 0',
    'customMetrics(key="ai-spend", lookback=duration("P8D")).map((m) => m.value).average() <= '
    'jq(custom("ai-budget-weekly"), ". | tonumber") * 1.25',
    'customMetrics(key="ai-spend", lookback = duration("P1Y")).length > 0',
    "verifications().lastVerifiedAt() != null and "
    'verifications().lastVerifiedAt().fromNow() > duration("P-90D")',
    r'jq(entity.descriptor(), ".info.\"x-cortex-owners\" | length") > 0',
    "entity.isArchived()",
    'custom("cloud-cost").cost.compute.actual <= 100',
    'tag = "x" and custom("foo") = "bar"',
    'links("runbook").count > 0',
    "openapi.paths.count > 0",
    "documentation.count > 0",
    "/* text */",
]
# Those that can only be "no data", and why.
UNANSWERED = {"/* text */": "only a comment"}


@pytest.fixture(scope="module")
def catalogue(django_db_setup: Any, django_db_blocker: Any) -> Iterator[Compilation]:
    """A few entities with something of everything, for all tests of this module."""
    from django.db import transaction

    with django_db_blocker.unblock(), transaction.atomic():
        _make()
        yield Compilation(load_kinds(), NOW)
        transaction.set_rollback(True)


def _make() -> None:
    make_blueprint("bucket")
    make_blueprint("plugin", relations={"ai_plugin_skills": _to("service", many=True)})
    pass


def _to(target: str, *, many: bool = False) -> dict[str, Any]:
    return {"title": target, "target": target, "many": many, "required": False}
