"""The Celery app: what the worker and beat run, and what `.delay()` sends to."""

import json
import logging.config
import os
import signal
from collections.abc import Collection
from typing import Any

from celery import Celery, bootsteps
from celery.signals import setup_logging, worker_init, worker_process_init
from django.conf import settings
from django_structlog.celery.steps import DjangoStructLogInitStep

from idp.embedded import launch
from idp.settings import env

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")

app = Celery("idp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


class Heartbeat(bootsteps.StartStopStep):
    """Tells /readyz that the worker of the default queue is alive.

    It beats in the worker's main loop, so that a worker whose processes are all busy with long
    tasks still counts as alive, and one whose loop hangs does not.
    """

    requires = {"celery.worker.components:Timer", "celery.worker.components:Pool"}

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self.timer: Any = None

    def start(self, worker: Any) -> None:
        if settings.CELERY_TASK_DEFAULT_QUEUE not in queues():
            return
        self._beat()
        self.timer = worker.timer.call_repeatedly(settings.IDP_HEARTBEAT_S, self._beat)

    def stop(self, _worker: Any) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def _beat(self) -> None:
        from idp import health

        try:
            health.beat()
        except Exception as error:  # noqa: BLE001 - Redis is away; the next beat may find it
            logging.getLogger(__name__).warning("No heartbeat: %s", error)


app.steps["worker"].add(DjangoStructLogInitStep)
app.steps["worker"].add(Heartbeat)


@setup_logging.connect
def _log_like_django(**_: Any) -> None:
    logging.config.dictConfig(settings.LOGGING)


@worker_process_init.connect
def _die_with_the_worker(**_: Any) -> None:
    """A killed worker leaves no process that goes on with its tasks."""
    launch.die_with_parent(signal.SIGKILL)


@worker_init.connect
def _start_clean(**_: Any) -> None:
    env.refuse([*settings.IDP_PROBLEMS, *settings.IDP_NO_LASTING_KEY])
    if os.environ.get("IDP_SOLE_WORKER"):
        hand_back_tasks(queues())


def queues() -> set[str]:
    """The queues that this worker works for."""
    return set(app.amqp.queues.consume_from)


def hand_back_tasks(queues: Collection[str]) -> int:
    """Put tasks that a killed worker had taken from these queues back; return how many.

    Only where a queue has one worker, as with an embedded Redis: nobody else can have taken them.
    Elsewhere the broker does it after its visibility timeout.
    """
    with app.connection_for_write() as link:
        channel: Any = link.default_channel
        taken = channel.client.hgetall(channel.unacked_key)
        # [message, exchange, routing key]; a queue and its routing key are called the same
        tags = [tag for tag, taken in taken.items() if json.loads(taken)[2] in queues]
        for tag in tags:
            channel.qos.restore_by_tag(tag.decode())
    if tags:
        logging.getLogger(__name__).info("Handed back %d tasks of a killed worker", len(tags))
    return len(tags)
