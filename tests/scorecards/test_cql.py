"""CQL over real entities: what compiles, what is true of whom, and what is refused where."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.kernel.errors import InvalidInput
from catalog.models import Entity, Fact, MetricPoint
from catalog.selectors.kinds import load_kinds
from catalog.selectors.sql import Sql
from catalog.services.blueprints.lifecycle import ensure_system_blueprints
from scorecards import cql
from scorecards.cql import CqlSyntaxError, tree
from scorecards.models import Score, Scorecard, ScorecardVersion
from scorecards.rules.compiled import Compilation, Compiled
from tests.factories import make_blueprint, make_entity
from tests.scorecards.cql_text import to_text

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)

SLOW = r"(\w|\d|[[:alpha:]]){0,255}" * 30  # takes PostgreSQL seconds to prepare

# Section 3.4 of the reference: each with what it is of ASKED, T(rue), F(alse) or - (no data).
ASKED = ("pay", "bad", "base")
PUBLIC = {
    "git != null": "TTF",
    "oncall != null": "TTF",
    "slack != null": "TFF",
    "k8s != null": "TFF",
    "jira != null": "TFF",
    "sonarqube != null": "TTF",
    "description != null": "TFF",
    "entity.description().length > 0": "T--",
    "entity.description() != null": "TFF",
    "ownership != null": "TFF",
    "ownership.teams().length >= 1": "TFF",
    "ownership.allOwners().length > 0": "TFF",
    'links("runbook").length > 0': "TFF",
    'links("dynatrace").anyMatch("https://.*.live.dynatrace.com/.*")': "TFF",
    'custom("slos") != null': "TFF",
    'custom("sox-scope") != "undefined"': "T--",
    'custom("testField") == "100"': "TF-",
    'jq(custom("test.coverage"), ".branch") > 75': "T--",
    'jq(custom("lineCount"), ". | tonumber") <= 200': "T--",
    'jq(custom("hasDeepReferences"), "not")': "TF-",
    'semver(jq(custom("runtime_info"), ".app_version")).isStable()': "T--",
    'git.fileExists("README.md")': "T--",
    'git.fileExists("a") or git.fileExists("b")': "---",
    'git.defaultBranch().matches("master")': "T--",
    "git.branchProtection() != null": "TFF",
    "git.numOfRequiredApprovals() > 0": "T--",
    'git.numOfVulnerabilities(severity=["CRITICAL","HIGH"]) == 0': "F--",
    'git.vulnerabilities(severity=["HIGH"],source=["GITHUB_ADVANCED_SECURITY"]).length < 1': "T--",
    'git.pullRequests().filter((pr) => pr.status == "OPEN").length <= 5': "T--",
    'git.codeSearch(query = "log4j|struts2").length == 0': "T--",
    'sonarqube.metric("coverage") >= 90': "T--",
    'captures("code-cov", sonarqube.metric("coverage")) > 50': "T--",
    "snyk.numOfIssues() == 0": "T--",
    "jira.numOfIssues() == 0": "---",
    "datadog.monitors().length > 0": "---",
    'oncall.analysis(lookback = duration("P1W")).meanSecondsToResolve < 3600': "T--",
    'oncall.analysis(lookback = duration("P1W")).meanSecondsToFirstAck < 300': "---",
    'oncall.analysis(lookback = duration("P1W")).offHourInterruptions < 3': "---",
    'deploys(lookback=duration("P7D")).length > 0': "T--",
    '(deploys(lookback=duration("P7D"),types=["ROLLBACK"]).length / '
    'deploys(lookback=duration("P7D"),types=["DEPLOY"]).length) > 0.05': "T--",
    "dependencies.in().length > 0": "FFF",
    'dependencies.out().any((d) => d.type == "AWS::S3::Bucket")': "FFF",
    "dependencies.out(includeArchived = true).any((d) => d.isArchived == true)": "TFF",
    "ownership.teams().filter(team => team.identityProviderGroups.any(group => "
    'group.source == "OKTA" and group.groupIdentifier == "X")).length > 0': "TFF",
    'groups().any((group) => group.name.matchesIn("tier-"))': "TTF",
    'hasGroup("tier-1")': "TFF",
    'entity.type() == "container" AND entity.tag() == "production"': "FFF",
    '!(entity.tag().matches(".*a.*") OR entity.tag().matches(".*b.*"))': "FFF",
    'entity.destinations(relationshipType = "ai-skill-service").length > 0': "TFF",
    'entity.sources(relationshipType = "ai-plugin-skills").length > 0': "FTF",
    'customMetrics(key="ai-spend", lookback=duration("P8D")).map((m) => '
    'm.value).average() <= jq(custom("ai-budget-weekly"), ". | tonumber") * 1.25': "T--",
    'customMetrics(key="ai-spend", lookback = duration("P1Y")).length > 0': "TFF",
    "verifications().lastVerifiedAt() != null and "
    'verifications().lastVerifiedAt().fromNow() > duration("P-90D")': "T-F",
    'jq(entity.descriptor(), ".info.\\"x-cortex-owners\\" | length") > 0': "TF-",
    "entity.isArchived()": "FFF",
    'custom("cloud-cost").cost.compute.actual <= 100': "T--",
    'tag = "x" and custom("foo") = "bar"': "FFF",
    'links("runbook").count > 0': "TFF",
    "openapi.paths.count > 0": "---",
    "documentation.count > 0": "FFF",
    "/* text */": "---",
}


@pytest.fixture(scope="module")
def catalogue(django_db_setup: Any, django_db_blocker: Any) -> Iterator[Compilation]:
    """A few entities with something of everything, for all tests of this module."""
    from django.db import transaction

    with django_db_blocker.unblock(), transaction.atomic():
        _make()
        yield Compilation(load_kinds(), NOW)
        transaction.set_rollback(True)


GOOD_FACTS: dict[str, Any] = {
    "git": {
        "fileExists": {"README.md": True, "a": False},
        "defaultBranch": "master",
        "branchProtection": {"reviews": 2},
        "requiredApprovals": 2,
        "numOfRequiredApprovals": 2,
        "vulnerabilities": [
            {"severity": "HIGH", "source": "SNYK"},
            {"severity": "low", "source": "GITHUB_ADVANCED_SECURITY"},
        ],
        "pullRequests": [{"status": "OPEN"}, {"status": "MERGED"}],
        "codeSearch": {"log4j|struts2": []},
    },
    "sonarqube": {"metric": {"coverage": 91.5}},
    "snyk": {"issues": []},
    "oncall": {"analysis": {"P1W": {"meanSecondsToResolve": 60}, "meanSecondsToFirstAck": 400}},
    "deploys": [
        {"timestamp": "2026-05-30T10:00:00Z", "type": "DEPLOY", "environment": "prod"},
        {"timestamp": "2026-05-31", "type": "ROLLBACK", "environment": "prod"},
        {"timestamp": "2026-01-01", "type": "DEPLOY", "environment": "test"},
        {"timestamp": "soon", "type": "DEPLOY"},
    ],
    "verifications": {"lastVerifiedAt": "2026-05-01T00:00:00+02:00"},
    "test.coverage": {"branch": 80, "line": 70},
    "lineCount": "150",
    "hasDeepReferences": False,
    "runtime_info": {"app_version": "v1.4.0"},
    "cloud-cost": {"cost": {"compute": {"actual": 99.5}}},
    "ai-budget-weekly": "10",
    "testField": "100",
    "sox-scope": True,
    "versions": ["1.10.0", "1.9.0-rc.1", "1.9.0"],
}
# The wrong kind of value everywhere, and numbers that PostgreSQL has no room for.
BAD_FACTS: dict[str, Any] = {
    "git": "yes",
    "sonarqube": {"metric": ["coverage"]},
    "snyk": {"numOfIssues": "none"},
    "oncall": {"analysis": [1, {"timestamp": "2026-02-30"}, None]},
    "deploys": {"timestamp": 5},
    "verifications": {"lastVerifiedAt": "0000-13-99T99:00:00Z"},
    "test.coverage": {"branch": 1e300},
    "lineCount": "1e999999999",
    "hasDeepReferences": "not sure",
    "runtime_info": {"app_version": "1.2.3.4"},
    "cloud-cost": {"cost": {"compute": {"actual": "99"}}},
    "ai-budget-weekly": "NaN",
    "testField": 100,
    "versions": [None, 1, {}, "01.x"],
    "groups": {"tier-1": True},
    "links": "https://",
}


def _make() -> None:
    ensure_system_blueprints()
    make_blueprint("bucket", properties={"lifecycle": {"type": "string"}})
    make_blueprint(
        "service",
        properties={"description": {"type": "string"}, "tags": {"type": "array"}},
        relations={
            "dependsOn": _to("bucket", many=True),
            "ai_skill_service": _to("service", many=True),
            "owner": _to("_user"),
        },
    )
    make_blueprint("container")
    make_blueprint("plugin", relations={"aiPluginSkills": _to("service", many=True)})
    make_entity("_user", "ann@example.com", title="Ann")
    make_entity(
        "_team",
        "core",
        title="Core",
        relations={"members": ["ann@example.com"]},
        descriptor={"info": {"x-cortex-team": {"groups": [{"name": "X", "provider": "OKTA"}]}}},
    )
    make_entity("bucket", "old", properties={"lifecycle": "archived"})
    make_entity("bucket", "new")
    make_entity("container", "production")
    make_entity("service", "base")
    pay = make_entity(
        "service",
        "pay",
        title="Payments",
        team=["core", "unknown-team"],
        properties={
            "description": "Takes money",
            "tags": ["tier-1", "java"],
            "runbook": "https://runbooks.example.com/pay",
            "links": [{"url": "https://x.live.dynatrace.com/y", "type": "Dynatrace"}],
            "annotations": {"jira/project-key": "PAY", "backstage.io/kubernetes-id": "pay"},
        },
        relations={
            "dependsOn": ["old", "new"],
            "ai_skill_service": ["base"],
            "owner": "ann@example.com",
        },
        descriptor={
            "info": {
                "x-cortex-slack": {"channels": [{"name": "pay"}]},
                "x-cortex-owners": [{"type": "email", "email": "bob@example.com"}],
                "x-cortex-groups": ["kind:api"],
                "x-cortex-custom-metadata": {
                    "slos": {"value": [1], "description": "Ours"},
                    "foo": "bar",
                },
            }
        },
    )
    bad = make_entity(
        "service",
        "bad",
        properties={"tags": ["tier-9"], "annotations": "none", "links": {"url": 5}},
        descriptor={"info": "none"},
    )
    make_entity("plugin", "tools", relations={"aiPluginSkills": ["bad"]})
    Fact.objects.bulk_create(
        Fact(entity=one, key=key, value=value, collected_at=NOW, updated_at=NOW, updated_by="x")
        for one, facts in ((pay, GOOD_FACTS), (bad, BAD_FACTS))
        for key, value in facts.items()
    )
    MetricPoint.objects.bulk_create(
        MetricPoint(entity=pay, key="ai-spend", at=NOW - timedelta(days=days), value=value)
        for days, value in ((1, 10.0), (2, 12.0), (30, 500.0))
    )
    scorecard = Scorecard.objects.create(
        identifier="prod",
        document={},
        created_at=NOW,
        created_by="x",
        updated_at=NOW,
        updated_by="x",
    )
    Scorecard.objects.create(
        identifier="hidden",
        state="draft",
        document={},
        created_at=NOW,
        created_by="x",
        updated_at=NOW,
        updated_by="x",
    )
    levels = [{"title": ""}, {"title": "Silver"}, {"title": "Gold"}]
    ScorecardVersion.objects.create(
        scorecard=scorecard, version=1, dialect="native", document={}, levels=levels, at=NOW, by="x"
    )
    Score.objects.create(
        scorecard=scorecard,
        entity=pay,
        statuses="P",
        rank=2,
        level="Gold",
        version=1,
        evaluated_at=NOW,
        data_as_of=NOW,
        since=NOW,
    )


def _to(target: str, *, many: bool = False) -> dict[str, Any]:
    return {"title": target, "target": target, "many": many, "required": False}


def _truths(compiled: Mapping[str, Compiled]) -> dict[str, str]:
    """A letter for each of ASKED: true, false or no data. The evidence is asked for too."""
    annotations: dict[str, Any] = {}
    for index, one in enumerate(compiled.values()):
        pieces = [piece for part in one.parts for piece in (part.actual, part.verdict)]
        places = ", ".join(["{}"] * len(pieces))
        annotations[f"verdict{index}"] = one.verdict
        annotations[f"evidence{index}"] = Sql(f"jsonb_build_array({places})::text", *pieces)
    rows = Entity.objects.filter(identifier__in=[*ASKED]).annotate(**annotations)
    found = {row["identifier"]: row for row in rows.values("identifier", *annotations)}
    return {
        text: "".join(LETTERS[found[one][f"verdict{index}"]] for one in ASKED)
        for index, text in enumerate(compiled)
    }


LETTERS = {True: "T", False: "F", None: "-"}

# How null, types and odd data come out.
CASES = {
    # null
    "null == null": "TTT",
    "null != null": "FFF",
    'custom("nothing") == null': "TTT",
    'custom("nothing") == custom("nothing")': "---",
    'custom("nothing") != 5': "---",
    'custom("nothing") > 5 or hasGroup("tier-1")': "T--",
    'custom("nothing") > 5 and hasGroup("tier-1")': "-FF",
    '!(custom("nothing") > 5)': "---",
    'jq(custom("nothing"), "not")': "---",
    'custom("nothing").a.b.c.length == 1': "---",
    "documentation != null": "FFF",
    "runbooks != null": "TFF",
    "docs != null": "FFF",
    # kinds of values
    'custom("testField") == 100': "FT-",
    'custom("testField") > 99': "-T-",
    'custom("testField") < custom("lineCount")': "T--",
    'custom("sox-scope")': "T--",
    'custom("hasDeepReferences") == false': "TF-",
    'custom("foo") == "bar" AND custom("slos").length = 1': "T--",
    'custom("test.coverage").branch / 0 > 1': "---",
    'custom("test.coverage").branch / custom("test.coverage").line > 1.14': "T--",
    "-(2 - 3) * 2 == 2": "TTT",
    "1 - 1 - 1 == -1": "TTT",
    '[1, "a", null].length == 3': "TTT",
    "[1, 2, 6].sum() == 9 and [1, 2, 6].average() == 3 and [3, 1].min() == 1": "TTT",
    '[].sum() == 0 and [].average() == null and ["b", "c"].max() == "c"': "TTT",
    '["a", 1].average() == null': "TTT",
    "[1, null].any(x => x > 1) == null": "TTT",
    "[1, null].any(x => x == 1) and ![3, null].all(x => x < 2)": "TTT",
    "[[1, 2], [3]].map(x => x.length).sum() == 3": "TTT",
    "[[1, 2], [3]].any(x => x.any(y => y == 3 and x.length == 1))": "TTT",
    '["a"].any(x => hasGroup("tier-1"))': "TFF",
    '"abc" < "abd" and "Z" < "a"': "TTT",
    # texts and patterns
    'entity.tag().matches("pa")': "FFF",
    'entity.tag().matchesIn("pa") and entity.tag().matches("p.y")': "TFF",
    'entity.name().matches("(?i)PAYMENTS")': "TFF",
    'entity.tag().matches("bad|base")': "FTT",
    'entity.name().lower().startsWith("pay") and entity.name().upper().endsWith("NTS")': "TFF",
    'entity.name().contains("%")': "FFF",
    'custom("versions").contains("1.9.0")': "TF-",
    # moments
    'date("2026-06-02").fromNow() == duration("PT12H")': "TTT",
    'entity.created() < now() + duration("P1000Y")': "TTT",
    'now() - date("2026-05-31T12:00:00Z") = duration("P1D")': "TTT",
    'duration("P2W") / duration("P1D") == 14 and duration("P1D") * 2 > duration("PT47H")': "TTT",
    'verifications().lastVerifiedAt() > date("2026-04-30")': "T--",
    'verifications().lastVerifiedAt() > "2026-04-30"': "TF-",
    "deploys().length == 4": "T--",
    'deploys(types = ["deploy"], environments = ["PROD"]).length == 1': "T--",
    'deploys(lookback = duration("P2D")).length == 1': "T--",
    'deploys().map(d => d.timestamp).max() == "soon"': "T--",
    # versions
    'semver("1.10.0") > "1.9.0" and semver("1.0.0-rc.2") < "1.0.0"': "TTT",
    'semver("1.0.0-rc.10") > "1.0.0-rc.9" and semver("1.0.0-1") < "1.0.0-a"': "TTT",
    'semver("0.9.0").isStable()': "FFF",
    'semver("v1.0+build").isStable() and semver("1.0") == "1.0.0"': "TTT",
    'semver("1.0.0-alpha") < "1.0.0-alpha.1"': "TTT",
    'custom("versions").all(v => semver(v) >= "1.9.0-rc.1")': "T--",
    # programs
    'jq(custom("cloud-cost"), ".cost.compute.actual") == 99.5': "TF-",
    r'jq(custom("cloud-cost"), ".cost[\"compute\"] | length") == 1': "TT-",
    'jq(custom("versions"), ".[2]") == "1.9.0"': "TF-",
    'jq(custom("hasDeepReferences"), ". == false")': "TF-",
    'jq(custom("lineCount"), "tonumber") + 1 == 151': "T--",
    # around it
    'ownership.teams().any(t => t.tag == "core" and t.members.any(m => m.name == "Ann"))': "TFF",
    "ownership.allOwners().length == 4 and ownership.individuals().length == 2": "TFF",
    "dependencies.out().length == 1 and dependencies.out(includeArchived = true).count == 2": "TFF",
    'entity.destinations("ai_skill_service", depth = 3).any(e => e.tag == "base")': "TFF",
    'entity.sources("ai_skill_service").any(e => e.title == "Payments")': "FFT",
    'relation("dependsOn").any(b => b.properties.lifecycle == "archived")': "TFF",
    'related("plugin").length == 1': "FTF",
    'property("description").length > 5': "T--",
    'computed("nothing") == null': "TTT",
    "groups().length == 3": "TFF",
    'hasGroup("kind:api") and entity.type() == "service"': "TFF",
    'level("prod") >= "Silver"': "T--",
    'level("prod") == "Gold" and "Silver" < level("prod")': "T--",
    "jira.projects == null": "TTT",
    'slack.channels.length == 1 and slack.channels().any(c => c.name == "pay")': "T--",
    "snyk.issues().length == 0": "T--",
    'oncall.analysis(lookback = duration("P1M")).meanSecondsToFirstAck == 400': "T--",
}


@pytest.mark.django_db
@pytest.mark.parametrize("cases", [PUBLIC, CASES], ids=["public", "own"])
def test_what_is_true_of_whom(catalogue: Compilation, cases: dict[str, str]) -> None:
    compiled = {text: cql.compile(text, catalogue) for text in cases}
    assert _truths(compiled) == cases
    problems = {text: one.problem for text, one in compiled.items() if one.problem}
    assert problems == {key: UNSUPPORTED[key] for key in cases if key in UNSUPPORTED}


# Of the public expressions, those that can only be "no data", and why.
UNSUPPORTED = {"/* text */": "The expression says nothing yet: there is only a comment"}


@pytest.mark.django_db
def test_every_rule_and_query_of_the_real_files_compiles(
    catalogue: Compilation, test_data: Path
) -> None:
    texts: set[str] = set()
    for file in (test_data / "cortex" / "scorecards").glob("*.yaml"):
        document = yaml.safe_load(file.read_text())
        texts |= {rule["expression"] for rule in document["rules"]}
        texts |= {document["filter"]["query"]} if "query" in document["filter"] else set()
    compiled = {text: cql.compile(text, catalogue) for text in sorted(texts)}
    problems = {text for text, one in compiled.items() if one.problem}
    assert len(texts) == 62
    assert problems == {text for text in texts if text.startswith("/*")}
    assert len(_truths(compiled)) == len(texts)


@pytest.mark.django_db
def test_a_rule_falls_into_parts_with_their_text_and_what_they_read(
    catalogue: Compilation,
) -> None:
    text = (
        'hasGroup("tier-1") and !(sonarqube.metric("coverage") < 80 or (git != null)) and '
        '3 < captures("n", jq(custom("versions"), "map(length) | add")) + entity.tag().length'
    )
    compiled = cql.compile(text, catalogue)
    assert [(part.text, part.capture) for part in compiled.parts] == [
        ('hasGroup("tier-1")', ""),
        ('sonarqube.metric("coverage") < 80', ""),
        ("(git != null)", ""),
        (
            '3 < captures("n", jq(custom("versions"), "map(length) | add")) + entity.tag().length',
            "n",
        ),
    ]
    assert compiled.tree == ("and", (0, ("not", (("or", (1, 2)),)), 3))
    assert compiled.calls == (0,)
    assert catalogue.calls[0].program == "map(length) | add"
    assert compiled.reads.facts == {"groups", "sonarqube", "git", "versions"}
    assert compiled.reads.sources == {"sonarqube", "git"}
    assert not compiled.reads.is_timed
    reads = cql.compile('deploys(lookback = duration("P1D")).length > 0', catalogue).reads
    assert reads.is_timed
    assert cql.compile("ownership.teams().length > 0", catalogue).reads.is_related
    shown = Entity.objects.annotate(actual=compiled.parts[1].actual).get(identifier="pay")
    assert shown.actual == 91.5  # type: ignore[attr-defined]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("gti != null", "gti is not supported; did you mean git"),
        ('hasGroups("x")', "hasGroups() is not supported; did you mean hasGroup"),
        ("git.blame() == null", "git.blame() is not supported"),
        ('git.fileExist("x")', "git.fileExist() is not supported; did you mean fileExists"),
        ("entity.owner() != null", "entity.owner() is not supported"),
        ("groups().size > 1", ".size of a list is not supported"),
        ('relation("dependOn").length > 1', '"dependOn"; did you mean dependsOn'),
        ('related("buckets").length > 1', '"buckets"; did you mean bucket'),
        ('level("prodd") > "Gold"', '"prodd"; did you mean prod'),
        ('level("hidden") > "Gold"', 'There is no scorecard "hidden"'),
        ('level("prod") > "Glod"', '"Glod"; did you mean Gold'),
        ('deploys(since = "x").length > 1', "deploys(since = …) is not supported"),
        ('custom(custom("x")) != null', "the key must be written out"),
        ('entity.tag().matches(custom("x"))', "a pattern must be written out"),
        ('[1].any(x => jq(x, "map(1)"))', "within a function is not supported"),
    ],
)
def test_what_is_not_known_here_has_no_data(
    catalogue: Compilation, text: str, problem: str
) -> None:
    compiled = cql.compile(text, catalogue)
    assert problem in compiled.problem
    assert _truths({text: compiled})[text] == "---"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("git ! null", (1, 5), "found !"),
        ("git !=\n  ", (1, 7), "found the end; expected a value"),
        ("a == 1 &&\nb == 2", (1, 8), 'Write "and"'),
        ("a == 1 || b == 2", (1, 8), 'Write "or"'),
        ('not hasGroup("x")', (1, 5), "Write !( … )"),
        ("hasGroup('x')", (1, 10), "Texts stand in double quotes"),
        ('git != null and\n\n links"x" != null', (3, 7), 'Write links("…")'),
        ('hasGroup("x', (1, 10), "A text must end"),
        ("git != null /* why", (1, 14), "A comment must end"),
        ("(git != null", (1, 13), "found the end"),
        ("git != null)", (1, 12), "found )"),
        ("1 < 2 < 3", (1, 7), "found <"),
        ("", None, ""),
        ("5 and true", (1, 1), "found 5 (a number); expected true or false"),
        ('hasGroup("x") and "a" > 3', (1, 19), "of one type"),
        ("5", (1, 1), "expected true or false"),
        ("git.defaultBranch().length and true", (1, 1), "true or false"),
        ("null < 5", (1, 1), "has an order"),
        ('"a" + 1 == 2', (1, 1), "text + a number"),
        ('duration("P7X") > duration("P1D")', (1, 10), "ISO 8601 duration"),
        ('date("2026-13-01") > now()', (1, 6), "ISO 8601 date"),
        ('now() > "yesterday"', (1, 9), "ISO 8601 date"),
        ('semver("1.0.0") > "one"', (1, 19), "a version"),
        ('entity.tag().matches("(")', (1, 22), "a regular expression"),
        ('entity.tag().matches("a)(b")', (1, 22), "a regular expression"),
        (f'entity.tag().matches("{SLOW}")', (1, 22), "too complex"),
        (r'entity.tag().matches("(a)\\1")', (1, 22), "without references"),
        ("entity.tag().matches(5)", (1, 22), "a pattern, a text"),
        ("5.length > 1", (1, 1), "which has .length"),
        ("groups().any(5)", (1, 14), "a function: any(x => …)"),
        ('jq(custom("x"), ".a |") == 1', (1, 17), "a JQ program"),
        ("hasGroup()", (1, 1), "hasGroup() with group"),
        ("deploys(lookback = 7).length > 1", (1, 20), "a duration"),
        ("1e70 > 1", (1, 1), "at most 40 digits"),
        ("x == " + "9" * 50, (1, 6), "at most 40 digits"),
        ("a\0", (1, 2), "without NUL"),
        (r'custom("\u0000") == 1', (1, 8), "without NUL"),
        (r'custom("\ud800") == 1', (1, 8), "without NUL"),
        ("(" * 15_000, (1, 15_001), "found the end"),
        ("!" * 15_000 + "a", (1, 51), "at most 50 levels"),
        ("a" + ".b" * 9_000, (1, 1), "at most 50 levels"),
        ("a and " * 3_000 + "a", (1, 6_007), "at most 2,000 parts"),
        ("a" * 20_001, (1, 20_001), "at most 20,000"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    catalogue: Compilation, text: str, place: tuple[int, int] | None, words: str
) -> None:
    if place is None:
        assert cql.compile(text, catalogue).problem
        return
    with pytest.raises(InvalidInput) as caught:
        cql.compile(text, catalogue)
    assert words in str(caught.value)
    assert (caught.value.details["line"], caught.value.details["column"]) == place


@pytest.mark.django_db
def test_numbers_stay_within_what_the_database_can_hold(catalogue: Compilation) -> None:
    def balanced(leaf: str, count: int) -> str:
        return leaf if count == 1 else f"({' * '.join([balanced(leaf, count // 2)] * 2)})"

    product = f"{balanced('1e59', 512)} > 0"
    quotient = f"{balanced('(1e59 / 1e-39)', 256)} > 0 and 1 / {balanced('1e-39', 256)} == null"
    deep = "(" * 40 + 'custom("test.coverage").branch' + " * 2)" * 40 + " > 0"
    texts = {text: cql.compile(text, catalogue) for text in (product, quotient, deep)}
    assert list(_truths(texts).values()) == ["TTT", "TTT", "T--"]


@pytest.mark.django_db
def test_no_data_makes_the_database_stop(catalogue: Compilation) -> None:
    """Anything in any fact and property; the evidence is worked out as well."""
    rng = random.Random(5)
    odd: list[Any] = [
        *(
            True,
            0,
            -1.5,
            1e300,
            10**18,
            "",
            "x",
            "1e9",
            "2026-02-30",
            "2026-02-28T25:00",
            "[",
            "1.x",
        ),
        *([], {}, [None], [1, "a", {"type": 5, "timestamp": []}], {"a": {"b": [{"c": None}]}}),
        *({"analysis": [], "metric": {"coverage": []}, "issues": 5}, [[["x"]]], {"length": 1}),
    ]
    for number in range(12):
        chosen = {key: rng.choice(odd) for key in {*GOOD_FACTS, "groups", "links"}}
        properties = {key: rng.choice(odd) for key in ("links", "annotations", "runbook", "jira")}
        entity = make_entity("container", f"odd-{number}", properties=properties)
        Entity.objects.filter(pk=entity.pk).update(
            descriptor={"info": {key: rng.choice(odd) for key in DESCRIPTOR_KEYS}}
        )
        Fact.objects.bulk_create(
            Fact(entity=entity, key=key, value=value, collected_at=NOW, updated_at=NOW)
            for key, value in chosen.items()
        )
    for text in (*PUBLIC, *CASES):
        compiled = cql.compile(text, catalogue)
        pieces = [piece for part in compiled.parts for piece in (part.actual, part.verdict)]
        places = ", ".join(["{}"] * len(pieces))
        shown = Sql(f"jsonb_build_array({places})::text", *pieces)
        assert len(Entity.objects.annotate(shown=shown).values_list("shown")) > 12


DESCRIPTOR_KEYS = (
    *("description", "x-cortex-git", "x-cortex-groups", "x-cortex-link", "x-cortex-owners"),
    *("x-cortex-custom-metadata", "x-cortex-issues", "x-cortex-static-analysis", "x-cortex-slack"),
)


@pytest.mark.django_db
def test_the_deepest_expressions_are_answered(catalogue: Compilation) -> None:
    nested = "x"
    for _ in range(15):
        nested = f"[{nested}].map(x => x).filter(x => x != 1)"
    program = 'custom("versions")'
    for word in ("length", "tonumber", "not", ".a") * 5 + ("length",) * 3:
        program = f'jq({program}, "{word}")'
    called = 'custom("versions")'
    for _ in range(9):
        called = f'captures("a", jq({called}, ".a")).b'
    for text in (f"{nested} != null", f"{program} == 1", f"{called} == 1", "!" * 48 + "false"):
        compiled = cql.compile(text.replace("[x]", "[2]", 1), catalogue)
        assert not compiled.problem
        assert _truths({text: compiled})


@pytest.mark.django_db
def test_types_and_categories_of_cortex(catalogue: Compilation) -> None:
    kinds = catalogue.kinds

    def named(*names: str) -> set[str]:
        return {kinds.by_pk[pk].identifier for pk in cql.types_of(names, kinds)}

    assert named("SERVICE") == {"service"}
    assert named("Team", "Bucket", "no-such") == {"_team", "bucket"}
    assert named("TEAM") == {"_team"}
    assert {"bucket", "container", "plugin"} <= named("RESOURCE")
    assert not {"service", "_team", "_user"} & named("RESOURCE")
    found = Entity.objects.filter(cql.has_group(["tier-9", "kind:api"]))
    assert set(found.values_list("identifier", flat=True)) == {"pay", "bad"}
    grouped = Entity.objects.annotate(groups=cql.GROUPS).get(identifier="pay")
    assert grouped.groups == ["java", "kind:api", "tier-1"]  # type: ignore[attr-defined]


_names = st.from_regex(r"[a-z_][a-zA-Z0-9_]{0,5}", fullmatch=True).filter(
    lambda name: name not in ("and", "or", "true", "false", "null", "not")
)
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
_atoms = st.one_of(
    st.builds(tree.Text, _texts),
    st.builds(tree.Number, st.decimals(0, 10**6, places=2)),
    st.builds(tree.Boolean, st.booleans()),
    st.just(tree.Null()),
    st.builds(tree.Name, _names),
)


def _larger(nodes: st.SearchStrategy[tree.Node]) -> st.SearchStrategy[tree.Node]:
    values = st.one_of(nodes, st.builds(tree.Lambda, _names, nodes))
    arguments = st.lists(st.builds(tree.Argument, values), max_size=2).map(tuple)
    named = st.builds(tree.Argument, nodes, _names).map(lambda one: (one,))
    given_in = st.one_of(st.none(), arguments, named)
    several = st.lists(nodes, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(tree.Items, st.lists(nodes, max_size=3).map(tuple)),
        st.builds(tree.Name, _names, given_in),
        st.builds(tree.Member, nodes, _names, given_in),
        st.builds(tree.Negative, nodes),
        st.builds(tree.Arithmetic, nodes, st.sampled_from("+-*/"), nodes),
        st.builds(
            tree.Comparison, nodes, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), nodes
        ),
        st.builds(tree.Not, nodes),
        st.builds(tree.Joined, st.sampled_from(["and", "or"]), several),
    )


@settings(max_examples=40, deadline=None)
@given(st.recursive(_atoms, _larger, max_leaves=12))
def test_what_is_printed_is_read_again(node: tree.Node) -> None:
    assert cql.parse(to_text(node)) == node


_PIECES = [
    *(f" {word} " for word in ("and", "or", "==", "!=", "<", ">", "+", "/", "!", "not", "=>")),
    *("(", ")", "[", "]", ",", ".", '"', "\\", "/*", "*/", "x", "x => ", "1", "null", "true"),
    *('"a"', "git", "entity", ".tag()", ".length", 'custom("a")', "groups()", ".any(x => x.a)"),
    *('jq(custom("a"), ".b")', 'duration("P1D")', "now()", ".fromNow()", "deploys()", ".map("),
    *('.matches("a")', "ownership", ".teams()", "lookback = ", "runs", "docs", 'level("prod")'),
]


@pytest.mark.django_db
@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.one_of(st.lists(st.sampled_from(_PIECES), max_size=9).map("".join), st.text(max_size=30)))
def test_any_text_compiles_or_is_refused(catalogue: Compilation, text: str) -> None:
    try:
        compiled = cql.compile(text, catalogue)
    except CqlSyntaxError:
        return
    assert compiled.problem or _truths({text: compiled})
