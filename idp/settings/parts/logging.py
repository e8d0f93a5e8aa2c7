"""Log lines: JSON for machines, coloured text for a developer's terminal."""

from typing import Any

import structlog

from idp.settings import env
from idp.settings.logs import drop_secrets

_shared: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    drop_secrets,
]
_as_json = env.choice("IDP_LOG_FORMAT", "json", {"json", "console"}) == "json"
_renderer: list[Any] = (
    [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    if _as_json
    else [structlog.dev.ConsoleRenderer()]
)

IDP_LOG_LEVEL = env.choice("IDP_LOG_LEVEL", "INFO", {"DEBUG", "INFO", "WARNING", "ERROR"})

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _shared,
            "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderer],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["stderr"], "level": IDP_LOG_LEVEL},
    "loggers": {
        # Its default handlers would mail administrators and repeat lines in debug mode.
        "django": {"handlers": [], "level": IDP_LOG_LEVEL, "propagate": True},
        "django.server": {"handlers": [], "level": IDP_LOG_LEVEL, "propagate": True},
        # At DEBUG it writes whole headers of answers, with cookies and signed addresses.
        "httpcore2": {"level": "WARNING"},
        # Two lines for each request, on demand; refusals and errors are written always.
        "django_structlog": {
            "level": IDP_LOG_LEVEL if env.flag("IDP_LOG_REQUESTS", False) else "WARNING"
        },
    },
}

structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_shared,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
# Celery's half of the request middleware: tasks carry the id of the request that started them.
DJANGO_STRUCTLOG_CELERY_ENABLED = True
