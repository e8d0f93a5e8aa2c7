"""Plugins: pip packages that bring source kinds and more, found by their entry point.

A package names the `AppConfig` it brings in the group `idp.plugins`; its `ready()` registers with
`catalog.registry`. Installing the package turns it on; IDP_PLUGINS says which may be on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from importlib.metadata import EntryPoint, entry_points

from idp.settings.env import Problem

GROUP = "idp.plugins"


def chosen(wanted: Collection[str]) -> tuple[list[str], list[Problem]]:
    """The `INSTALLED_APPS` entries of the installed plugins, and what is wrong with them.

    wanted: names of entry points; `["all"]` and `["none"]` mean what they say.
    """
    found = {one.name: one for one in sorted(entry_points(group=GROUP), key=lambda one: one.name)}
    if list(wanted) == ["none"]:
        return [], []
    names = list(found) if list(wanted) == ["all"] else list(wanted)
    problems = [
        Problem(
            "idp.E010",
            f"IDP_PLUGINS names {name!r}; expected installed plugins "
            f"({', '.join(found) or 'there are none'}), or all, or none.",
        )
        for name in names
        if name not in found
    ]
    apps = []
    for name in names:
        if name in found:
            app, problem = _load(found[name])
            apps += [app] if app else []
            problems += [problem] if problem else []
    return apps, problems


def _load(plugin: EntryPoint) -> tuple[str | None, Problem | None]:
    """A plugin that cannot be imported is told by name; the product starts without it."""
    try:
        config = plugin.load()
    except Exception as error:  # noqa: BLE001 - it is somebody else's code
        return None, _problem(plugin, f"{type(error).__name__}: {error}")
    if not isinstance(config, type):
        return None, _problem(plugin, f"{plugin.value} is no AppConfig class")
    return f"{config.__module__}.{config.__qualname__}", None


def _problem(plugin: EntryPoint, reason: str) -> Problem:
    package = plugin.dist.name if plugin.dist else "?"
    return Problem(
        "idp.E011", f"The plugin {plugin.name!r} of {package} could not be loaded: {reason}."
    )


def installed() -> Sequence[tuple[str, str, str]]:
    """(name, package, version) of every plugin there is, for people to see."""
    return [
        (one.name, one.dist.name if one.dist else "", one.dist.version if one.dist else "")
        for one in entry_points(group=GROUP)
    ]
