"""The pages of migrations of data: what one did, what it could not do, and its end."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from catalog.ingest.migrations import create_migration, run_migration
from catalog.kernel.actors import Role
from catalog.models import DataMigration
from tests.factories import ACTOR, make_blueprint, make_entity, make_user


@pytest.fixture
def migration(db: None) -> DataMigration:
    make_blueprint("service", properties={"stars": {"type": "number"}})
    make_blueprint("app", properties={"rank": {"type": "number", "maximum": 5}})
    for stars in (1, 2, 9):
        make_entity("service", f"s{stars}", properties={"stars": stars})
    mapping = {
        "blueprint": "app",
        "filter": ".properties.stars != 2",
        "entity": {"identifier": ".identifier", "properties": {"rank": ".properties.stars"}},
    }
    return create_migration(source_blueprint="service", mapping=mapping, actor=ACTOR)


def url(migration: DataMigration, page: str = "change") -> str:
    return reverse(f"admin:catalog_datamigration_{page}", args=[migration.pk])


def text_of(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_a_migration_is_followed_to_its_end(admin_client: Client, migration: DataMigration) -> None:
    before = text_of(admin_client.get(url(migration)))
    assert "It waits for a worker." in before
    assert url(migration, "progress") in before  # it asks for itself
    assert run_migration(migration.pk) is False
    page = text_of(admin_client.get(url(migration)))
    assert url(migration, "progress") not in page
    assert url(migration, "cancel") not in page
    migration.refresh_from_db()
    [failure] = migration.failures
    assert "s9 → s9" in page
    assert failure["field"] in page
    listed = text_of(admin_client.get(reverse("admin:catalog_datamigration_changelist")))
    for told in ("service → app", migration.name, "3 in all", "1 written", "1 failed"):
        assert told in listed


def test_a_migration_is_cancelled_by_post_alone(
    admin_client: Client, migration: DataMigration
) -> None:
    assert admin_client.get(url(migration, "cancel")).status_code == 405
    migration.refresh_from_db()
    assert migration.status == "PENDING"
    page = text_of(admin_client.post(url(migration, "cancel"), {"reason": "<no>"}, follow=True))
    migration.refresh_from_db()
    assert (migration.status, migration.reason) == ("CANCELLED", "<no>")
    assert "The migration was cancelled." in page
    assert "&lt;no&gt;" in page
    again = text_of(admin_client.post(url(migration, "cancel"), follow=True))
    assert "The migration is over already: CANCELLED" in again


def test_one_at_work_says_how_far_it_is(admin_client: Client, migration: DataMigration) -> None:
    pks = migration.last
    DataMigration.objects.filter(pk=migration.pk).update(status="RUNNING", cursor=pks - 1)
    assert "2 of 3 entities handled" in text_of(admin_client.get(url(migration, "progress")))
    admin_client.post(url(migration, "cancel"))
    page = text_of(admin_client.get(url(migration)))
    assert "It ends after the part it is at." in page
    assert url(migration, "cancel") not in page


def test_others_see_and_end_nothing(migration: DataMigration) -> None:
    client = Client()
    client.force_login(make_user(role=Role.MEMBER))
    assert client.get(url(migration)).status_code in (302, 403)
    assert client.post(url(migration, "cancel")).status_code in (302, 403)
    migration.refresh_from_db()
    assert migration.status == "PENDING"
    assert client.get(url(migration, "progress")).status_code in (302, 403)
