"""A small catalogue in which every operator has something to find and something to miss."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.kernel.actors import Actor
from catalog.models import Blueprint, Entity
from catalog.services.blueprints import ensure_system_blueprints
from idp.models import User
from tests.factories import make_blueprint, make_entity, make_user


@dataclass(frozen=True)
class Shop:
    """service -> system -> domain; service -> service (dependsOn, a cycle); service -> any."""

    ann: User
    service: Blueprint


def make_shop() -> Shop:
    ensure_system_blueprints()
    make_blueprint("domain", properties={"tier": {"type": "number"}})
    make_blueprint(
        "system", relations={"domain": {"target": "domain", "required": True, "many": False}}
    )
    service = make_blueprint(
        "service",
        properties={
            "language": {"type": "string"},
            "tier": {"type": "number"},
            "live": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "ports": {"type": "array", "items": {"type": "number"}},
            "since": {"type": "string"},
            "lease": {"type": "string", "format": "timer"},
            "repo": {"type": "string", "format": "url"},
            "owner": {"type": "string", "format": "user"},
            "meta": {"type": "object"},
        },
        relations={
            "system": {"target": "system", "many": False, "required": False},
            "dependsOn": {"target": "service", "many": True, "required": False},
            "uses": {"target": "*", "many": True, "required": False},
        },
        calculationProperties={"grade": {"calculation": '"A"', "type": "string"}},
    )
    for team, parent in (("org", None), ("core", "org"), ("web", "org")):
        make_entity("_team", team, relations={"parent": parent} if parent else {})
    make_entity(
        "_user",
        "ann@example.com",
        properties={
            "email": "ann@example.com",
            "displayName": "Ann",
            "status": "Active",
            "level": 3,
        },
        relations={"team": ["core"]},
    )
    make_entity("_user", "bob", properties={"email": "bob@example.com"})
    make_entity("domain", "money", properties={"tier": 1, "grade": "A"})
    make_entity("domain", "goods")
    make_entity("system", "billing", relations={"domain": "money"})
    make_entity("system", "stock", relations={"domain": "goods"})
    make_entity(
        service,
        "pay",
        title="Payments",
        icon="Service",
        team=["core"],
        properties={
            "language": "go",
            "tier": 1,
            "live": True,
            "tags": ["pci", "java"],
            "ports": [80, 443],
            "since": "2024-02-29T12:00:00.5Z",
            "lease": "2020-01-01T00:00:00Z",
            "repo": "https://git.example.com/pay",
            "owner": "ann@example.com",
            "unknown": "kept",
        },
        relations={"system": "billing", "dependsOn": ["cart"], "uses": ["domain:money"]},
        actor=Actor("client", "ocean", "port-ocean/github/1.0/my-github/exporter"),
    )
    make_entity(
        service,
        "cart",
        title="Shopping cart",
        team=["web", "core"],
        properties={
            "language": "python",
            "tier": 2,
            "live": False,
            "tags": ["java", "50%_off"],
            "ports": [],
            "since": "2024-06-01",
            "lease": "2999-01-01T00:00:00Z",
            "meta": {"a": 1},
        },
        relations={"system": "stock", "dependsOn": ["mail", "ghost"]},
        actor=Actor("client", "ocean", "port-ocean/gitlab/1.0/my-gitlab/exporter"),
    )
    make_entity(
        service,
        "mail",
        properties={"language": "Go", "tier": 2.5, "tags": [], "since": "soon"},
        relations={"dependsOn": ["pay"]},
        actor=Actor("user", "bob@example.com"),
    )
    make_entity(service, "lone", properties={"language": "golang", "live": False})
    # derived values are not written through the door
    Entity.objects.filter(identifier="pay").update(computed={"grade": "A", "language": "computed"})
    Entity.objects.filter(identifier="cart").update(computed={"grade": "B", "stray": "x"})
    return Shop(ann=make_user("ann", email="ann@example.com"), service=service)
