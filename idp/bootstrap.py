"""The first user and the first API client, so that a new installation can be entered."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from actions.services import signing
from catalog.kernel.actors import Actor, Role
from idp.auth import create_client
from idp.models import ApiClient, User
from idp.users import create_user

_ACTOR = Actor.system("up")


@dataclass(frozen=True)
class Made:
    """What was made. Secrets that were given by the operator are None: they know them."""

    username: str | None = None
    password: str | None = None
    client_id: str | None = None
    client_secret: str | None = None

    def lines(self) -> list[str]:
        """Return `name=value` for each secret that nobody has seen yet, with whose it is."""
        shown = []
        if self.password:
            shown += [f"username={self.username}", f"password={self.password}"]
        if self.client_secret:
            shown += [f"client_id={self.client_id}", f"client_secret={self.client_secret}"]
        return shown


def is_first_run() -> bool:
    """Whether nobody could administer this installation yet."""
    return not User.objects.filter(role=Role.ADMIN).exists()


def make_access(*, password: str = "", client_id: str = "", client_secret: str = "") -> Made:
    """Make the user `admin` and an API client with the role Admin, where there is none yet.

    Empty arguments become random. What exists is left alone, and harmlessly so: a second run makes
    nothing. The client's secret becomes the key that outgoing calls are signed with, unless there
    is one. Raises InvalidInput for a client secret that is too short.
    """
    made_user: User | None = None
    fresh_password = password or secrets.token_urlsafe(12)
    if is_first_run():
        made_user = create_user(
            password=fresh_password, actor=_ACTOR, username="admin", role=Role.ADMIN.value
        )
    wanted = ApiClient.objects.filter(client_id=client_id) if client_id else ApiClient.objects.all()
    if wanted.exists():
        client, secret = None, ""
    else:
        client, secret = create_client(
            name="First client",
            role=Role.ADMIN,
            actor=_ACTOR,
            client_id=client_id or None,
            client_secret=client_secret or None,
        )
        if settings.IDP_ENCRYPTION_KEYS:  # receivers check calls with it, as with Port's
            signing.adopt_key(secret, _ACTOR)
    return Made(
        username=made_user.username if made_user else None,
        password=fresh_password if made_user and not password else None,
        client_id=client.client_id if client else None,
        client_secret=secret if client and not client_secret else None,
    )


def keep(made: Made, path: Path) -> None:
    """Put the random secrets into a file that only its owner may read, beside those it holds."""
    if not (lines := made.lines()):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    held = path.read_text().splitlines() if path.exists() else []
    values = dict(line.partition("=")[::2] for line in [*held, *lines])
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    fresh.replace(path)
