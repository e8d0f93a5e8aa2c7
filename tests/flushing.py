"""What committing tests leave is deleted: few rows of few tables, so that TRUNCATE costs more."""

from functools import cache
from typing import Any

from django.db import connection, transaction

from catalog.services.blueprints import ensure_system_blueprints

# Migrations make these, and nothing else does.
_KEPT = {"django_migrations", "django_content_type", "auth_permission"}


def flush(_test_case: Any) -> None:
    """Leave the database as a flush of Django does, and the change feed, which it overlooks, empty.

    It takes the place of `TransactionTestCase._fixture_teardown`. As a TRUNCATE would, it waits for
    whoever still writes.
    """
    tables = _tables()
    some_row = ", ".join(f"EXISTS (SELECT FROM {table})" for table in tables)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
        cursor.execute(f"SELECT {some_row}")
        for table, has_rows in zip(tables, cursor.fetchone(), strict=True):
            if has_rows:  # all foreign keys are deferred, so the order does not matter
                cursor.execute(f"DELETE FROM {table}")
    ensure_system_blueprints()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM catalog_change")


@cache
def _tables() -> list[str]:
    names = connection.introspection.table_names()
    return [connection.ops.quote_name(name) for name in names if name not in _KEPT]
