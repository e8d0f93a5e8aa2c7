"""What a log line may hold."""

import re
from collections.abc import MutableMapping
from typing import Any

# Names of values that are never written, whatever they hold.
_SECRET = re.compile(
    r"password|passwd|secret|token|authorization|cookie|api_?key|private_?key|credential", re.I
)


def drop_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    """Replace the value of every key that names a secret, at any depth of mappings.

    A structlog processor: it returns the event for the next one.
    """
    for key, value in event.items():
        if _SECRET.search(str(key)):
            event[key] = "***"
        elif isinstance(value, dict):
            event[key] = drop_secrets(None, "", dict(value))
    return event
