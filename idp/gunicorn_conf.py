"""How gunicorn serves the portal: `gunicorn -c python:idp.gunicorn_conf idp.wsgi`."""

import logging
import os
import signal
from typing import Any

from prometheus_client import multiprocess

from idp.embedded import launch
from idp.settings import env

bind = f"{env.text('IDP_HOST', '127.0.0.1')}:{env.whole('IDP_PORT', 8000, high=65535)}"
workers = env.whole("IDP_WORKERS", min(4, max(2, os.cpu_count() or 1)), low=1, high=64)
env.refuse(env.problems)
worker_class = "gthread"
threads = 8
preload_app = True  # processes share the memory of the loaded program
timeout = 120
graceful_timeout = 20
keepalive = 15
# An identifier of a thousand letters is six times as long when it is percent-encoded.
limit_request_line = 8190
control_socket_disable = True  # it would live outside the home
# Which headers of a proxy are believed is IDP_PROXIES' business. By itself gunicorn believes all of
# this machine, even SCRIPT_NAME: through a proxy here anybody could choose where our links lead.
forwarded_allow_ips = ""


# Of the database: whoever asked for something that takes longer has gone by then. Background
# processes have no such limit.
STATEMENT_TIMEOUT_MS = 60_000


def on_starting(_server: Any) -> None:
    # Its lines go where Django's settings send all others.
    logger = logging.getLogger("gunicorn.error")
    logger.handlers.clear()
    logger.propagate = True


def post_fork(_server: Any, _worker: Any) -> None:
    # A killed master leaves no process that holds the port.
    launch.die_with_parent(signal.SIGKILL)
    limit_statements()


def limit_statements() -> None:
    """For connections made from now on. PgBouncer, in front of which there is no pool, takes no
    such option: there the database's own setting counts."""
    from django.db import connections

    if env.whole("IDP_DB_POOL", 8, high=100):
        options = connections.databases["default"].setdefault("OPTIONS", {})
        options["options"] = f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"


def child_exit(_server: Any, worker: Any) -> None:
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.mark_process_dead(worker.pid)
