"""Descriptors through the importer and their JSON through the API make the same catalogue."""

import pytest

from catalog.dialects.imports import import_files
from catalog.kernel.actors import Actor
from catalog.models import Entity, Relation
from catalog.services.blueprints import delete_all_entities
from idp.demo import ORGANISATION
from tests.factories import ACTOR, make_api

PART = 20  # what a bulk request may hold


def contents() -> dict[tuple[str, str], tuple[object, ...]]:
    """What the API can say of each entity; the foreign document is not among it."""
    rows = Entity.objects.values_list(
        "blueprint__identifier", "identifier", "title", "icon", "team", "properties", "relations"
    )
    return {(blueprint, name): tuple(rest) for blueprint, name, *rest in rows}


def edges() -> set[tuple[object, ...]]:
    return set(
        Relation.objects.values_list(
            "source__blueprint__identifier",
            "source__identifier",
            "definition__identifier",
            "position",
            "target_blueprint",
            "target_identifier",
            "target__identifier",
        )
    )


@pytest.mark.django_db
@pytest.mark.parametrize("real", [False, True], ids=["demo", "real files"])
def test_the_importer_and_the_api_make_the_same_catalogue(real, request):
    files = ORGANISATION
    if real:  # one of each repository; whole organisations have more of the same
        files = request.getfixturevalue("test_data") / "catalog-info" / "*.yaml"
    import_files([str(files)], actor=Actor.system("import"))
    wanted, wanted_edges = contents(), edges()
    api = make_api()
    blueprints = sorted({blueprint for blueprint, _ in wanted})
    documents = {b: api.get(f"/v1/blueprints/{b}/entities").json()["entities"] for b in blueprints}
    for blueprint in blueprints:
        delete_all_entities(blueprint, actor=ACTOR)
    assert contents() == {}

    for blueprint, entities in documents.items():
        for start in range(0, len(entities), PART):
            answer = api.post(
                f"/v1/blueprints/{blueprint}/entities/bulk?upsert=true"
                "&keep_missing_related_entities=true",
                {"entities": entities[start : start + PART]},
            )
            assert answer.status_code == 200, answer.json()["errors"]

    assert contents() == wanted
    assert edges() == wanted_edges
