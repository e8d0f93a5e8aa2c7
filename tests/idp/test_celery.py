"""The worker's own duties: its heartbeat, and tasks that a killed worker had taken."""

import pytest
from django.conf import settings

from idp.celery import app, hand_back_tasks
from idp.tasks import clear_sessions


@pytest.fixture
def _empty_broker():
    """Leave the broker of this test process without messages."""
    with app.connection_for_write() as link:
        link.default_channel.client.flushdb()
        yield
        link.default_channel.client.flushdb()


@pytest.mark.usefixtures("_empty_broker")
def test_tasks_of_a_killed_worker_go_back_to_their_queue():
    clear_sessions.delay()
    clear_sessions.delay()
    with app.connection_for_write() as link:
        channel = link.default_channel
        # Taken and never acknowledged, as by a worker that is killed.
        assert channel.basic_get("default").headers["task"] == "idp.tasks.clear_sessions"
        assert channel.client.llen("default") == 1
        assert hand_back_tasks({"sources"}) == 0  # the worker of the others is alive
        assert hand_back_tasks({"default"}) == 1
        assert channel.client.llen("default") == 2
        assert hand_back_tasks({"default"}) == 0


def test_every_scheduled_task_exists():
    app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert scheduled <= app.tasks.keys()
