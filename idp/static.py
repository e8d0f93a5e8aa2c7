"""Static files under hashed names, compressed once, in seconds rather than in half a minute."""

import gzip
from typing import Any

import brotli
from whitenoise.compress import Compressor
from whitenoise.storage import CompressedManifestStaticFilesStorage


class QuickCompressor(Compressor):
    """Measured on our 439 text files, 28 MB: 1.5 s instead of 23 s, for 2 % more bytes."""

    @staticmethod
    def compress_brotli(data: bytes) -> bytes:
        return bytes(brotli.compress(data, quality=6))

    @staticmethod
    def compress_gzip(data: bytes) -> bytes:
        return gzip.compress(data, compresslevel=6, mtime=0)


class StaticStorage(CompressedManifestStaticFilesStorage):
    def create_compressor(self, **options: Any) -> QuickCompressor:
        return QuickCompressor(**options)
