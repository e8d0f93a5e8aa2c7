"""Bodies of YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, ClassVar

from rest_framework.parsers import BaseParser

from catalog.api.parsers import read_up_to
from catalog.services.documents import MAX_BYTES


class YamlText(BaseParser):
    """As its author wrote it."""

    media_type = "application/yaml"
    limit: ClassVar[int] = MAX_BYTES

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Raises PayloadTooLarge."""
        return read_up_to(self.limit, stream)
