"""Many entities in one request, as exporters write and delete them."""

import pytest

from catalog.models import Change, Entity
from tests.factories import make_blueprint, make_entity

BULK = "/v1/blueprints/service/entities/bulk"
DELETE = "/v1/blueprints/service/bulk/entities/delete"

pytestmark = pytest.mark.usefixtures("service")


def test_all_good_is_200_with_one_result_each(api):
    make_entity("service", "old")
    answer = api.post(
        f"{BULK}?upsert=true", {"entities": [{"identifier": i} for i in ("old", "new")]}
    )
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "ok": True,
            "entities": [
                {"index": 0, "identifier": "old", "created": False, "additionalData": {}},
                {"index": 1, "identifier": "new", "created": True, "additionalData": {}},
            ],
            "errors": [],
        },
    )  # fmt: skip


def test_bad_ones_are_told_by_index_and_stop_nobody(api):
    make_entity("service", "pay")
    search = {
        "combinator": "and",
        "rules": [{"property": "language", "operator": "=", "value": "cobol"}],
    }
    answer = api.post(
        BULK,
        {
            "entities": [
                {"identifier": "pay"},
                {"identifier": "a", "relations": {"needs": ["b"]}},
                {"identifier": "b", "relations": {"needs": ["a"]}},
                {"identifier": "c", "properties": {"stars": -1}},
                {"identifier": "d", "relations": {"domain": "gone"}},
                {"identifier": search},
                {"identifier": 7},
                "text",
            ]
        },
    )
    body = answer.json()
    assert (answer.status_code, body["ok"]) == (207, False)
    assert [(one["index"], one["created"]) for one in body["entities"]] == [(1, True), (2, True)]
    told = [(e["index"], e["identifier"], e["statusCode"], e["error"]) for e in body["errors"]]
    assert told == [
        (0, "pay", 409, "already_exists"),
        (3, "c", 422, "invalid_entity"),
        (4, "d", 404, "not_found"),
        (5, "unknown", 422, "invalid_entity"),
        (6, "", 422, "invalid_input"),
        (7, "", 422, "invalid_entity"),
    ]
    message = body["errors"][1]["message"]
    assert message == 'property "stars": -1 is less than the minimum of 0'
    stored = Entity.objects.order_by("identifier").values_list("identifier", flat=True)
    assert list(stored) == ["a", "b", "pay"]


def test_when_all_fail_it_is_still_207(api):
    answer = api.post(BULK, {"entities": [{"identifier": "😀"}]})
    assert (answer.status_code, answer.json()["entities"]) == (207, [])


def test_validation_only_stores_nothing(api):
    answer = api.post(f"{BULK}?validation_only=true", {"entities": [{"identifier": "a"}]})
    assert answer.json()["entities"][0]["created"]
    assert not Entity.objects.exists()


@pytest.mark.parametrize(
    ("path", "entities"),
    [
        (BULK, [{"identifier": f"s{n}"} for n in range(21)]),
        (BULK, []),
        (BULK, {"identifier": "a"}),
        (BULK, None),
        (DELETE, [f"s{n}" for n in range(101)]),
        (DELETE, []),
        (DELETE, [{"identifier": "a"}]),
    ],
)
def test_the_size_of_a_request_is_bounded(api, path, entities):
    answer = api.post(path, {"entities": entities})
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_input")
    assert not Entity.objects.exists()


def test_unknown_blueprint_is_404_for_the_whole_request(api):
    answer = api.post(BULK.replace("service", "nope"), {"entities": [{"identifier": "a"}]})
    assert (answer.status_code, answer.json()["details"]["resource"]) == (404, "Blueprint")


def test_bulk_delete_skips_what_is_unknown(api):
    for name in ("a", "b", "c"):
        make_entity("service", name)
    answer = api.post(DELETE, {"entities": ["a", "c", "nope", "\x00", "a"]})
    assert answer.json() == {"ok": True, "deletedEntities": ["a", "c"]}
    assert list(Entity.objects.values_list("identifier", flat=True)) == ["b"]


def test_bulk_delete_is_all_or_nothing(api):
    make_blueprint("pod", relations={"of": {"target": "service", "required": True}})
    for name in ("a", "b"):
        make_entity("service", name)
    make_entity("pod", "p", relations={"of": "b"})
    refused = api.post(DELETE, {"entities": ["a", "b"]})
    assert (refused.status_code, refused.json()["error"]) == (409, "has_dependents")
    assert Entity.objects.count() == 3
    done = api.post(f"{DELETE}?delete_dependents=true&run_id=r_1", {"entities": ["a", "b"]})
    assert done.json()["deletedEntities"] == ["a", "b"]
    assert not Entity.objects.exists()
    assert Change.objects.filter(action="delete", run="r_1").count() == 3


def test_statements_do_not_grow_with_the_batch(api, django_assert_num_queries):
    def body(size, stars):
        return {
            "entities": [
                {
                    "identifier": f"s{n}",
                    "properties": {"stars": stars},
                    "relations": {"domain": f"d{n}", "needs": [f"s{n + 1}"]},
                }
                for n in range(size)
            ]
        }

    path = f"{BULK}?upsert=true&merge=true&create_missing_related_entities=true"
    api.post(path, body(20, 1))
    with django_assert_num_queries(13):
        api.post(path, body(1, 2))
    with django_assert_num_queries(13):
        api.post(path, body(20, 3))
    # token, blueprint, savepoint, two locks, kinds, keys, content, release
    with django_assert_num_queries(9):
        assert api.post(path, body(20, 3)).json()["ok"]
