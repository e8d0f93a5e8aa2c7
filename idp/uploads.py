"""How much a form with files may hold. Django caps the text of forms, not files: without this,
anybody could fill the disk, since a form is read before it is known who sent it.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler


class BodyCap(FileUploadHandler):
    """Stands before the handlers that store files, and lets no body above the cap through."""

    def handle_raw_input(
        self,
        input_data: Any,
        META: dict[str, Any],
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> None:
        """Raises RequestDataTooBig."""
        if content_length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig(
                f"The body has {content_length} bytes; expected at most "
                f"{settings.DATA_UPLOAD_MAX_MEMORY_SIZE}"
            )

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None
