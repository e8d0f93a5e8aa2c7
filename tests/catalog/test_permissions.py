"""Who may do what, and under which name it is remembered."""

import pytest
from django.contrib.auth.models import AnonymousUser

from catalog.kernel.actors import Actor, Role
from catalog.kernel.errors import NotAuthenticated, PermissionDenied
from catalog.models import Blueprint, Entity
from catalog.services.permissions import actor_of, require_admin, require_entity_write
from tests.factories import make_blueprint, make_client, make_entity, make_user

pytestmark = pytest.mark.django_db


def outcome(check, *args):
    try:
        check(*args)
    except (NotAuthenticated, PermissionDenied) as error:
        return error.code
    return "allowed"


@pytest.mark.parametrize(
    ("role", "is_active", "may_admin", "may_write", "may_write_users", "sees"),
    [
        (Role.ADMIN, True, "allowed", "allowed", "allowed", 1),
        (Role.MEMBER, True, "forbidden", "allowed", "forbidden", 1),
        (Role.VIEWER, True, "forbidden", "forbidden", "forbidden", 1),
        (Role.ADMIN, False, "forbidden", "forbidden", "forbidden", 0),
        (None, False, "unauthorized", "unauthorized", "unauthorized", 0),
    ],
)
@pytest.mark.parametrize("kind", ["user", "client"])
def test_roles(kind, role, is_active, may_admin, may_write, may_write_users, sees):
    blueprint, system = make_blueprint(), Blueprint.objects.get(identifier="_user")
    make_entity(blueprint)
    if role is None:
        principal = AnonymousUser()
    elif kind == "user":
        principal = make_user(role=role, is_active=is_active)
    else:
        principal, _ = make_client(role=role)
        principal.is_active = is_active
    assert outcome(require_admin, principal, "change blueprints") == may_admin
    assert outcome(require_entity_write, principal, blueprint) == may_write
    assert outcome(require_entity_write, principal, system) == may_write_users
    assert Entity.objects.visible_to(principal).count() == sees


def test_a_refusal_says_what_is_needed():
    with pytest.raises(PermissionDenied) as error:
        require_admin(make_user(role=Role.VIEWER), "change blueprints")
    assert str(error.value) == (
        "Role Viewer may not change blueprints. Ask an admin for the role Admin."
    )


def test_actors_are_named_as_people_know_them():
    client, _ = make_client(client_id="exporter")
    assert actor_of(make_user("ann"), request_id="r") == Actor("user", "ann@example.com", "", "r")
    assert actor_of(make_user("bob", email="")).name == "bob"
    actor = actor_of(client, datasource="x" * 1000, request_id="y" * 1000)
    assert actor == Actor("client", "exporter", "x" * 500, "y" * 100)
    make_entity(make_blueprint(), actor=actor)
