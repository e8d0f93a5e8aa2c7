"""The resource kinds of GitLab, named as in Ocean's integration, with the selectors they take."""

from __future__ import annotations

from typing import Any, Final

from catalog.kernel.source import ResourceKind

Schema = dict[str, Any]


def _text(title: str) -> Schema:
    return {"type": "string", "title": title}


def _texts(title: str) -> Schema:
    return {"type": "array", "items": {"type": "string"}, "title": title}


def _choice(title: str, *values: str) -> Schema:
    return {"type": "string", "enum": list(values), "title": title}


# Mappings write switches as true and as "true".
def _flag(title: str) -> Schema:
    return {"enum": [True, False, "true", "false"], "title": title}


def _days(title: str) -> Schema:
    return {"type": "number", "exclusiveMinimum": 0, "title": title}


_INCLUDED: Final[Schema] = {
    "includedFiles": _texts("Files whose text is added as __includedFiles[path]")
}
_MEMBERS: Final[Schema] = {
    "includeBotMembers": _flag("With the bots of access tokens"),
    "includeInheritedMembers": _flag("With members of the groups above"),
}
_REPOS: Final[Schema] = {
    "type": "array",
    "items": {
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"name": _text("Project"), "branch": _text("Branch")},
                "required": ["name"],
            },
        ]
    },
    "title": "Only of these projects (path, name or number)",
}


def _paths(title: str, **more: Schema) -> Schema:
    one = {
        "type": "object",
        "properties": {
            "path": _text("Path; * stays within a folder, ** does not"),
            "repos": _REPOS,
            **more,
        },
    }
    return {"anyOf": [{"type": "array", "items": one}, one], "title": title}


_IN_PROJECT: Final = '.__project.path_with_namespace + "/" + (%s | tostring)'

RESOURCES: Final = (
    ResourceKind(
        "project",
        "Projects",
        ".path_with_namespace",
        selector={
            "includeLanguages": _flag("With their languages, as __languages"),
            "includeLabels": _flag("With their labels, as __labels"),
            "searchQueries": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": _text("Name"),
                        "scope": _text("Scope"),
                        "query": _text("Query"),
                    },
                    "required": ["name", "query"],
                },
                "title": "Searches, whose success is added as __searchQueries[name]",
            },
            **_INCLUDED,
        },
    ),
    ResourceKind("group", "Groups", ".full_path"),
    ResourceKind("group-with-members", "Groups and their members", ".full_path", selector=_MEMBERS),
    ResourceKind(
        "project-with-members",
        "Projects and their members",
        ".path_with_namespace",
        selector=_MEMBERS,
    ),
    ResourceKind(
        "member", "People", ".username", description="The members of groups.", selector=_MEMBERS
    ),
    ResourceKind(
        "merge-request",
        "Merge requests",
        _IN_PROJECT % ".iid",
        selector={
            "states": {
                "type": "array",
                "items": {"enum": ["opened", "merged", "closed", "locked"]},
                "title": "States",
            },
            "updatedAfter": _days("Those not open: changed within how many days"),
        },
    ),
    ResourceKind(
        "issue",
        "Issues",
        _IN_PROJECT % ".iid",
        selector={
            "state": _choice("State", "opened", "closed"),
            "issueType": _choice("Type", "issue", "incident", "test_case", "task"),
            "labels": _text("With all of these labels, between commas"),
            "updatedAfter": _days("Changed within how many days"),
        },
    ),
    ResourceKind(
        "pipeline",
        "Pipelines",
        _IN_PROJECT % ".id",
        selector={
            "apiQueryParams": {
                "type": "object",
                "title": "What GitLab's list of pipelines is asked (ref, status, updated_after, …)",
            }
        },
    ),
    ResourceKind(
        "job", "Jobs", _IN_PROJECT % ".id", description="The latest hundred of each project."
    ),
    ResourceKind("release", "Releases", _IN_PROJECT % ".tag_name"),
    ResourceKind("tag", "Tags", _IN_PROJECT % ".name"),
    ResourceKind(
        "branch",
        "Branches",
        _IN_PROJECT % ".name",
        selector={
            "defaultBranchOnly": _flag("Only the default branch (default: yes)"),
            "search": _text("Names that hold this text"),
            "regex": _text("Names that fit this expression (RE2)"),
        },
    ),
    ResourceKind(
        "deployment",
        "Deployments",
        _IN_PROJECT % ".id",
        selector={
            "environment": _text("Environment"),
            "status": _choice(
                "Status", "created", "running", "success", "failed", "canceled", "blocked"
            ),
        },
    ),
    ResourceKind(
        "folder",
        "Folders",
        '.repo.path_with_namespace + "/" + .folder.path',
        selector={"folders": _paths("Which folders", **_INCLUDED), **_INCLUDED},
    ),
    ResourceKind(
        "file",
        "Files",
        '.repo.path_with_namespace + "/" + .file.path',
        description="With their content; JSON and YAML as values.",
        selector={
            "files": _paths(
                "Which files",
                skipParsing=_flag("Content as text"),
                searchStrategy=_text("Not used: files are found in the tree of the branch"),
            ),
            **_INCLUDED,
        },
    ),
)
