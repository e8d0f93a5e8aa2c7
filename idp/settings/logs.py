"""What a log line may hold."""

import re
from collections.abc import MutableMapping
from typing import Any

# Names of values that are never written, whatever they hold.
_NAME = r"password|passwd|secret|token|authorization|cookie|api[_-]?key|private[_-]?key|credential"
_SECRET_KEY = re.compile(_NAME, re.I)
_SECRET_IN_TEXT = re.compile(rf"((?:{_NAME})[\w-]*[\"']?\s*[=:]\s*[\"']?)[^\s&\"',;]+", re.I)
# The last part of an address that takes live events is all that a sender needs to know.
_KEY_IN_ADDRESS = re.compile(r"(/webhooks/ingest/)[^\s?&\"']+")
_HIDDEN = "***"


def drop_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    """Hide secrets in a log event: values of keys that name one, and `name=value` inside text.

    A structlog processor: it returns the event for the next one.
    """
    for key, value in event.items():
        if _SECRET_KEY.search(str(key)):
            event[key] = _HIDDEN
        elif isinstance(value, str):
            text = _KEY_IN_ADDRESS.sub(rf"\1{_HIDDEN}", value)
            event[key] = _SECRET_IN_TEXT.sub(rf"\1{_HIDDEN}", text)
        elif isinstance(value, dict):
            event[key] = drop_secrets(None, "", dict(value))
    return event
