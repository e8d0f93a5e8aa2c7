from __future__ import annotations

from typing import Any

from django.db import models
from psycopg.types.json import Json


class OrderedJSONField(models.JSONField):
    """JSON kept as written: PostgreSQL `json`, since `jsonb` forgets the order of keys.

    For what people arranged by hand (a schema's properties) and what must go out as it came in
    (a descriptor). It cannot be queried by containment; what must be searchable is `JSONField`.
    """

    def db_type(self, connection: Any) -> str:
        return "json"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if value is None or hasattr(value, "as_sql"):
            return value
        return Json(value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return value  # psycopg reads `json` itself
