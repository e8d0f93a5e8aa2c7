"""Benches and tools from a JSON file ({"bench": […], "tool": […], "pause_s": 0}).

Runs inside Ocean, unmodified, as any integration of Port does.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

from port_ocean.context.ocean import ocean


def workshop() -> dict[str, Any]:
    return json.loads(Path(ocean.integration_config["file"]).read_text())


@ocean.on_resync()
async def resync(kind: str):
    found = workshop()
    await asyncio.sleep(found.get("pause_s", 0))
    for start in range(0, len(found[kind]), 15):
        yield found[kind][start : start + 15]


@ocean.router.post("/changed")
async def changed(tool: dict[str, Any]) -> dict[str, bool]:
    """A live event: a tool as it is now."""
    await ocean.register_raw("tool", [tool])
    return {"ok": True}


@ocean.router.post("/scrapped")
async def scrapped(tool: dict[str, Any]) -> dict[str, bool]:
    """A live event: a tool that is no more."""
    await ocean.unregister_raw("tool", [tool])
    return {"ok": True}
