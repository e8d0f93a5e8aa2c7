"""The resource kinds of GitHub, named as in Ocean's integration, with the selectors they take."""

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


def _choices(title: str, *values: str) -> Schema:
    return {"type": "array", "items": {"enum": list(values)}, "title": title}


def _flag(title: str) -> Schema:
    return {"type": "boolean", "title": title}


def _number(title: str) -> Schema:
    return {"type": "integer", "minimum": 1, "title": title}


_SEARCH: Final[Schema] = {
    "repoSearch": {
        "type": "object",
        "properties": {"query": _text("In the words of GitHub's search of repositories")},
        "title": "Only of the repositories that a search finds (1,000 at most)",
    }
}
_INCLUDED: Final[Schema] = {
    "includedFiles": _texts("Files whose text is added as __includedFiles[path]")
}
_REPOS: Final[Schema] = {
    "type": "array",
    "items": {
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"name": _text("Repository"), "branch": _text("Branch")},
                "required": ["name"],
            },
        ]
    },
    "title": "Only of these repositories",
}


def _paths(title: str, **more: Schema) -> Schema:
    return {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "path": _text("Path; * stays within a folder, ** does not"),
                "organization": _text("Only of this organisation"),
                "repos": _REPOS,
                **more,
            },
        },
        "title": title,
    }


# A relation leads to the repository, so identifiers of what is in it begin with its name.
_IN_REPOSITORY = '.__repository + "/" + (%s | tostring)'


def _of_repository(
    name: str, title: str, identifier: str, *aliases: str, **selector: Schema
) -> ResourceKind:
    return ResourceKind(
        name, title, _IN_REPOSITORY % identifier, aliases=aliases, selector=selector | _SEARCH
    )


RESOURCES: Final = (
    ResourceKind(
        "organization", "Organisations", ".login", selector={}, description="Or users' accounts."
    ),
    ResourceKind(
        "repository",
        "Repositories",
        ".name",
        selector={
            **_INCLUDED,
            "include": _choices("Add to each", "collaborators", "teams", "sbom"),
            "includedRelations": {
                "type": "object",
                "title": "Add to each",
                "properties": {
                    "collaborators": {
                        "type": "object",
                        "title": "Collaborators",
                        "properties": {
                            "affiliation": _choice("Of these", "all", "direct", "outside")
                        },
                    },
                    "teams": _flag("Teams"),
                    "sbom": _flag("Bill of materials (SBOM)"),
                    "customProperties": _flag("Custom properties"),
                    "pages": _flag("GitHub Pages"),
                },
            },
            **_SEARCH,
        },
    ),
    _of_repository(
        "pull-request",
        "Pull requests",
        ".number",
        states=_choices("States", "open", "closed"),
        maxResults=_number("How many closed ones at most, of each repository"),
        since=_number("Closed ones of how many days"),
        closedSinceDate=_text("Closed ones since this date"),
        api=_text("Not used: lists come from the REST API"),
    ),
    _of_repository(
        "issue",
        "Issues",
        ".number",
        state=_choice("State", "open", "closed", "all"),
        labels=_texts("With all of these labels"),
    ),
    _of_repository("workflow", "Workflows", ".id", "github-workflow"),
    _of_repository(
        "workflow-run",
        "Workflow runs",
        ".id",
        statuses=_texts("Statuses or conclusions"),
        since=_number("Of how many days"),
        since_date=_text("Since this date"),
        maxRuns=_number("How many of each workflow (100 at most)"),
    ),
    _of_repository("release", "Releases", ".id"),
    _of_repository("tag", "Tags", ".name"),
    _of_repository(
        "branch",
        "Branches",
        ".name",
        detailed=_flag("With the latest commit"),
        protectionRules=_flag("With the protection rules"),
        defaultBranchOnly=_flag("Only the default branch"),
        branchNames=_texts("Only these branches"),
    ),
    _of_repository(
        "environment",
        "Environments",
        ".name",
        includeVariables=_flag("Not used: variables may hold what is not for everyone"),
    ),
    _of_repository(
        "deployment",
        "Deployments",
        ".id",
        task=_text("Task"),
        environment=_text("Environment"),
    ),
    _of_repository(
        "deployment-status",
        "Deployment statuses",
        ".id",
        task=_text("Task of the deployment"),
        environment=_text("Environment of the deployment"),
    ),
    _of_repository(
        "dependabot-alert",
        "Dependabot alerts",
        ".number",
        states=_choices("States", "open", "fixed", "dismissed", "auto_dismissed"),
        severity=_choices("Severities", "low", "medium", "high", "critical"),
        ecosystems=_texts("Ecosystems, like npm"),
    ),
    _of_repository(
        "code-scanning-alerts",
        "Code scanning alerts",
        ".number",
        "code-scanning-alert",
        state=_choice("State", "open", "closed", "dismissed", "fixed"),
        severity=_text("Severity"),
    ),
    _of_repository(
        "secret-scanning-alerts",
        "Secret scanning alerts",
        ".number",
        "secret-scanning-alert",
        state=_choice("State", "open", "resolved", "all"),
        hideSecret=_flag("Not used: the secret itself is never read"),
    ),
    _of_repository(
        "collaborator",
        "Collaborators",
        ".login",
        affiliation=_choice("Which", "all", "direct", "outside"),
    ),
    ResourceKind(
        "team",
        "Teams",
        ".slug",
        selector={"members": _flag("With their members (default: yes)")},
    ),
    ResourceKind("user", "People", ".login", description="The members of the organisations."),
    ResourceKind(
        "folder",
        "Folders",
        '.repo.name + "/" + .folder.path',
        selector={"folders": _paths("Which folders", **_INCLUDED), **_INCLUDED, **_SEARCH},
    ),
    ResourceKind(
        "file",
        "Files",
        '.repo.name + "/" + .path',
        description="With their content; JSON and YAML as values.",
        selector={
            "files": _paths("Which files", skipParsing=_flag("Content as text")),
            **_INCLUDED,
            **_SEARCH,
        },
    ),
)
