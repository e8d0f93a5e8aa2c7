"""The log of a source: lines about runs and items, and what of a raw object may stand in them."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson
from django.db import transaction

from catalog.kernel.errors import shorten
from catalog.kernel.http.masking import HIDDEN, mask
from catalog.kernel.identifiers import storable_text
from catalog.models import InboundEvent, Integration, SyncMessage, SyncRun

MAX_MESSAGES: Final = 1000  # about items, for each run; remarks on kinds come on top
MAX_REMARKS: Final = 500
MAX_ITEM_BYTES: Final = 16 * 1024

_SECRET_KEY: Final = re.compile(
    r"passw(or)?d|secret|token|api[-_]?key|private[-_]?key|access[-_]?key|credential|"
    r"authorization|cookie|webhook[-_]?url|last-applied-configuration",
    re.IGNORECASE,
)

# (characters of a text, entries of a list, keys of an object): the first that fits is taken
_CUTS: Final = ((4000, 200, 500), (500, 20, 100), (100, 5, 30))
_MAX_DEPTH: Final = 30


def masked(item: Any, secrets: Collection[str] = ()) -> Any:
    """A raw object for people to see: secrets hidden, of a bearable size, storable as JSON.

    Hidden are `secrets` wherever they stand, texts under keys that sound like a secret, and the
    data of Kubernetes' Secrets. What is cut off is marked with "…".
    """
    shown: Any = None
    for cut in _CUTS:
        shown = _shown(item, secrets, cut, depth=0)
        data = orjson.dumps(shown)
        if len(data) <= MAX_ITEM_BYTES:
            return shown
    return {"…": data[: MAX_ITEM_BYTES // 2].decode(errors="ignore")}


def masked_text(text: str, secrets: Collection[str] = ()) -> str:
    """`text` without the secrets, and storable."""
    return storable_text(mask(text, secrets))


def _shown(value: Any, secrets: Collection[str], cut: tuple[int, int, int], *, depth: int) -> Any:
    characters, entries, keys = cut
    if isinstance(value, str):
        text = masked_text(value, secrets)
        return text if len(text) <= characters else f"{text[:characters]}…"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        hides_all = value.get("kind") == "Secret"
        shown = {}
        for key, one in list(value.items())[:keys]:
            name = masked_text(str(key), secrets)
            if hides_all and key in ("data", "stringData"):
                one = dict.fromkeys(one, HIDDEN) if isinstance(one, Mapping) else HIDDEN
            elif isinstance(one, str) and one and _SECRET_KEY.search(name):
                one = HIDDEN
            shown[name] = _shown(one, secrets, cut, depth=depth + 1)
        if len(value) > keys:
            shown["…"] = f"{len(value) - keys} more"
        return shown
    if isinstance(value, list | tuple):
        some = [_shown(one, secrets, cut, depth=depth + 1) for one in value[:entries]]
        return [*some, f"… {len(value) - entries} more"] if len(value) > entries else some
    return masked_text(shorten(str(value), characters), secrets)


class Log:
    """Collects lines and writes them together. One for each run or event; not shared by threads.

    secrets: hidden wherever they stand. Of lines about items, so many are kept as MAX_MESSAGES;
    `close` says how many more there were.
    """

    def __init__(
        self,
        integration: Integration,
        *,
        run: SyncRun | None = None,
        event: InboundEvent | None = None,
        secrets: Collection[str] = (),
    ) -> None:
        self.secrets: Collection[str] = secrets
        self._integration, self._run, self._event = integration, run, event
        self._waiting: list[SyncMessage] = []
        self._items = self._remarks = 0
        if run is not None and run.attempt > 1:
            said = SyncMessage.objects.filter(run=run)
            self._items = said.exclude(item=None).count()
            self._remarks = said.filter(item=None).count()
        self.left_out = 0

    def remark(self, level: str, message: str, *, stage: str = "", kind: str = "") -> None:
        """A line that is about no item; written at once outside of transactions."""
        if self._remarks >= MAX_REMARKS:
            self.left_out += 1
            return
        self._remarks += 1
        self._waiting.append(self._line(level, message, stage=stage, kind=kind))
        if not transaction.get_connection().in_atomic_block:
            self.flush()

    def item(
        self,
        level: str,
        message: str,
        *,
        stage: str = "",
        kind: str = "",
        blueprint: str = "",
        identifier: str = "",
        field: str = "",
        details: Mapping[str, Any] | None = None,
        item: Any = None,
    ) -> None:
        """A line about an item, written with the next `flush`. item: raw; it is masked here."""
        if self._items >= MAX_MESSAGES:
            self.left_out += 1
            return
        self._items += 1
        self._waiting.append(
            self._line(
                level,
                message,
                stage=stage,
                kind=kind,
                blueprint=self._text(blueprint, 100),
                identifier=self._text(identifier, 1000),
                field=self._text(field, 300),
                details=masked(details or {}, self.secrets),
                item=None if item is None else masked(item, self.secrets),
            )
        )

    def flush(self) -> None:
        """Write what was collected, in the caller's transaction where there is one."""
        if self._waiting:
            SyncMessage.objects.bulk_create(self._waiting, batch_size=500)
            self._waiting = []

    def close(self) -> None:
        """Write the rest, and how much is not there."""
        if self.left_out:
            line = f"{self.left_out:,} more lines were left out; {MAX_MESSAGES:,} are kept"
            self._waiting.append(self._line("warning", line))
            self.left_out = 0
        self.flush()

    def _line(self, level: str, message: str, **parts: Any) -> SyncMessage:
        return SyncMessage(
            integration=self._integration,
            run=self._run,
            event=self._event,
            level=level if level in SyncMessage.Level.values else SyncMessage.Level.INFO,
            message=self._text(message, 4000),
            **parts,
        )

    def _text(self, value: str, limit: int) -> str:
        return shorten(masked_text(value, self.secrets), limit)
