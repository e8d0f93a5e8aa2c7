from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def shop(django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    """The catalogue of `shop.py`, made once for the tests of a module, which only read it.

    They must still be marked `django_db`, or else there is no database.
    """
    from django.db import transaction

    from tests.catalog.search.shop import make_shop  # models cannot be imported before set-up

    with django_db_blocker.unblock(), transaction.atomic():
        yield make_shop()
        transaction.set_rollback(True)
