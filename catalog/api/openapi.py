"""The words of the OpenAPI document: components, parameters, and one decorator for all routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

Schema = dict[str, Any]
OBJECT: Schema = {"type": "object", "additionalProperties": True}  # anything
JSON = "application/json"
OPTIONAL_BODY = "x-optional-body"  # between `documented` and the hook that takes it out
_View = TypeVar("_View", bound=Callable[..., Any])


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def envelope(**keys: Schema) -> Schema:
    """A good answer: `ok` and the named keys."""
    return {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}, **keys},
        "required": ["ok", *keys],
    }


def list_of(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def query(
    name: str, description: str, *, kind: Any = str, many: bool = False, required: bool = False
) -> OpenApiParameter:
    return OpenApiParameter(
        name,
        {"type": "array", "items": {"type": "string"}} if many else kind,
        OpenApiParameter.QUERY,
        required=required,
        description=description,
        explode=True if many else None,
    )


def flag(name: str, description: str) -> OpenApiParameter:
    return query(name, description, kind=bool)


_PATH = {
    "task": "The id of a run.",
    "provider": "A host of repositories.",
    "resource": "What is asked for there.",
    "blueprint": "Identifier of the blueprint, percent-encoded.",
    "entity": "Identifier of the entity, percent-encoded.",
    "property": "Name of the property.",
    "fact": "Key of the fact, percent-encoded.",
    "metric": "Key of the metric, percent-encoded.",
    "mirror": "Name of the mirror property.",
    "relation": "Name of the relation.",
    "migration": "Id of the migration.",
    "notification": "Id of the notification.",
    "secret": "Name of the secret.",
    "page": "Identifier of the page, percent-encoded.",
    "widget": "Id of the widget.",
    "sidebar": "Name of the sidebar; there is `catalog`.",
    "folder": "Identifier of the folder, percent-encoded.",
    "action": "Identifier of the action.",
    "version": "Number of the version.",
    "run": "Id of the run.",
    "scorecard": "Identifier of the scorecard, percent-encoded.",
    "exemption": "Id of the exemption.",
    "initiative": "Identifier of the initiative.",
    "job": "Id of the query.",
    "team": "Name or identifier of the team, percent-encoded.",
    "user": "E-mail address of the user, percent-encoded.",
    "app": "Id of the API client.",
    "kind": "Kind, in any case.",
    "namespace": "Namespace, in any case.",
    "name": "Name, in any case.",
    "uid": "Id of the entity.",
    "location": "Id of the location.",
    "path": "Path of the file, percent-encoded.",
}

_ERRORS = {
    400: "The request is malformed.",
    403: "The role of the caller does not allow it.",
    404: "Something it names was not found.",
    409: "It clashes with what is stored.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A value breaks a rule.",
    429: "Too many requests; `Retry-After` says when to come again.",
}


def documented(
    operation_id: str,
    summary: str,
    *,
    tag: str,
    answers: Mapping[int, Schema],
    path: Sequence[str] = (),
    params: Sequence[OpenApiParameter] = (),
    body: Schema | None = None,
    body_is_optional: bool = False,
    errors: Sequence[int] = (),
    description: str = "",
    is_open: bool = False,
    error: Schema | None = None,
    body_type: str = JSON,
    answer_type: str = JSON,
) -> Callable[[_View], _View]:
    """Describe one method of a view. A `body` adds the errors of reading one; 401 is everywhere.

    answers: {} is no body. is_open: needs no token. error: the shape of its refusals, if it is
    not the usual one. body_type, answer_type: media types.
    """
    statuses = {401, *errors, *([400, 413, 415] if body is not None else [])} - answers.keys()
    known = {401: "The credentials are missing, wrong or expired.", **_ERRORS}
    responses: dict[Any, Any] = {
        **{
            (status, answer_type if status < 400 else JSON): OpenApiResponse(
                schema or None, "Done." if status < 400 else known[status]
            )
            for status, schema in answers.items()
        },
        **{
            status: OpenApiResponse(error or ref("Error"), known[status])
            for status in sorted(statuses)
        },
    }
    return extend_schema(
        operation_id=operation_id,
        summary=summary,
        description=description or f"{summary}.",
        tags=[tag],
        parameters=[
            *(
                OpenApiParameter(name, str, OpenApiParameter.PATH, description=_PATH[name])
                for name in path
            ),
            *params,
        ],
        request=None if body is None else {body_type: body},
        responses=responses,
        auth=[] if is_open else None,
        extensions={OPTIONAL_BODY: True} if body_is_optional else None,
    )


SELECTION = (
    query("include", "Only these parts: `title`, `properties.x`, `relations.y`.", many=True),
    query("exclude", "All but these parts.", many=True),
    flag("exclude_calculated_properties", "Leave out derived properties."),
    flag("attach_title_to_relation", "Relations as objects with `identifier` and `title`."),
)
RUN_ID = query("run_id", "The action run that causes the change.")
WRITING = (
    flag("merge", "With `upsert`: change only what the body says; null clears a key."),
    flag("validation_only", "Check everything and store nothing."),
)
MISSING_TARGETS = (
    flag(
        "create_missing_related_entities",
        "Create entities that relations name and nobody made yet.",
    ),
    flag(
        "keep_missing_related_entities",
        "Keep relations to entities that nobody made yet; they are mended when these appear.",
    ),
)
DELETE_DEPENDENTS = flag(
    "delete_dependents", "Delete entities, too, that need these by a required relation."
)
FORCE = flag("force", "Change it even if stored entities no longer fit.")

_MOMENT = {"type": "string", "format": "date-time"}
_TEXT = {"type": "string"}
_ENTITY_IDENTIFIER = {"type": "string", "minLength": 1, "maxLength": 1000}
_REFERENCE: Schema = {
    "anyOf": [_TEXT, {"type": "null"}, ref("SearchObject")],
    "description": "An identifier, or a search that finds it.",
}
_REFERENCES: Schema = {"anyOf": [*_REFERENCE["anyOf"], list_of(_TEXT)]}
_TIME_RANGE: Schema = {
    "type": "object",
    "description": "A `preset`, or the moments `from` and `to`.",
    "properties": {
        "preset": _TEXT,
        "from": _MOMENT,
        "to": _MOMENT,
        "timeZone": {**_TEXT, "description": "Like `Europe/Berlin`; UTC if not given."},
    },
    "example": {"preset": "lastMonth", "timeZone": "UTC"},
}
_TIME_INTERVAL: Schema = {
    "type": "string",
    "enum": ["hour", "day", "isoWeek", "month", "quarter"],
}
_MEASURE_TIME_BY = {**_TEXT, "description": "A property that is a date; `$createdAt` if not given."}
_AVERAGE_OF: Schema = {"type": "string", "enum": ["hour", "day", "week", "month", "total"]}
_AUTHORSHIP = {
    "createdAt": _MOMENT,
    "createdBy": _TEXT,
    "updatedAt": _MOMENT,
    "updatedBy": _TEXT,
}

COMPONENTS: dict[str, Schema] = {
    "Error": {
        "type": "object",
        "properties": {
            "ok": {"type": "boolean", "const": False},
            "error": {"type": "string", "description": "A stable code, such as `not_found`."},
            "message": {"type": "string", "description": "For people: what is wrong, where."},
            "details": {
                **OBJECT,
                "description": "Mostly `field`, `value` and what was `expected`.",
            },
        },
        "required": ["ok", "error", "message"],
    },
    "BackstageError": {
        "type": "object",
        "description": "A refusal of the routes that Backstage's clients use.",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "description": "Such as `NotFoundError`."},
                    "message": {"type": "string", "description": "What is wrong, for people."},
                },
                "required": ["name", "message"],
            },
            "request": {
                "type": "object",
                "properties": {"method": {"type": "string"}, "url": {"type": "string"}},
                "required": ["method", "url"],
            },
            "response": {
                "type": "object",
                "properties": {"statusCode": {"type": "integer"}},
                "required": ["statusCode"],
            },
        },
        "required": ["error", "request", "response"],
    },
    "Query": {
        "type": "object",
        "description": "Rules over entities, in groups of any depth.",
        "properties": {
            "combinator": {"type": "string", "enum": ["and", "or"]},
            "rules": list_of(OBJECT),
        },
        "example": {
            "combinator": "and",
            "rules": [{"property": "$title", "operator": "contains", "value": "pay"}],
        },
    },
    "SearchObject": {
        "type": "object",
        "description": "A search that stands for identifiers.",
        "properties": {
            "combinator": {"type": "string", "enum": ["and", "or"]},
            "rules": list_of(OBJECT),
        },
        "required": ["combinator", "rules"],
    },
    "Entity": {
        "type": "object",
        "description": "Parts that were not asked for (`include`, `exclude`) are missing.",
        "properties": {
            "identifier": _TEXT,
            "title": _nullable(_TEXT),
            "icon": _nullable(_TEXT),
            "blueprint": _TEXT,
            "team": list_of(_TEXT),
            "properties": OBJECT,
            "relations": OBJECT,
            "scorecards": OBJECT,
            **_AUTHORSHIP,
            "asOf": {**_MOMENT, "description": "Only with `as_of`: the moment it is shown at."},
        },
        "required": ["identifier", "blueprint"],
        "example": {
            "identifier": "payments",
            "title": "Payments",
            "icon": None,
            "blueprint": "service",
            "team": ["core"],
            "properties": {"language": "go"},
            "relations": {"domain": "finance", "reviewers": []},
            "scorecards": {},
            "createdAt": "2026-01-02T03:04:05.678Z",
            "createdBy": "ann@example.com",
            "updatedAt": "2026-01-02T03:04:05.678Z",
            "updatedBy": "ann@example.com",
        },
    },
    "EntityBody": {
        "type": "object",
        "properties": {
            "identifier": {
                "anyOf": [_ENTITY_IDENTIFIER, {"type": "null"}, ref("SearchObject")],
                "description": "Made up when it is missing.",
            },
            "title": _nullable(_TEXT),
            "icon": _nullable(_TEXT),
            "team": _REFERENCES,
            "properties": _nullable(OBJECT),
            "relations": {
                "type": ["object", "null"],
                "additionalProperties": _REFERENCES,
            },
        },
        "example": {
            "identifier": "payments",
            "title": "Payments",
            "team": ["core"],
            "properties": {"language": "go"},
            "relations": {"domain": "finance"},
        },
    },
    "BulkResult": {
        "type": "object",
        "properties": {
            "ok": {"type": "boolean"},
            "entities": list_of(
                {
                    "type": "object",
                    "properties": {
                        "index": {"type": "integer"},
                        "identifier": _TEXT,
                        "created": {"type": "boolean"},
                        "additionalData": OBJECT,
                    },
                    "required": ["index", "identifier", "created"],
                }
            ),
            "errors": list_of(
                {
                    "type": "object",
                    "properties": {
                        "index": {"type": "integer"},
                        "identifier": _TEXT,
                        "statusCode": {"type": "integer"},
                        "error": _TEXT,
                        "message": _TEXT,
                    },
                    "required": ["index", "identifier", "statusCode", "error", "message"],
                }
            ),
        },
        "required": ["ok", "entities", "errors"],
    },
    "Relation": {
        "type": "object",
        "properties": {
            "title": _nullable(_TEXT),
            "description": _nullable(_TEXT),
            "target": {**_TEXT, "description": "A blueprint, or `*` for any kind."},
            "required": {"type": "boolean"},
            "many": {"type": "boolean"},
        },
        "required": ["target"],
    },
    "BlueprintBody": {
        "type": "object",
        "properties": {
            "identifier": {"type": "string", "minLength": 1, "maxLength": 100},
            "title": {**_nullable(_TEXT), "maxLength": 100},
            "icon": _nullable(_TEXT),
            "description": _nullable(_TEXT),
            "schema": {
                "type": "object",
                "properties": {
                    "properties": {"type": "object", "additionalProperties": OBJECT},
                    "required": list_of(_TEXT),
                },
            },
            "relations": {"type": "object", "additionalProperties": ref("Relation")},
            "mirrorProperties": OBJECT,
            "calculationProperties": OBJECT,
            "aggregationProperties": OBJECT,
            "ownership": _nullable(OBJECT),
        },
        "example": {
            "identifier": "service",
            "title": "Service",
            "schema": {
                "properties": {"language": {"type": "string", "enum": ["go", "python"]}},
                "required": [],
            },
            "relations": {},
        },
    },
    "Blueprint": {
        "type": "object",
        "properties": {
            "identifier": _TEXT,
            "title": _TEXT,
            "icon": _nullable(_TEXT),
            "description": _nullable(_TEXT),
            "schema": {
                "type": "object",
                "properties": {"properties": OBJECT, "required": list_of(_TEXT)},
                "required": ["properties", "required"],
            },
            "relations": {"type": "object", "additionalProperties": ref("Relation")},
            "mirrorProperties": OBJECT,
            "calculationProperties": OBJECT,
            "aggregationProperties": OBJECT,
            "ownership": OBJECT,
            **_AUTHORSHIP,
        },
        "required": [
            "identifier",
            "title",
            "description",
            "schema",
            "relations",
            "mirrorProperties",
            "calculationProperties",
            "aggregationProperties",
        ],
    },
    "Impact": {
        "type": "object",
        "properties": {
            "breaking": {"type": "boolean"},
            "effects": list_of(
                {
                    "type": "object",
                    "properties": {
                        "kind": _TEXT,
                        "path": _TEXT,
                        "message": _TEXT,
                        "count": {"type": "integer"},
                        "examples": list_of(_TEXT),
                        "is_breaking": {"type": "boolean"},
                    },
                }
            ),
        },
        "required": ["breaking", "effects"],
    },
    "HistoryEntry": {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "at": _MOMENT,
            "action": _TEXT,
            "actor": _TEXT,
            "actorKind": _TEXT,
            "runId": _nullable(_TEXT),
            "changes": list_of(
                {
                    "type": "object",
                    "properties": {"path": _TEXT, "before": {}, "after": {}},
                    "required": ["path", "before", "after"],
                }
            ),
        },
        "required": ["id", "at", "action", "actor", "actorKind", "changes"],
    },
    "Aggregation": {
        "type": "object",
        "properties": {
            "func": {
                "type": "string",
                "enum": ["count", "countValues", "sum", "average", "min", "max", "median"],
            },
            "property": _TEXT,
            "relation": _TEXT,
            "averageOf": _AVERAGE_OF,
            "measureTimeBy": _MEASURE_TIME_BY,
            "query": ref("Query"),
        },
        "required": ["func"],
        "example": {"func": "countValues", "property": "language"},
    },
    "AggregationOverTime": {
        "type": "object",
        "properties": {
            "blueprint": _TEXT,
            "query": ref("Query"),
            "timeRange": _TIME_RANGE,
            "timeInterval": _TIME_INTERVAL,
            "measureTimeBy": _MEASURE_TIME_BY,
            "aggregationType": {
                "type": "string",
                "enum": ["countEntities", "aggregatePropertiesValues"],
            },
            "func": {
                "type": "string",
                "enum": ["count", "sum", "average", "min", "max", "median", "last"],
            },
            "averageOf": _AVERAGE_OF,
            "breakdownProperty": _TEXT,
            "properties": list_of(_TEXT),
        },
        "required": ["blueprint", "timeRange", "timeInterval", "aggregationType"],
    },
    "PropertiesHistory": {
        "type": "object",
        "properties": {
            "blueprintIdentifier": _TEXT,
            "entityIdentifier": _TEXT,
            "propertyNames": list_of(_TEXT, minItems=1, maxItems=20),
            "timeInterval": _TIME_INTERVAL,
            "timeRange": _TIME_RANGE,
        },
        "required": [
            "blueprintIdentifier",
            "entityIdentifier",
            "propertyNames",
            "timeInterval",
            "timeRange",
        ],
    },
    "Series": {
        "type": "object",
        "properties": {
            "minDate": {"type": "integer", "description": "Milliseconds since 1970."},
            "maxDate": {"type": "integer"},
            "data": list_of({**OBJECT, "description": "`date`, and a value for each name."}),
        },
        "required": ["minDate", "maxDate", "data"],
    },
    "Migration": {
        "type": "object",
        "properties": {
            "id": _TEXT,
            "status": {
                "type": "string",
                "enum": [
                    "PENDING",
                    "INITIALIZING",
                    "RUNNING",
                    "COMPLETED",
                    "FAILURE",
                    "PENDING_CANCELLATION",
                    "CANCELLED",
                ],
            },
            "actor": _TEXT,
            "sourceBlueprint": _TEXT,
            "mapping": OBJECT,
            "deleteBlueprint": {"type": "boolean"},
            "deleteEntities": {"type": "boolean"},
            "totalCount": {"type": "integer", "description": "Entities of the source."},
            "filteredCount": {"type": "integer", "description": "Left out by the filter."},
            "successCount": {"type": "integer"},
            "failureCount": {"type": "integer"},
            "failures": list_of(OBJECT),
            "error": _nullable(_TEXT),
            "reason": _nullable(_TEXT),
            "createdAt": _MOMENT,
            "updatedAt": _MOMENT,
        },
        "required": ["id", "status", "actor", "sourceBlueprint", "mapping"],
    },
}
