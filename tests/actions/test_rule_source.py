"""What actions lend to others by the registry: runs for rules, notices, topics of channels."""

from datetime import timedelta

import pytest
from django.utils import timezone

from actions.models import Channel, Notification, Run
from actions.notifications.channels import create_channel
from catalog import registry
from catalog.kernel.actors import Role
from catalog.kernel.errors import InvalidInput
from catalog.models import Entity
from tests.factories import ACTOR, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db


def make_run(entity, status="SUCCESS", **fields):
    now = timezone.now()
    return Run.objects.create(
        about={"identifier": "deploy"},
        blueprint={"identifier": "service"},
        entity={"identifier": entity},
        status=status,
        ended_at=None if status == "IN_PROGRESS" else now,
        created_at=now - timedelta(hours=1),
        updated_at=now,
        **fields,
    )


def test_rules_see_the_newest_runs_of_an_entity(django_assert_num_queries):
    for blueprint in ("service", "job"):  # of the same name, which has no runs
        make_blueprint(blueprint)
        make_entity(blueprint, "pay")
    old, new = make_run("pay", "FAILURE"), make_run("pay", "IN_PROGRESS")
    make_run("mail")
    make_run("pay", is_test=True)
    make_run("pay", is_closed=True)

    runs = registry.rule_sources["runs"].value()
    with django_assert_num_queries(1):
        found = dict(
            Entity.objects.annotate(runs=runs).values_list("blueprint__identifier", "runs")
        )
    assert found["job"] == []
    assert [(one["action"], one["status"]) for one in found["service"]] == [
        ("deploy", new.status),
        ("deploy", old.status),
    ]
    assert found["service"][0]["endedAt"] is None
    assert found["service"][1]["createdAt"].startswith(f"{old.created_at:%Y-%m-%dT%H:%M:%S}")
    assert found["service"][1]["endedAt"].endswith("Z")


def test_others_tell_people_and_bring_topics_of_channels(monkeypatch):
    monkeypatch.setitem(registry.notification_topics, "grades", "A grade changed")
    registry.notify("Pay is gold", topic="grades", recipients=["Ann@example.com"])
    assert Notification.objects.get().recipient == "ann@example.com"

    said = {"title": "Chat", "url": "https://chat.example.com", "actor": ACTOR}
    create_channel(**said, topics=["grades", "failure"])
    with pytest.raises(InvalidInput, match=r"failure, .*grades"):
        create_channel(**said, topics=["x"])
    page = make_browser(role=Role.ADMIN).get("/admin/actions/channel/add/").content.decode()
    assert "A grade changed" in page
    assert Channel.objects.get().topics == ["grades", "failure"]
