"""Users: made, changed, switched off; each act is in the change feed."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor, Role
from catalog.kernel.errors import AlreadyExists, Conflict
from idp.models import User

MODEL = "user"
EDITABLE = ("username", "email", "first_name", "last_name", "role", "is_active")


def create_user(*, password: str | None, actor: Actor, **fields: Any) -> User:
    """Make a user. Without a password they can only come in by single sign-on.

    fields: some of `EDITABLE`. Raises Django's ValidationError by field, AlreadyExists.
    """
    with transaction.atomic():
        user = _written(lambda: User.objects.create_user(password=password, **fields))
        after = {name: getattr(user, name) for name in EDITABLE}
        _record(feed.CREATE, user, actor, None, after)
    return user


def update_user(user: User, *, actor: Actor, **fields: Any) -> User:
    """Change some of `EDITABLE`. What stays as it is leaves no trace.

    Raises Conflict when nobody could administer the installation afterwards, Django's
    ValidationError by field, AlreadyExists.
    """
    with transaction.atomic():
        admins = list(
            User.objects.select_for_update()
            .filter(role=Role.ADMIN, is_active=True)
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        stored = User.objects.select_for_update().get(pk=user.pk)
        before = {n: getattr(stored, n) for n in fields if getattr(stored, n) != fields[n]}
        if not before:
            return stored
        for name in before:
            setattr(stored, name, fields[name])
        if admins == [stored.pk] and not stored.is_staff:
            raise Conflict(
                f'"{stored.username}" is the last admin',
                hint="Make somebody else an admin first.",
                details={"field": "role" if stored.is_active else "is_active"},
            )
        stored.full_clean(exclude=["password"])
        _written(stored.save)
        if "email" in before:
            # The old address must not open the account any more.
            EmailAddress.objects.filter(user=stored, email__iexact=before["email"]).delete()
        _record(feed.UPDATE, stored, actor, before, {n: getattr(stored, n) for n in before})
    return stored


def set_password(user: User, *, password: str | None, actor: Actor) -> None:
    """Give a user a new password, or none. Their sessions end with the old one."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        state = "changed" if password else "removed"
        _record(feed.UPDATE, user, actor, None, {"password": state})


def _written(write: Any) -> Any:
    """Do the write; somebody may have taken the name since it was checked."""
    try:
        with transaction.atomic():
            return write()
    except IntegrityError as error:
        raise AlreadyExists(
            "Another user has this user name or e-mail address", details={"resource": "User"}
        ) from error


def _record(
    action: str,
    user: User,
    actor: Actor,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    feed.record(
        [feed.Record(action, MODEL, user.username, "", user.pk, before, after)],
        actor=actor,
        at=timezone.now(),
    )
