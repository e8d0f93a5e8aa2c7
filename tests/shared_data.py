"""Where the real input data is. It is not part of the repository; without it tests skip."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("IDP_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))

needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="no real input data; set IDP_TEST_DATA to its folder"
)
