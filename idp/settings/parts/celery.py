"""Background work: Celery over Redis. Run rows are the truth, so there is no result backend."""

from typing import Any

from celery.schedules import crontab
from kombu import Queue

from idp.settings import env
from idp.settings.parts.stores import IDP_HOME, IDP_REDIS_URL


def broker_url(redis_url: str) -> str:
    """Translate a Redis URL into Celery's spelling, which names Unix sockets differently."""
    if not redis_url.startswith("unix://"):
        return redis_url
    path, _, query = redis_url.removeprefix("unix://").partition("?db=")
    return f"redis+socket://{path}?virtual_host={query or 0}"


CELERY_BROKER_URL = broker_url(IDP_REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # Redis may be away for as long as it takes
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # A task that a dead machine took is handed out again after this many seconds. Longer than any
    # task may run, since a slow task would otherwise run twice at once.
    "visibility_timeout": 2 * 3600,
    "health_check_interval": 25,
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 3600
CELERY_TASK_SOFT_TIME_LIMIT = 3500
CELERY_TASK_DEFAULT_QUEUE = "default"
# Syncs take long and have workers of their own, so that nobody waits behind them. A worker that
# is told no queues works for all of these.
CELERY_TASK_QUEUES = (Queue("default"), Queue("sources"))
CELERY_TASK_ROUTES: dict[str, dict[str, str]] = {
    "catalog.tasks.run_sync": {"queue": "sources"},
    "catalog.tasks.build_docs": {"queue": "sources"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False  # structlog writes the lines
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(IDP_HOME / "run" / "beat-schedule")
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    # A tick that no worker took is worth nothing once the next one has come.
    "feeds": {
        "task": "catalog.tasks.consume_all_feeds",
        "schedule": 20,
        "options": {"expires": 20},
    },
    "syncs": {
        "task": "catalog.tasks.tick_syncs",
        "schedule": 30,
        "options": {"expires": 30},
    },
    "live-events": {
        "task": "catalog.tasks.tick_events",
        "schedule": 10,
        "options": {"expires": 10},
    },
    "migrations": {
        "task": "catalog.tasks.tick_migrations",
        "schedule": 30,
        "options": {"expires": 30},
    },
    "docs": {"task": "catalog.tasks.tick_docs", "schedule": 30, "options": {"expires": 30}},
    "all-docs": {"task": "catalog.tasks.scan_docs", "schedule": crontab("50", "2")},
    "locations": {
        "task": "catalog.tasks.tick_locations",
        "schedule": 5,
        "options": {"expires": 5},
    },
    "orphans": {
        "task": "catalog.tasks.sweep_orphans",
        "schedule": 30,
        "options": {"expires": 30},
    },
    "sync-history": {"task": "catalog.tasks.prune_syncs", "schedule": crontab("25", "3")},
    "metric-history": {"task": "catalog.tasks.prune_metrics", "schedule": crontab("35", "3")},
    "computed": {
        "task": "catalog.tasks.refresh_computed",
        "schedule": 20,
        "options": {"expires": 20},
    },
    "computed-by-time": {
        "task": "catalog.tasks.refresh_computed_by_time",
        "schedule": 15 * 60,
        "options": {"expires": 15 * 60},
    },
    "documents": {
        "task": "catalog.tasks.refresh_documents",
        "schedule": 10,
        "options": {"expires": 10},
    },
    "runs": {"task": "actions.tasks.tick_runs", "schedule": 10, "options": {"expires": 10}},
    "automations": {
        "task": "actions.tasks.tick_automations",
        "schedule": 10,
        "options": {"expires": 10},
    },
    "messages": {
        "task": "actions.tasks.send_messages",
        "schedule": 10,
        "options": {"expires": 10},
    },
    "scorecards": {
        "task": "scorecards.tasks.tick_scorecards",
        "schedule": 30,
        "options": {"expires": 30},
    },
    "results": {
        "task": "scorecards.tasks.mirror_results",
        "schedule": 20,
        "options": {"expires": 20},
    },
    "exemptions": {
        "task": "scorecards.tasks.end_exemptions",
        "schedule": 60,
        "options": {"expires": 60},
    },
    "trends": {"task": "scorecards.tasks.keep_trends", "schedule": crontab("*/20")},
    "reminders": {"task": "scorecards.tasks.remind_owners", "schedule": crontab("0", "7")},
    "evaluations": {"task": "scorecards.tasks.prune_evaluations", "schedule": crontab("45", "3")},
    "told": {"task": "actions.tasks.prune_history", "schedule": crontab("30", "3")},
    "run-secrets": {"task": "actions.tasks.forget_secrets", "schedule": crontab("20", "3")},
    "partitions": {"task": "catalog.tasks.keep_partitions", "schedule": crontab("10", "3")},
    "sessions": {"task": "idp.tasks.clear_sessions", "schedule": crontab("40", "3")},
}

# The heartbeat of a worker expires after three missed beats; /readyz then says so.
IDP_HEARTBEAT_S = env.whole("IDP_HEARTBEAT_S", 5, low=1, high=300)

# How many days runs of sources, their log and their events stay, what automations did, and what
# people were told; 0 keeps all.
IDP_SYNC_HISTORY_DAYS = env.whole("IDP_SYNC_HISTORY_DAYS", 30, high=3650)

# How many hours a run of an action may take, where the action does not say so itself.
IDP_RUN_TIMEOUT_HOURS = env.whole("IDP_RUN_TIMEOUT_HOURS", 24, low=1, high=24 * 365)

# How many days runs of actions stay, with their logs and deliveries; 0 keeps all.
IDP_RUN_HISTORY_DAYS = env.whole("IDP_RUN_HISTORY_DAYS", 365, high=36500)

# `_rule_result` entities that a scorecard may have.
IDP_RULE_RESULTS = env.whole("IDP_RULE_RESULTS", 50_000, low=0, high=5_000_000)

# How large a live event of a source may be (GitHub's limit; generic webhooks have Port's, 512 KiB),
# and how many a source takes in a minute.
IDP_MAX_EVENT_BYTES = env.whole("IDP_MAX_EVENT_BYTES", 25 * 1024 * 1024, low=1024)
IDP_EVENTS_PER_MINUTE = env.whole("IDP_EVENTS_PER_MINUTE", 6000, low=1, high=10_000_000)
