"""The example plugin, installed with pip, brings servers into the catalogue."""

import pytest
from django.utils.module_loading import import_string

from catalog.ingest.integrations import create_source
from catalog.ingest.runner import run_sync
from catalog.ingest.runs import request_sync
from catalog.kernel.actors import Actor
from catalog.models import Entity, SyncRun
from catalog.registry import register_source_kind, source_kinds
from tests.idp.test_plugins import EXAMPLE, install

pytestmark = pytest.mark.django_db


@pytest.fixture
def inventory(tmp_path, monkeypatch):
    """Its kind, registered as `AppConfig.ready` does it in a process that starts with it."""
    target = install(
        tmp_path,
        EXAMPLE / "idp_inventory",
        package="idp_inventory",
        entry_point="idp_inventory.apps:InventoryConfig",
    )
    monkeypatch.syspath_prepend(str(target))
    register_source_kind(import_string("idp_inventory.source.Inventory")())
    yield
    del source_kinds["inventory"]


def test_a_source_of_the_plugin_syncs(inventory, vendor):
    vendor.require("authorization", "Bearer inventory-token")

    @vendor.route("/servers")
    def _(call):
        number = int(call.query.get("after") or 0)
        server = {"serial": f"s{number}", "name": f"web {number}", "ip": "192.0.2.1", "rack": "a"}
        return {"servers": [server], "next": str(number + 1) if number < 2 else None}

    source = create_source(
        identifier="dc",
        kind="inventory",
        settings={"url": vendor.url, "token": "inventory-token"},
        with_blueprints=True,
        actor=Actor.system("test"),
    )
    assert "inventory-token" not in str(source.settings)
    run = request_sync(source, trigger=SyncRun.Trigger.MANUAL, requested_by="test")
    run_sync(run.pk)
    run.refresh_from_db()
    assert run.state == SyncRun.State.SUCCEEDED, run.error
    entities = Entity.objects.filter(blueprint__identifier="server").order_by("identifier")
    assert [(one.identifier, one.title, one.properties["rack"]) for one in entities] == [
        ("s0", "web 0", "a"),
        ("s1", "web 1", "a"),
        ("s2", "web 2", "a"),
    ]
