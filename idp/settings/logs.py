"""What a log line may hold."""

import re
from collections.abc import MutableMapping
from typing import Any

# Names of values that are never written, whatever they hold.
_NAME = r"password|passwd|secret|token|authorization|cookie|api[_-]?key|private[_-]?key|credential"
_SECRET_KEY = re.compile(_NAME, re.I)
_SECRET_IN_TEXT = re.compile(rf"((?:{_NAME})[\w-]*[\"']?\s*[=:]\s*[\"']?)[^\s&\"',;]+", re.I)
_HIDDEN = "***"


def drop_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    """Hide secrets in a log event: values of keys that name one, and `name=value` inside text.

    A structlog processor: it returns the event for the next one.
    """
    for key, value in event.items():
        if _SECRET_KEY.search(str(key)):
            event[key] = _HIDDEN
        elif isinstance(value, str):
            event[key] = _SECRET_IN_TEXT.sub(rf"\1{_HIDDEN}", value)
        elif isinstance(value, dict):
            event[key] = drop_secrets(None, "", dict(value))
    return event
