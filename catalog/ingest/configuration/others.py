"""All the rest of Backstage's configuration: what it has no meaning for, and what does the same."""

from __future__ import annotations

from typing import Final

from catalog.dialects.backstage.config import Entry
from catalog.ingest.configuration.report import Status
from catalog.ingest.configuration.taking import Taking
from catalog.kernel.errors import InvalidInput
from catalog.registry import configuration_takers

_M, _U = Status.MEANINGLESS, Status.UNSUPPORTED

UNKNOWN: Final = (_U, "nothing here reads it")

# What holds for a key and all below it; longer keys come before shorter ones of the same beginning.
_SAID: Final[dict[str, tuple[Status, str]]] = {
    "app.baseUrl": (_M, "the address of the portal is IDP_URL"),
    "app.support": (_U, "put links on the entities that they belong to"),
    "app.extensions": (_U, "the portal is arranged in itself, not by this file"),
    "app.packages": (_U, "the portal is arranged in itself, not by this file"),
    "app.analytics": (_U, "nothing is sent to analytics services"),
    "app": UNKNOWN,
    "organization": UNKNOWN,
    "backend.baseUrl": (_M, "the address of the portal is IDP_URL"),
    "backend.listen": (_M, "where it listens is IDP_HOST and IDP_PORT"),
    "backend.database": (_M, "the database is DATABASE_URL; data is not moved from Backstage's"),
    "backend.cache": (_M, "the cache is REDIS_URL"),
    "backend.cors": (_M, "browsers call the API from the portal's own origin"),
    "backend.csp": (_M, "the policy for contents is part of the program"),
    "backend.https": (_M, "TLS ends in the reverse proxy before it; IDP_URL begins with https"),
    "backend.rateLimit": (_M, "limits are set in the reverse proxy"),
    "backend.workingDirectory": (_M, "files are kept in IDP_HOME"),
    "backend.actions": (_U, "nothing here reads it"),
    "backend.auth.dangerouslyDisableDefaultAuthPolicy": (
        _U,
        "who calls the API needs a token or a session; nothing turns that off",
    ),
    "backend.auth.keys": (_M, "tokens are signed with IDP_SECRET_KEY"),
    "backend": UNKNOWN,
    "catalog.orphanProviderStrategy": (
        _U,
        "deleting a source asks whether what it made goes as well",
    ),
    "catalog.stitchingStrategy": (_M, "changes are shown at once"),
    "catalog.disableDefaultProcessors": (_M, "there are no processors to turn off"),
    "catalog.processorOptions": (_M, "there are no processors to turn off"),
    "catalog.processors": (_M, "there are no processors to set up"),
    "catalog.providerOptions": (_U, "turn the source off instead"),
    "catalog.defaultLocationConflictStrategy": (
        _U,
        "whoever registers a location that is there says what happens",
    ),
    "catalog.scmEvents": (
        _M,
        "webhooks of a source refresh what they concern; its page has their address",
    ),
    "catalog.import": (_U, "descriptors are registered by their address; no pull request is made"),
    "catalog.useUrlReadersSearch": (_M, "patterns in addresses are always resolved"),
    "catalog.providers.bitbucketCloud": (_U, "register the descriptors as locations"),
    "catalog.providers.bitbucketServer": (_U, "register the descriptors as locations"),
    "catalog.providers.azureDevOps": (_U, "register the descriptors as locations"),
    "catalog.providers.gerrit": (_U, "a source of the kind git reads any repository"),
    "catalog.providers.gitea": (_U, "a source of the kind git reads any repository"),
    "catalog.providers.awsS3": (_U, "register the descriptors as locations"),
    "catalog.providers.ldapOrg": (_U, "bring people in with a source of the kind http"),
    "catalog.providers.ldap": (_U, "bring people in with a source of the kind http"),
    "catalog.providers.microsoftGraphOrg": (_U, "bring people in with a source of the kind http"),
    "catalog.providers.keycloakOrg": (_U, "bring people in with a source of the kind http"),
    "catalog.providers.okta": (_U, "bring people in with a source of the kind http"),
    "catalog.providers.backstageOpenapi": (_M, "this program describes its API under /schema/"),
    "catalog.providers": (_U, "there is no source of this kind; one of the kind http may do"),
    "catalog": UNKNOWN,
    "integrations.gerrit": (_U, "a source of the kind git reads any repository"),
    "integrations.gitea": (_U, "a source of the kind git reads any repository"),
    "integrations.awsS3": (_U, "buckets are not read"),
    "integrations": (_U, "only GitHub and GitLab are read; a source of the kind git may do"),
    "permission.enabled": (
        _M,
        "permissions always hold: blueprints say who may write, and entities who may see them",
    ),
    "permission": (_U, "roles and the permissions of blueprints do this"),
    "auth.environment": (_M, "there is one environment"),
    "auth.session": (_M, "sessions are signed with IDP_SECRET_KEY"),
    "auth.autologout": (_U, "sessions end after two weeks"),
    "auth": UNKNOWN,
    "techdocs.builder": (_M, "documentation is always built here, by the workers"),
    "techdocs.generator": (_M, "documentation is rendered by the program itself, without Docker"),
    "techdocs.publisher": (_M, "what is built is kept in the database; no bucket is needed"),
    "techdocs.cache": (_M, "pages come ready from the database"),
    "techdocs.sanitizer": (_U, "what pages may hold is part of the program"),
    "techdocs": UNKNOWN,
    "search": (_M, "search is a part of the catalogue and is always current"),
    "scaffolder.defaultAuthor": (_U, "an action says who the author is"),
    "scaffolder": (_U, "actions have settings of their own"),
    "kubernetes": UNKNOWN,
    "notifications": (_U, "nothing is sent by this program"),
    "events": (_M, "each source has an address for webhooks, on its page"),
    "proxy": UNKNOWN,
    "github": UNKNOWN,
    "costInsights": (_U, "costs have sources of their own"),
    "enabled": UNKNOWN,
    "homepage": (_U, "the home page is arranged in the portal"),
    "lighthouse": (_U, "there is no such plugin"),
    "jira": (_U, "add a source of the kind jira"),
    "pagerDuty": (_U, "add a source of the kind pagerduty"),
    "argocd": (_U, "a Kubernetes source reads the applications of Argo CD"),
    "sonarqube": (_U, "add a source of the kind http"),
    "jenkins": (_U, "add a source of the kind http"),
    "grafana": (_U, "put links to dashboards on the entities"),
    "kafka": (_U, "add a source of the kind http"),
    "sentry": (_U, "add a source of the kind http"),
    "vault": (_U, "secrets are kept under Secrets, or come as IDP_SECRET_ variables"),
}

# How django-allauth, which people sign in with, calls the providers of Backstage.
_SIGN_IN: Final = {
    "atlassian": "atlassian",
    "auth0": "auth0",
    "bitbucket": "bitbucket_oauth2",
    "github": "github",
    "gitlab": "gitlab",
    "google": "google",
    "microsoft": "microsoft",
    "oidc": "openid_connect",
    "okta": "okta",
    "onelogin": "openid_connect",
    "vmwareCloudServices": "openid_connect",
}


def take_names(taking: Taking, root: Entry) -> None:
    """What other apps take: the name of the organisation, and the portal's title."""
    for keys, take in configuration_takers.items():
        for key in keys:
            entry = root.get(*key.split("."))
            if entry is None:
                continue
            if entry.missing:
                taking.left_out(entry)
                continue
            try:
                with taking.tried():
                    said = take({key: entry.text()}, taking.actor)
            except InvalidInput as error:  # too long for us, and no reason to refuse the rest
                taking.unsupported(entry, f"left out: {error}")
                continue
            if key in said:
                taking.taken(entry, said[key])


def explain_others(taking: Taking, root: Entry) -> None:
    """Say of all that no other part has taken what it is, or what does the same."""
    for key, (status, words) in _SAID.items():
        path = tuple(key.split("."))
        # Kept under the keys themselves, so that what is nearer, or was taken, counts.
        taking.notes.setdefault(path, (status, words))
    if providers := root.get("auth", "providers"):
        with taking.attempt(providers):
            for name, entry in providers.items():
                _explain_sign_in(taking, name, entry)


def _explain_sign_in(taking: Taking, name: str, entry: Entry) -> None:
    if name == "guest":
        taking.meaningless(entry, "everybody signs in; IDP_SIGNUP lets people make accounts")
        return
    provider = _SIGN_IN.get(name)
    if provider is None:
        taking.unsupported(entry, "people sign in here, not in a proxy before this program")
        return
    key = (
        f'SOCIALACCOUNT_PROVIDERS["{provider}"]["APPS"] with client_id and secret'
        if provider != "openid_connect"
        else 'SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"] with provider_id, client_id, '
        "secret and settings.server_url"
    )
    taking.unsupported(
        entry,
        f"django-allauth does the same: a plugin adds allauth.socialaccount.providers.{provider} "
        f"and sets {key}",
    )
