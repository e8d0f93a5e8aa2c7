"""Compiled blueprints are kept until one of them changes, by whomever."""

import pytest
from django.db import transaction

from catalog.services.blueprints import delete_blueprint, patch_blueprint
from catalog.services.shapes import load_shapes
from tests.factories import ACTOR, make_blueprint

pytestmark = pytest.mark.django_db

TEXT = {"type": "string"}


def test_shapes_are_loaded_once(django_assert_num_queries):
    make_blueprint("service", properties={"a": {**TEXT, "default": "x"}})
    first = load_shapes()
    with django_assert_num_queries(1):
        assert load_shapes() is first
    assert first["service"].defaults == {"a": "x"}


def test_each_change_is_seen_and_each_undone_change_too():
    make_blueprint("team")
    blueprint = make_blueprint("service")
    assert "owner" not in load_shapes()["service"].definitions
    with transaction.atomic():
        patch_blueprint("service", {"relations": {"owner": {"target": "team"}}}, actor=ACTOR)
        assert load_shapes()["service"].definitions["owner"].target == "team"
        transaction.set_rollback(True)
    assert "owner" not in load_shapes()["service"].definitions
    patch_blueprint("service", {"identifier": "app"}, actor=ACTOR)
    assert load_shapes()["app"].pk == blueprint.pk
    assert "service" not in load_shapes()
    delete_blueprint("app", actor=ACTOR)
    assert "app" not in load_shapes()
