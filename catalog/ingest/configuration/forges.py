"""`integrations`, `github` and `catalog.providers`: sources that read GitHub and GitLab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from catalog.dialects.backstage.config import Entry, every
from catalog.ingest.configuration.report import Status
from catalog.ingest.configuration.taking import Taking, identifier_of
from catalog.kernel.errors import InvalidInput
from catalog.models import Integration

GITHUB: Final = "github.com"
GITLAB: Final = "gitlab.com"

_DEFAULT_FREQUENCY: Final = "every 30m"
_OUR_OWN: Final = "our own client retries and waits for limits by itself"


def take_forges(taking: Taking, root: Entry) -> None:
    hosts: dict[str, set[str]] = {"github": set(), "gitlab": set()}
    integrations = root.get("integrations")
    for kind, take in (("github", _github), ("gitlab", _gitlab)):
        if integrations and (entries := integrations.get(kind)):
            with taking.attempt(entries):
                for one in entries.elements():
                    with taking.attempt(one):
                        hosts[kind].add(take(taking, one))
    if short := root.get("github"):
        with taking.attempt(short):
            _short_github(taking, short, has_source=GITHUB in hosts["github"])
    for name, take_provider in (("github", _github_provider), ("gitlab", _gitlab_provider)):
        if provider := root.get("catalog", "providers", name):
            with taking.attempt(provider):
                for one in _providers(provider):
                    with taking.attempt(one):
                        take_provider(taking, one)
    for name in ("githubOrg", "githubOrgEntity"):
        if organisations := root.get("catalog", "providers", name):
            with taking.attempt(organisations):
                each = (
                    organisations.elements() if organisations.is_list else _providers(organisations)
                )
                for one in each:
                    with taking.attempt(one):
                        _github_org(taking, one)


# Integrations


def _github(taking: Taking, entry: Entry) -> str:
    host = _host(entry, GITHUB)
    identifier = _source_of("github", host)
    settings: dict[str, Any] = {}
    if host != GITHUB:
        base = entry.get("apiBaseUrl")
        settings["apiUrl"] = base.text() if base else f"https://{host}/api/v3"
    given = entry.get("apps")
    apps = list(given.elements()) if given else []
    said = f"source {identifier}"
    token = entry.get("token")
    if token:
        if apps:
            taking.meaningless(token, "the GitHub App signs in")
        else:
            settings["token"] = taking.sealed(token)
            taking.taken(token, f"token of {said}{taking.words_of(token)}")
    for number, app in enumerate(apps):
        own = identifier if not number else identifier_of(identifier, "app", str(number + 1))
        app_settings = {**settings, **_app(taking, app, own)}
        taking.source(own, "github", title=_title("GitHub", host), settings=app_settings)
    if not apps:
        taking.source(identifier, "github", title=_title("GitHub", host), settings=settings)
    taking.note_rest(
        entry,
        ("host", "token", "apiBaseUrl", "apps"),
        Status.MEANINGLESS,
        "files are read by the API",
    )
    for name in ("host", "apiBaseUrl"):
        if one := entry.get(name):
            taking.taken(one, f"{said} reads {host}")
    return host


def _app(taking: Taking, app: Entry, identifier: str) -> dict[str, Any]:
    """A GitHub App that signs in. Raises InvalidInput."""
    settings: dict[str, Any] = {}
    for name, title in (("appId", "ID"), ("privateKey", "private key"), ("webhookSecret", "")):
        one = app.get(name)
        if one is None:
            if name != "webhookSecret":
                raise app.refused(f"the app has no {name}", expected="appId and privateKey")
            continue
        if name == "appId":
            settings[name] = one.template if one.variables else one.text()
            taking.taken(one, f"GitHub App of source {identifier}")
            if one.missing:
                taking.sealed(one)
        else:
            settings[name] = taking.sealed(one)
            title = title or "webhook secret"
            taking.taken(one, f"{title} of source {identifier}{taking.words_of(one)}")
    if owners := app.get("allowedInstallationOwners"):
        settings["organizations"] = owners.texts()
        taking.taken(owners, f"organisations of source {identifier}")
    taking.note_rest(
        app,
        ("appId", "privateKey", "webhookSecret", "allowedInstallationOwners"),
        Status.MEANINGLESS,
        "people do not sign in to GitHub through this app",
    )
    return settings


def _gitlab(taking: Taking, entry: Entry) -> str:
    host = _host(entry, GITLAB)
    identifier = _source_of("gitlab", host)
    base = entry.get("baseUrl")
    settings: dict[str, Any] = {}
    if base or host != GITLAB:
        settings["url"] = base.text().rstrip("/") if base else f"https://{host}"
    if token := entry.get("token"):
        settings["token"] = taking.sealed(token)
        taking.taken(token, f"token of source {identifier}{taking.words_of(token)}")
    taking.source(identifier, "gitlab", title=_title("GitLab", host), settings=settings)
    for name in ("host", "baseUrl", "apiBaseUrl"):
        if one := entry.get(name):
            taking.taken(one, f"source {identifier} reads {host}")
    for name, words in (
        ("commitSigningKey", "nothing is committed to GitLab"),
        ("retry", _OUR_OWN),
        ("maxApiRequestsPerMinute", _OUR_OWN),
    ):
        if one := entry.get(name):
            taking.meaningless(one, words)
    return host


def _short_github(taking: Taking, entry: Entry, *, has_source: bool) -> None:
    """`github: {token, organization}`, as older configurations have it."""
    settings: dict[str, Any] = {}
    if token := entry.get("token"):
        if has_source:
            taking.meaningless(token, "the token of integrations.github counts")
        else:
            settings["token"] = taking.sealed(token)
            taking.taken(token, f"token of source github{taking.words_of(token)}")
    if organization := entry.get("organization"):
        settings["organizations"] = organization.texts()
        names = ", ".join(settings["organizations"])
        taking.taken(organization, f"source github reads the repositories of {names}")
    taking.unread_rest(entry, ("token", "organization"))
    if settings:
        taking.source("github", "github", title="GitHub", settings=settings)


# Discovery


def _github_provider(taking: Taking, entry: Entry) -> None:
    identifier = _discovery_of("github", entry)
    host_entry = entry.get("host")
    host = host_entry.text() if host_entry else GITHUB
    settings: dict[str, Any] = {"source": _needed(taking, "github", host)}
    fields = _Fields(taking, identifier, settings)
    if host_entry:
        taking.taken(host_entry, f"source {identifier} uses source {settings['source']}")
    fields.take(entry, "organization", "organizations", Entry.texts)
    fields.take(entry, "catalogPath", "catalogPath", Entry.text)
    fields.take(entry, "validateLocationsExist", "validateLocationsExist", Entry.flag)
    if filters := entry.get("filters"):
        fields.take(filters, "branch", "branch", Entry.text)
        fields.take(filters, "repository", "repository", Entry.text)
        fields.take(filters, "allowForks", "allowForks", Entry.flag)
        fields.take(filters, "allowArchived", "allowArchived", Entry.flag)
        fields.take(filters, "visibility", "visibility", Entry.texts)
        if topic := filters.get("topic"):
            fields.take(topic, "include", "topicInclude", Entry.texts)
            fields.take(topic, "exclude", "topicExclude", Entry.texts)
    if app := entry.get("app"):
        taking.meaningless(app, f"source {settings['source']} signs in, with its own app")
    if sizes := entry.get("pageSizes"):
        taking.meaningless(sizes, "pages have the size that GitHub serves best")
    _discovery(taking, entry, identifier, "github-discovery", "GitHub discovery", settings)


def _github_org(taking: Taking, entry: Entry) -> None:
    """People and teams of organisations."""
    identifier = identifier_of("github-org", _name_of(entry))
    address = entry.get("githubUrl") or entry.get("orgUrl")
    host = address.text().partition("://")[2].partition("/")[0] if address else GITHUB
    source = _needed(taking, "github", host or GITHUB)
    orgs = entry.get("orgs") or entry.get("org")
    if orgs is None and address and "/" in address.text().partition("://")[2].strip("/"):
        names = [address.text().rstrip("/").rpartition("/")[2]]  # the older form names it there
    else:
        names = orgs.texts() if orgs else []
    settings = {
        "source": source,
        "organizations": names,
        "users": True,
        "teams": True,
        "descriptors": False,
    }
    for name in ("id", "githubUrl", "orgUrl", "orgs", "org"):
        if one := entry.get(name):
            taking.taken(one, f"source {identifier}: people and teams of {host}")
    _discovery(taking, entry, identifier, "github-discovery", "GitHub people", settings)


def _gitlab_provider(taking: Taking, entry: Entry) -> None:
    identifier = _discovery_of("gitlab", entry)
    host_entry = entry.get("host")
    host = host_entry.text() if host_entry else GITLAB
    settings: dict[str, Any] = {"source": _needed(taking, "gitlab", host)}
    fields = _Fields(taking, identifier, settings)
    if host_entry:
        taking.taken(host_entry, f"source {identifier} uses source {settings['source']}")
    fields.take(entry, "group", "groups", Entry.texts)
    for name in ("branch", "fallbackBranch", "entityFilename", "projectPattern", "groupPattern"):
        fields.take(entry, name, name, _pattern_or_text)
    for name in ("skipForkedRepos", "includeArchivedRepos"):
        fields.take(entry, name, name, Entry.flag)
    if org := entry.get("orgEnabled"):
        settings["users"] = settings["teams"] = org.flag()
        taking.taken(org, f"source {identifier}: people and teams")
    for name, words in (
        ("userPattern", "all members of the groups become users"),
        ("relations", "direct members count"),
        ("allowInherited", "direct members count"),
        ("restrictUsersToGroup", "only members of the groups become users"),
    ):
        if one := entry.get(name):
            taking.unsupported(one, words)
    _discovery(taking, entry, identifier, "gitlab-discovery", "GitLab discovery", settings)


class _Fields:
    """Takes single values of a provider into the settings of its source."""

    def __init__(self, taking: Taking, identifier: str, settings: dict[str, Any]) -> None:
        self._taking = taking
        self._identifier = identifier
        self._settings = settings

    def take(self, entry: Entry, name: str, setting: str, read: Callable[[Entry], Any]) -> None:
        if one := entry.get(name):
            if one.missing:
                self._taking.left_out(one)
                return
            self._settings[setting] = read(one)
            self._taking.taken(one, f"source {self._identifier}: {setting}")


def _discovery(
    taking: Taking, entry: Entry, identifier: str, kind: str, title: str, settings: dict[str, Any]
) -> None:
    """Make the source, with its schedule."""
    schedule = _DEFAULT_FREQUENCY
    if given := entry.get("schedule"):
        frequency = given.get("frequency")
        if frequency:
            schedule = every(frequency.value, field=frequency.key)
            taking.taken(frequency, f"source {identifier} runs {schedule}")
        taking.note_rest(
            given, ("frequency",), Status.MEANINGLESS, "a run has the time that it needs"
        )
    name = _name_of(entry)
    taking.source(
        identifier,
        kind,
        title=f"{title}: {name}" if name else title,
        settings=settings,
        schedule=schedule,
        with_blueprints=bool(settings.get("users") or settings.get("teams")),
    )


def _needed(taking: Taking, kind: str, host: str) -> str:
    """The source that reads a host; one without a token is made where there is none."""
    identifier = _source_of(kind, host)
    if Integration.objects.filter(identifier=identifier, kind=kind, runs_here=True).exists():
        return identifier
    settings: dict[str, Any] = {}
    if kind == "github" and host != GITHUB:
        settings["apiUrl"] = f"https://{host}/api/v3"
    elif kind == "gitlab" and host != GITLAB:
        settings["url"] = f"https://{host}"
    title = _title("GitHub" if kind == "github" else "GitLab", host)
    return taking.source(identifier, kind, title=title, settings=settings).identifier


def _providers(entry: Entry) -> Iterator[Entry]:
    """Those of an object by id; an older form has one provider without an id."""
    if entry.get("organization") or entry.get("host") or entry.get("group") or entry.get("id"):
        yield entry
        return
    for _, one in entry.items():
        if not one.is_object:
            raise one.wrong("an object")
        yield one


def _name_of(entry: Entry) -> str:
    """The id of a provider."""
    if given := entry.get("id"):
        return given.text()
    last = entry.path[-1]
    return "" if isinstance(last, int) or last in ("github", "gitlab", "githubOrg") else last


def _discovery_of(kind: str, entry: Entry) -> str:
    return identifier_of(f"{kind}-discovery", _name_of(entry))


def _source_of(kind: str, host: str) -> str:
    return kind if host in (GITHUB, GITLAB) else identifier_of(kind, host)


def _title(name: str, host: str) -> str:
    return name if host in (GITHUB, GITLAB) else f"{name} at {host}"


def _host(entry: Entry, default: str) -> str:
    if not entry.is_object:
        raise entry.wrong("an object with host and token")
    given = entry.get("host")
    host = given.text().lower() if given else default
    if "/" in host or not host:
        raise InvalidInput.of(entry.key, host, "a host name")
    return host


def _pattern_or_text(entry: Entry) -> str:
    """A regular expression, which may be written between slashes."""
    text = entry.text()
    if len(text) > 2 and text.startswith("/") and text.endswith("/"):
        return text[1:-1]
    return text
