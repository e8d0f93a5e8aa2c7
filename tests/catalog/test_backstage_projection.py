"""Documents are worked out beside those who write."""

from __future__ import annotations

import pytest
from django.db import connection

from catalog.dialects.backstage.projection import ensure_current
from catalog.models import EntityDocument, PendingDocument
from catalog.services.entities import delete
from tests import processes
from tests.factories import ACTOR, make_blueprint, make_entity

pytestmark = pytest.mark.django_db(transaction=True)


def test_who_deletes_is_not_waited_for_and_an_undone_deletion_is_noticed() -> None:
    make_blueprint("service")
    one, two = make_entity("service", "one"), make_entity("service", "two")
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("DELETE FROM catalog_entity WHERE id = %s", [one.pk])
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '3s'")
        ensure_current()
        assert [*EntityDocument.objects.values_list("pk", flat=True)] == [two.pk]
        assert [*PendingDocument.objects.values_list("entity_id", flat=True)] == [one.pk]
        other.rollback()
    finally:
        other.close()
    ensure_current()
    assert EntityDocument.objects.count() == 2
    assert not PendingDocument.objects.exists()
    delete([("service", "one")], actor=ACTOR)
    assert [*EntityDocument.objects.values_list("pk", flat=True)] == [two.pk]


def write_and_read(number: int) -> None:
    """Each process sees what it has written, whoever works it out."""
    processes.wait_for_start()
    for index in range(10):
        entity = make_entity("service", f"s{number}-{index}")
        ensure_current()
        assert EntityDocument.objects.filter(pk=entity.pk).exists()


def test_everybody_sees_what_they_wrote() -> None:
    make_blueprint("service")
    processes.finish(*processes.race(write_and_read, 2))
    assert EntityDocument.objects.count() == 20
