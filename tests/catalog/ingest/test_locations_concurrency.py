"""Two processes read the same locations at once, and one removes a location meanwhile."""

import json

import pytest
from django.utils import timezone

from catalog.ingest.locations import refresh, registering
from catalog.kernel.actors import Actor
from catalog.models import Entity, LocatedEntity, Location
from tests import processes

pytestmark = pytest.mark.django_db(transaction=True)

ACTOR = Actor.system("test")
ROUNDS = 3


def read_all(number: int, folder: str) -> None:
    """Read by schedule, on demand, or change files and remove a location."""
    from django.conf import settings

    settings.IDP_FILES = [folder]
    for round_ in range(ROUNDS):
        if number == 2:
            write(folder, "b", round_)
            if round_ == ROUNDS // 2:
                registering.remove(Location.objects.get(target__endswith="c.yaml"), ACTOR)
        else:
            Location.objects.update(next_refresh_at=timezone.now())
            refresh.refresh_due()
        for location in Location.objects.order_by("-target"):
            refresh.refresh(location)


def write(folder: str, name: str, version: int) -> None:
    documents = [
        {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": one},
            "spec": {"type": "service", "lifecycle": f"v{version}", "owner": "team-a"},
        }
        for kind, one in (("Component", name), ("Component", "shared"), ("Resource", name))
    ]
    with open(f"{folder}/{name}.yaml", "w") as file:
        file.write("\n---\n".join(json.dumps(one) for one in documents))


def test_nobody_undoes_what_another_one_read(tmp_path, settings):
    settings.IDP_FILES = [str(tmp_path)]
    for name in "abc":
        write(str(tmp_path), name, 0)
        registering.register("file", f"{tmp_path}/{name}.yaml", actor=ACTOR)
    readers = [processes.start(read_all, number, str(tmp_path)) for number in (0, 2)]
    processes.finish(*readers)
    for location in Location.objects.all():
        refresh.refresh(location)
    names = Entity.objects.filter(blueprint__identifier="component").values_list(
        "identifier", flat=True
    )
    assert sorted(names) == ["a", "b", "shared"]
    assert LocatedEntity.objects.filter(file=None).count() == 0
    assert (
        Entity.objects.get(blueprint__identifier="component", identifier="b").properties[
            "lifecycle"
        ]
        == f"v{ROUNDS - 1}"
    )
    states = set(Location.objects.values_list("state", "problem"))
    assert states == {("ready", ""), ("partial", "")}
