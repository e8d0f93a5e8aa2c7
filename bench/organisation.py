"""A made-up organisation of any size, as drafts for the door; the same for the same arguments."""

from __future__ import annotations

import random
from collections.abc import Iterator

from catalog.services.entities import EntityDraft

DOMAINS = [
    "payments",
    "orders",
    "search",
    "identity",
    "billing",
    "shipping",
    "stock",
    "pricing",
    "support",
    "data",
]
NOUNS = [
    "gateway",
    "ledger",
    "worker",
    "indexer",
    "router",
    "scheduler",
    "importer",
    "portal",
    "resolver",
    "broker",
]
WORDS = [
    "keeps",
    "moves",
    "checks",
    "sends",
    "reads",
    "counts",
    "events",
    "orders",
    "files",
    "prices",
    "customers",
    "reports",
    "nightly",
    "slowly",
    "safely",
    "again",
    "before",
    "after",
    "every",
    "team",
    "region",
    "shelf",
    "parcel",
    "invoice",
]
TAGS = [
    "java",
    "python",
    "go",
    "kotlin",
    "rust",
    "typescript",
    "spring",
    "kafka",
    "grpc",
    "rest",
    "batch",
    "pci",
    "public",
]
LIFECYCLES = ["production", "production", "production", "experimental", "deprecated"]

BLUEPRINTS = {
    "system": {
        "identifier": "system",
        "title": "System",
        "schema": {"properties": {"description": {"type": "string"}}, "required": []},
        "relations": {"owner": {"target": "_team"}},
    },
    "api": {
        "identifier": "api",
        "title": "API",
        "schema": {
            "properties": {
                "description": {"type": "string"},
                "type": {"type": "string", "enum": ["openapi", "grpc", "asyncapi"]},
            },
            "required": ["type"],
        },
        "relations": {"owner": {"target": "_team"}, "system": {"target": "system"}},
    },
    "service": {
        "identifier": "service",
        "title": "Service",
        "schema": {
            "properties": {
                "description": {"type": "string"},
                "lifecycle": {"type": "string", "enum": sorted(set(LIFECYCLES))},
                "tags": {"type": "array", "items": {"type": "string"}},
                "stars": {"type": "number", "minimum": 0},
                "repository": {"type": "string", "format": "url"},
                "createdOn": {"type": "string", "format": "date-time"},
            },
            "required": ["lifecycle"],
        },
        "relations": {
            "owner": {"target": "_team"},
            "system": {"target": "system"},
            "providesApis": {"target": "api", "many": True},
            "consumesApis": {"target": "api", "many": True},
            "dependsOn": {"target": "service", "many": True},
        },
    },
}


def organisation(count: int, seed: int = 1) -> Iterator[EntityDraft]:
    """`count` entities: 2 % teams, 5 % systems, 20 % APIs, the rest services."""
    teams, systems, apis = max(2, count // 50), max(2, count // 20), max(2, count // 5)
    services = count - teams - systems - apis
    for i in range(teams):
        yield EntityDraft("_team", _name("team", i, seed), title=f"Team {i}", properties={})
    for i in range(systems):
        r = random.Random(f"{seed}/system/{i}")
        yield EntityDraft(
            "system",
            _name("system", i, seed),
            title=f"System {i}",
            properties={"description": _sentence(r)},
            relations={"owner": _name("team", r.randrange(teams), seed)},
        )
    for i in range(apis):
        r = random.Random(f"{seed}/api/{i}")
        yield EntityDraft(
            "api",
            _name("api", i, seed),
            title=f"API {i}",
            properties={
                "description": _sentence(r),
                "type": r.choice(["openapi", "grpc", "asyncapi"]),
            },
            relations={
                "owner": _name("team", r.randrange(teams), seed),
                "system": _name("system", r.randrange(systems), seed),
            },
        )
    for i in range(services):
        r = random.Random(f"{seed}/service/{i}")
        name = _name("service", i, seed)
        team = _name("team", r.randrange(teams), seed)
        yield EntityDraft(
            "service",
            name,
            title=name.replace("-", " ").title(),
            team=[team],
            properties={
                "description": _sentence(r),
                "lifecycle": r.choice(LIFECYCLES),
                "tags": sorted(r.sample(TAGS, 3)),
                "stars": r.randrange(5000),
                "repository": f"https://git.example/{team}/{name}",
                "createdOn": f"20{r.randrange(15, 26)}-0{r.randrange(1, 9)}-10T08:00:00Z",
            },
            relations={
                "owner": team,
                "system": _name("system", r.randrange(systems), seed),
                "providesApis": [_name("api", i % apis, seed)],
                "consumesApis": _some(r, "api", apis, seed),
                "dependsOn": _some(r, "service", services, seed),
            },
        )


def _name(kind: str, i: int, seed: int) -> str:
    h = (i * 2654435761 + seed * 40503) & 0xFFFFFFFF
    return f"{DOMAINS[(h >> 7) % 10]}-{NOUNS[(h >> 15) % 10]}-{kind}-{i}"


def _some(r: random.Random, kind: str, count: int, seed: int) -> list[str]:
    return sorted({_name(kind, int(count * r.random() ** 1.4), seed) for _ in range(2)})


def _sentence(r: random.Random) -> str:
    return " ".join(r.choice(WORDS) for _ in range(14)).capitalize() + "."
