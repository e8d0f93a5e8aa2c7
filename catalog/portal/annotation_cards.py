"""The card "Tools" of an entity: where its annotations lead, with what is known of it there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from catalog.kernel.errors import shorten
from catalog.models import Entity
from catalog.portal.annotation_links import (
    TOOLS,
    Annotations,
    Bases,
    Link,
    Tool,
    annotations_of,
    links_of,
)
from catalog.portal.entity_tabs import Card, Context
from catalog.portal.shell import PortalRequest
from catalog.selectors.annotation_facts import (
    Known,
    Pointing,
    Thing,
    known_addresses,
    known_things,
)
from catalog.selectors.kinds import Kind

_OPEN: Final = ("open", "draft")
_POINTING: Final = {
    "github": (
        "githubRepository",
        (
            Pointing(
                "githubPullRequest", "status", _OPEN, "open pull request", "open pull requests"
            ),
            Pointing("githubIssue", "status", ("open",), "open issue", "open issues"),
        ),
    ),
    "gitlab": (
        "gitlabProject",
        (
            Pointing(
                "gitlabMergeRequest",
                "status",
                ("opened", "draft"),
                "open merge request",
                "open merge requests",
            ),
        ),
    ),
    "jira": (
        "jiraProject",
        (
            Pointing(
                "jiraIssue",
                "statusCategory",
                ("Done",),
                "open issue",
                "open issues",
                is_not=True,
            ),
        ),
    ),
    "pagerduty": (
        "pagerdutyService",
        (
            Pointing(
                "pagerdutyIncident",
                "status",
                ("triggered", "acknowledged"),
                "open incident",
                "open incidents",
            ),
        ),
    ),
}
_URGENT: Final = "pagerduty"  # what is open there is bad news


@dataclass(frozen=True, slots=True)
class Fact:
    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A tool with its links. entity: the thing as the catalogue knows it."""

    tool: Tool
    value: str
    links: list[Link]
    facts: list[Fact]
    entity: Entity | None


def context(request: PortalRequest, entity: Entity, kind: Kind) -> Context | None:
    annotations = annotations_of(entity)
    tools = [tool for tool in TOOLS if tool.value(annotations)]
    if not tools:
        return None
    bases = Bases(known_addresses())
    known = known_things(request.user, list(_things(tools, annotations)))
    lines = []
    for tool in tools:
        there = known.get(tool.name)
        links = links_of(tool, annotations, bases)
        if links or there:
            lines.append(
                Line(
                    tool,
                    shorten(tool.value(annotations), 80),
                    links,
                    _facts(there) if there else [],
                    there.entity if there else None,
                )
            )
    return {"lines": lines} if lines else None


CARD: Final = Card("tools", "catalog/entity/tools_card.html", context)


def _things(tools: list[Tool], annotations: Annotations) -> Iterator[Thing]:
    for tool in tools:
        identifier = annotations.get(tool.key)
        if tool.name in _POINTING and identifier and "\0" not in identifier:
            blueprint, pointing = _POINTING[tool.name]
            yield Thing(tool.name, blueprint, identifier, pointing)


def _facts(known: Known) -> list[Fact]:
    facts = []
    for sort, count in known.counts:
        tone = "silver" if not count else "red" if known.thing.tool == _URGENT else ""
        facts.append(Fact(f"{count:,} {sort.one if count == 1 else sort.many}", tone))
    on_call = known.entity.properties.get("oncall")
    if isinstance(on_call, str) and on_call:
        facts.append(Fact(f"On call: {on_call}", "blue"))
    return facts
