"""Port's Ocean, unmodified, with the integration in `workshop`, against a real server."""

import json
import shutil
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.models import Blueprint, Change, Entity, Integration, KindExample, SyncMessage, SyncRun
from tests.contract.conftest import Program, free_port
from tests.factories import Caller, make_api, make_client, make_entity

WORKSHOP = Path(__file__).parent / "workshop"
BENCHES = [{"name": "north", "place": "hall"}, {"name": "south", "place": "yard"}]


def tool(serial: int, **parts: Any) -> dict[str, Any]:
    return {
        "serial": serial,
        "name": f"Tool {serial}",
        "weight": serial / 2,
        "state": "good",
        "bench": "north",
        **parts,
    }


TOOLS = [tool(serial) for serial in range(1, 25)]  # more than are compared one by one


class Workshop:
    """The third party, a file, and Ocean reading it."""

    def __init__(self, folder: Path, program: Path, server: str) -> None:
        self.folder = folder / "workshop"
        shutil.copytree(WORKSHOP, self.folder)
        self.file = folder / "workshop.json"
        self.program, self.server = program, server
        self.client, self.secret = make_client(role="Admin")
        self.running: Program | None = None
        self.port = 0

    def has(self, tools: list[dict[str, Any]], *, pause_s: float = 0) -> None:
        found = {"bench": BENCHES, "tool": tools, "pause_s": pause_s}
        self.file.with_suffix(".new").write_text(json.dumps(found))
        self.file.with_suffix(".new").rename(self.file)

    def sail(self, *options: str) -> Program:
        self.port = free_port()
        return self.start("sail", ".", f"--port={self.port}", *options)

    def start(self, *command: str) -> Program:
        self.running = Program(
            [str(self.program), *command],
            cwd=self.folder,
            environment={
                "OCEAN__PORT__BASE_URL": self.server,
                "OCEAN__PORT__CLIENT_ID": self.client.client_id,
                "OCEAN__PORT__CLIENT_SECRET": self.secret,
                "OCEAN__INTEGRATION__IDENTIFIER": "my-workshop",
                "OCEAN__INTEGRATION__TYPE": "workshop",
                "OCEAN__INTEGRATION__CONFIG": json.dumps({"file": str(self.file)}),
                "OCEAN__EVENT_LISTENER": json.dumps({"type": "POLLING", "interval": 1}),
                "OCEAN__CACHING_STORAGE_MODE": "memory",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
        )
        return self.running

    def tell(self, event: str, body: dict[str, Any]) -> None:
        """Send a live event, as the third party would."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/integration/{event}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 200


@pytest.fixture
def workshop(folder: Path, ocean_program: Path, server: str) -> Iterator[Workshop]:
    one = Workshop(folder, ocean_program, server)
    yield one
    if one.running is not None and one.running.process.poll() is None:
        one.running.kill()


def stored() -> dict[str, Any]:
    return {
        f"{b}/{i}": at
        for b, i, at in Entity.objects.values_list(
            "blueprint__identifier", "identifier", "updated_at"
        )
    }


def runs() -> list[str]:
    return list(SyncRun.objects.order_by("pk").values_list("state", flat=True))


def test_the_whole_life_of_an_exporter(workshop):
    api: Caller = make_api(agent="browser/1")

    # An organisation with nothing in it: blueprints, mapping and entities come from the exporter.
    workshop.has([*TOOLS, tool(99, lost=True)])
    assert workshop.sail("--once").end(60) == 0, workshop.running.text
    assert set(Blueprint.objects.filter(is_system=False).values_list("identifier", flat=True)) == {
        "bench",
        "tool",
    }
    names = {f"tool/{one['serial']}" for one in TOOLS} | {"bench/north", "bench/south"}
    first = stored()
    assert first.keys() == names
    shown = api.get("/v1/blueprints/tool/entities/7").json()["entity"]
    assert (shown["title"], shown["relations"]) == ("Tool 7", {"bench": "north"})
    assert {"weight": 3.5, "state": "good"}.items() <= shown["properties"].items()
    integration = Integration.objects.get()
    assert (integration.kind, integration.runs_here) == ("workshop", False)
    assert [one["kind"] for one in integration.mapping["resources"]] == ["bench", "tool"]
    assert integration.attributes["arePortResourcesInitialized"] is True
    assert integration.resync_state["status"] == "completed"
    assert set(KindExample.objects.values_list("kind", flat=True)) == {"bench", "tool"}
    [run] = SyncRun.objects.all()
    keys = ("kind", "state", "fetched", "filtered", "created", "updated", "unchanged", "rejected")
    assert (run.state, [tuple(kind[key] for key in keys) for kind in run.kinds]) == (
        "succeeded",
        [("bench", "done", 2, 0, 2, 0, 0, 0), ("tool", "done", 25, 1, 24, 0, 0, 0)],
    )

    # A second process: nothing is made anew, and nothing is written.
    make_entity("tool", "from-elsewhere")
    first = stored()
    count = Change.objects.count()
    ocean = workshop.sail()
    ocean.until(lambda: runs() == ["succeeded"] * 2, "the second resync")
    assert stored() == first
    assert Change.objects.count() == count

    # "Resync now" after one thing went and one changed: the rest stays, that of others too.
    workshop.has([tool(1, weight=9), *TOOLS[1:-1]])
    assert api.patch("/v1/integration/my-workshop", {}).status_code == 200
    ocean.until(lambda: runs() == ["succeeded"] * 3, "the resync that was asked for")
    now = stored()
    assert first.keys() - now.keys() == {"tool/24"}
    assert {name for name in now if now[name] != first[name]} == {"tool/1"}
    assert SyncRun.objects.order_by("pk").last().stale["deleted"] == 1

    # Live events: one comes, one goes, one no longer passes the selector.
    workshop.tell("changed", tool(50, bench="attic"))
    assert Entity.objects.get(identifier="50").relations == {"bench": "attic"}
    assert Entity.objects.filter(identifier="attic").exists()
    workshop.tell("scrapped", tool(2))
    workshop.tell("changed", tool(3, lost=True))
    assert not Entity.objects.filter(identifier__in=["2", "3"]).exists()

    # What we refuse is told, though the exporter calls the run completed.
    workshop.has([*TOOLS[3:-1], tool(50, bench="attic"), tool(60, weight=-1)])
    api.patch("/v1/integration/my-workshop", {})
    ocean.until(lambda: len(runs()) == 4 and runs()[-1] != "running", "the resync with a bad one")
    run = SyncRun.objects.order_by("pk").last()
    assert (run.state, run.refused) == ("partial", 1)
    message = SyncMessage.objects.get(run=run, stage="apply")
    assert (message.identifier, message.field) == ("60", "properties.weight")

    # Stopped in the middle of a resync.
    workshop.has(TOOLS, pause_s=30)
    before = stored()
    api.patch("/v1/integration/my-workshop", {})
    ocean.until(lambda: len(runs()) == 5, "the last resync")
    time.sleep(0.5)
    assert ocean.terminate() in (0, -signal.SIGTERM)  # its web server raises the signal anew
    assert runs()[-1] == "cancelled"
    integration.refresh_from_db()
    assert integration.resync_state["status"] == "aborted"
    assert stored() == before
    assert SyncMessage.objects.filter(stage="log").exists()

    # `ocean defaults clean` removes what the first start made.
    cleaning = workshop.start("defaults", "clean", "--force", "--wait", "--destroy")
    assert cleaning.end(30) == 0, cleaning.text
    assert not Blueprint.objects.filter(is_system=False).exists(), cleaning.text
    assert not Integration.objects.exists(), cleaning.text
