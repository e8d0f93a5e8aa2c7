"""Writers and refreshers at once: nobody waits for ever, and in the end every value is true."""

from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from django.db import connection, transaction

from catalog import tasks
from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.models import Entity, StaleEntity
from catalog.services import derived
from catalog.services.blueprints import patch_blueprint
from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply, delete
from tests import processes
from tests.factories import ACTOR, make_blueprint, make_entity
from tests.kernel.test_feed import until

pytestmark = pytest.mark.django_db(transaction=True)

SERVICES, DOMAINS, ROUNDS = 40, 4, 15


def write(number: int) -> None:
    """Change what others' values are read from, and refresh some in the same breath."""
    processes.wait_for_start()
    random = Random(number)
    for _ in range(ROUNDS):
        services = random.sample(range(SERVICES), 15)
        drafts = [
            EntityDraft("domain", f"d{random.randrange(DOMAINS)}", title=f"{random.random()}"),
            *(
                EntityDraft(
                    "service",
                    f"s{one}",
                    title=f"{random.random()}",
                    relations={"domain": f"d{random.randrange(DOMAINS)}"},
                )
                for one in services
            ),
            *(
                EntityDraft(
                    "incident",
                    f"i{one}",
                    properties={"cost": random.randrange(100)},
                    relations={"service": f"s{random.randrange(SERVICES)}"},
                )
                for one in services[:5]
            ),
        ]
        result = apply(
            drafts,
            mode=Mode.MERGE,
            actor=Actor("client", f"writer {number}"),
            missing_targets=MissingTargets.DANGLE,
        )
        assert not result.rejected, result.rejected[0]
        [item] = [one for one in result.items if one.blueprint == "domain"]
        with transaction.atomic():
            derived.refresh(derived.load_plan().of("domain").kind.pk, [item.pk])
        if random.random() < 0.2:
            delete([("domain", f"d{random.randrange(DOMAINS)}")], actor=ACTOR)


def follow(random: Random) -> None:
    """What the consumer does, and its task."""
    feed.consume(derived.CONSUMER, derived.mark, limit=random.randrange(1, 200))
    derived.refresh_stale(limit=random.randrange(1, 40))


def in_own_connection(work, *args):
    try:
        return work(*args)
    finally:
        connection.close()


def refresh_alone(blueprint, pk):
    with transaction.atomic():
        return derived.refresh(blueprint, [pk])


def rename_domain(title):
    return apply([EntityDraft("domain", "d", title=title)], mode=Mode.MERGE, actor=ACTOR)


def test_a_refresh_reads_once_it_has_waited_for_those_before_it():
    """The first one reads and holds the lock; what is written then, the second one sees."""
    make_blueprint("domain")
    kind = make_blueprint(
        "service",
        relations={"domain": {"target": "domain"}},
        mirrorProperties={"domain": {"path": "domain.$title"}},
    )
    make_entity("domain", "d", title="old")
    service = make_entity("service", "s", relations={"domain": "d"})
    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            derived.refresh(kind.pk, [service.pk])
            second = pool.submit(in_own_connection, refresh_alone, kind.pk, service.pk)
            until(_somebody_waits)
            pool.submit(in_own_connection, rename_domain, "new").result()
        [difference] = second.result()
    assert (difference.stored, difference.expected) == ({"domain": "old"}, {"domain": "new"})
    service.refresh_from_db()
    assert service.computed == {"domain": "new"}


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
        )
        return cursor.fetchone()[0]


def test_the_tasks_of_the_workers_make_values_true():
    make_blueprint("domain")
    make_blueprint(
        "service",
        relations={"domain": {"target": "domain"}},
        mirrorProperties={"domain": {"path": "domain.$title"}},
    )
    make_entity("domain", "d", title="old")
    service = make_entity("service", "s", relations={"domain": "d"})

    def shows(title):
        service.refresh_from_db()
        return service.computed == {"domain": title}

    def work():
        tasks.consume_feed(derived.CONSUMER)
        tasks.refresh_computed()

    until(lambda: shows("old"), work)
    rename_domain("new")
    until(lambda: shows("new"), work)


def test_every_value_is_true_in_the_end():
    make_blueprint("domain")
    make_blueprint(
        "service",
        relations={"domain": {"target": "domain"}},
        mirrorProperties={"domain": {"path": "domain.$title"}},
        calculationProperties={
            "label": {"calculation": "[.title, .properties.domain]", "type": "array"}
        },
    )
    make_blueprint(
        "incident",
        properties={"cost": {"type": "number"}},
        relations={"service": {"target": "service"}},
        mirrorProperties={"where": {"path": "service.label"}},
    )
    spec = {"calculationBy": "property", "func": "sum", "property": "cost"}
    total = {"total": {"target": "incident", "calculationSpec": spec}}
    for kind in ("service", "domain"):
        patch_blueprint(kind, {"aggregationProperties": total}, actor=ACTOR)
    writers, random = processes.race(write, 2), Random(0)
    with ThreadPoolExecutor(1) as pool:
        worker = pool.submit(_work_beside, writers)
        while any(writer.poll() is None for writer in writers):
            follow(random)
        worker.result()
    processes.finish(*writers)
    until(_is_settled, lambda: derived.settle(derived.CONSUMER))
    assert Entity.objects.filter(blueprint__identifier="service").count() == SERVICES
    for blueprint in derived.load_plan().by_pk:
        pks = Entity.objects.filter(blueprint=blueprint).values_list("pk", flat=True)
        assert derived.compare(blueprint, list(pks)) == []


def _work_beside(writers):
    random = Random(1)
    try:
        while any(writer.poll() is None for writer in writers):
            follow(random)
    finally:
        connection.close()


def _is_settled() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            # a consumer that has read nothing yet has no row
            "SELECT count(*) FROM catalog_change c "
            "LEFT JOIN catalog_feedconsumer f ON f.name = %s "
            "WHERE f.name IS NULL OR (c.transaction, c.id) > (f.transaction, f.change_id)",
            [derived.CONSUMER],
        )
        return cursor.fetchone()[0] == 0 and not StaleEntity.objects.exists()
