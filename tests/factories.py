"""Test data, made through the services: what is here is what a user could have made."""

from __future__ import annotations

from itertools import count
from typing import Any

from django.test import Client
from rest_framework.test import APIClient

from catalog.kernel.actors import Actor, Role
from catalog.models import Blueprint, Entity
from catalog.services.blueprints import create_blueprint
from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply
from idp.auth import create_client, issue_token
from idp.models import ApiClient, User

ACTOR = Actor("user", "tester@example.com")
PASSWORD = "a good password for tests"

_numbers = count(1)


def make_blueprint(identifier: str | None = None, **document: Any) -> Blueprint:
    """A blueprint from Port's JSON. `properties` and `required` may stand for `schema`.

    make_blueprint("service", properties={"tier": {"type": "string"}}, relations={…})
    """
    identifier = identifier or f"kind{next(_numbers)}"
    schema = {
        "properties": document.pop("properties", {}),
        "required": document.pop("required", []),
    }
    return create_blueprint(
        {"identifier": identifier, "title": identifier, "schema": schema, **document},
        actor=ACTOR,
    )


def make_entity(
    blueprint: Blueprint | str,
    identifier: str | None = None,
    *,
    actor: Actor = ACTOR,
    missing_targets: MissingTargets = MissingTargets.DANGLE,
    **parts: Any,
) -> Entity:
    """A new entity; `parts` are those of `EntityDraft`. Raises what the draft is rejected for."""
    name = blueprint if isinstance(blueprint, str) else blueprint.identifier
    draft = EntityDraft(name, identifier or f"thing-{next(_numbers)}", **parts)
    [item] = apply([draft], mode=Mode.CREATE, actor=actor, missing_targets=missing_targets).items
    if item.error:
        raise item.error
    return Entity.objects.select_related("blueprint").get(pk=item.pk)


def make_user(username: str | None = None, *, role: Role = Role.MEMBER, **fields: Any) -> User:
    """A user who can log in with `PASSWORD`."""
    username = username or f"user{next(_numbers)}"
    fields = {"email": f"{username}@example.com", "password": PASSWORD, **fields}
    return User.objects.create_user(username, role=role.value, **fields)


def make_client(*, role: Role = Role.MEMBER, **fields: Any) -> tuple[ApiClient, str]:
    """An API client and its secret."""
    fields = {"name": f"client {next(_numbers)}", **fields}
    return create_client(role=role, actor=ACTOR, **fields)


class Caller(APIClient):
    """Sends JSON, and the path both decoded and as it was sent, as gunicorn does."""

    default_format = "json"

    @property
    def token(self) -> str:
        """The value of its Authorization header."""
        return str(self.defaults["HTTP_AUTHORIZATION"])

    def generic(self, method: str, path: str, *args: Any, **extra: Any) -> Any:
        return super().generic(method, path, *args, **{"RAW_URI": path, **extra})


def make_api(role: Role = Role.ADMIN, *, agent: str = "tests/1.0") -> Caller:
    """A caller of the API with a token of this role. agent: its User-Agent."""
    client, secret = make_client(role=role)
    token = issue_token(client_id=client.client_id, client_secret=secret)
    return Caller(HTTP_AUTHORIZATION=f"Bearer {token.access_token}", HTTP_USER_AGENT=agent)


def make_browser(username: str | None = None, *, role: Role = Role.MEMBER) -> Client:
    """A browser in which somebody is logged in; `user` is who."""
    browser = Client()
    browser.user = make_user(username, role=role)  # type: ignore[attr-defined]
    browser.force_login(browser.user)  # type: ignore[attr-defined]
    return browser
