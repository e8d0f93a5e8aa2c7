"""A plugin is installed with pip, as a user does it, into a folder of its own."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from idp import plugins

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "inventory-plugin"


def install(
    folder: Path, source: Path, *, package: str, entry_point: str, name: str = "inventory"
) -> Path:
    """Make a wheel of `source` (a package, or one module) and install it; returns where."""
    wheel = folder / "idp_example-1.0-py3-none-any.whl"
    files = [source] if source.is_file() else sorted(source.rglob("*.py"))
    base = source.parent
    facts = {
        "METADATA": "Metadata-Version: 2.1\nName: idp-example\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": f"[{plugins.GROUP}]\n{name} = {entry_point}\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for one in files:
            archive.write(one, one.relative_to(base))
        for fact, text in facts.items():
            archive.writestr(f"idp_example-1.0.dist-info/{fact}", text)
        archive.writestr(
            "idp_example-1.0.dist-info/RECORD",
            "".join(f"{info.filename},,\n" for info in archive.infolist()),
        )
    target = folder / "packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", target, wheel], check=True, timeout=60)
    assert package in {one.name for one in target.iterdir()}
    return target


@pytest.fixture
def example(tmp_path, monkeypatch):
    target = install(
        tmp_path,
        EXAMPLE / "idp_inventory",
        package="idp_inventory",
        entry_point="idp_inventory.apps:InventoryConfig",
    )
    monkeypatch.syspath_prepend(str(target))
    return target


def test_an_installed_plugin_is_on(example):
    assert plugins.chosen(["all"]) == (["idp_inventory.apps.InventoryConfig"], [])
    assert ("inventory", "idp-example", "1.0") in plugins.installed()


def test_plugins_can_be_named_or_off(example):
    assert plugins.chosen(["none"]) == ([], [])
    assert plugins.chosen(["inventory"])[0] == ["idp_inventory.apps.InventoryConfig"]
    apps, [problem] = plugins.chosen(["inventori"])
    assert apps == []
    assert problem.code == "idp.E010"
    assert problem.message == (
        "IDP_PLUGINS names 'inventori'; expected installed plugins (inventory), or all, or none."
    )


def test_its_kind_is_there_once_the_product_has_started(example, tmp_path):
    program = (
        "import django; django.setup()\n"
        "from catalog.registry import source_kinds\n"
        "print(source_kinds['inventory'].title)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            "PYTHONPATH": f"{example}:{Path(__file__).parents[2]}",
            "DJANGO_SETTINGS_MODULE": "idp.settings",
            "IDP_HOME": str(tmp_path / "home"),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "Inventory", done.stderr


def test_a_plugin_that_breaks_is_named_with_its_reason(tmp_path, monkeypatch):
    module = tmp_path / "idp_broken.py"
    module.write_text("raise RuntimeError('no licence')")
    target = install(
        tmp_path, module, package="idp_broken.py", entry_point="idp_broken:App", name="broken"
    )
    monkeypatch.syspath_prepend(str(target))
    assert plugins.chosen(["all"]) == (
        [],
        [
            plugins.Problem(
                "idp.E011",
                "The plugin 'broken' of idp-example could not be loaded: RuntimeError: no licence.",
            )
        ],
    )
