"""One take-over from beginning to end: everything is checked, then all of it stands or nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import connection, transaction

from catalog.dialects.backstage.config import Config, ConfigFiles, Entry, Leaf, load, merged
from catalog.dialects.backstage.config.tree import Path, dotted
from catalog.dialects.cortex_config import is_cortex
from catalog.ingest.configuration.access import take_access
from catalog.ingest.configuration.catalogue import take_catalogue
from catalog.ingest.configuration.clusters import take_clusters
from catalog.ingest.configuration.cortex import take_cortex
from catalog.ingest.configuration.forges import take_forges
from catalog.ingest.configuration.others import UNKNOWN, explain_others, take_names
from catalog.ingest.configuration.proxies import take_proxies
from catalog.ingest.configuration.report import Line, Report, Status
from catalog.ingest.configuration.taking import Taking
from catalog.kernel.actors import Actor
from catalog.models import Change

_DID = {"create": "created", "update": "changed", "delete": "deleted", "rename": "renamed"}
_CALLED = {
    Change.INTEGRATION: "source",
    Change.PROXY: "proxy endpoint",
    Change.SETTINGS: "settings of the",  # whose identifier is "catalogue"
}


def import_configuration(
    paths: Sequence[str],
    *,
    files: ConfigFiles,
    environ: Mapping[str, str],
    actor: Actor,
    folders: Collection[str] = (),
    is_dry_run: bool = False,
    prune: bool = False,
) -> Report:
    """Take configuration files over: Backstage's are merged, Cortex's stand each for itself.

    environ: the variables they may name. folders: where their relative paths begin. prune: also
    remove locations that an earlier configuration named. When anything is refused, or with
    `is_dry_run`, nothing is stored; the report is the same. Raises InvalidInput and NotFound for
    files that cannot be read.
    """
    loaded = load(paths, files=files, environ=environ)
    ours = [config for _, config in loaded if not is_cortex(config.root)]
    cortex = [config for _, config in loaded if is_cortex(config.root)]
    parts: list[tuple[Config, Taking]] = []
    with transaction.atomic():
        start = _last_change()
        taking = Taking(actor=actor, environ=environ, folders=folders)
        if ours:
            whole = merged(ours, environ=environ)
            _take_backstage(taking, Entry((), whole.root), prune=prune)
            parts.append((whole, taking))
        for config in cortex:
            own = Taking(actor=actor, environ=environ, folders=folders)
            take_cortex(own, Entry((), config.root))
            parts.append((config, own))
        is_refused = any(one.is_refused for _, one in parts)
        changes = _changes_since(start)
        if is_dry_run or is_refused:
            transaction.set_rollback(True)
    return Report(
        lines=_in_order([name for name, _ in loaded], parts),
        changes=changes,
        leftovers=taking.leftovers,
        unset=sorted(set().union(*(one.unset for _, one in parts))),
        is_dry_run=is_dry_run,
        is_stored=not is_dry_run and not is_refused,
    )


def _take_backstage(taking: Taking, root: Entry, *, prune: bool) -> None:
    take_names(taking, root)
    take_access(taking, root)
    take_forges(taking, root)
    take_catalogue(taking, root, prune=prune)
    take_clusters(taking, root)
    take_proxies(taking, root)
    explain_others(taking, root)


def _in_order(names: Sequence[str], parts: Sequence[tuple[Config, Taking]]) -> list[Line]:
    """A line for every value of every file, as they stand there; the environment's come last."""
    lines = [
        line
        for config, taking in parts
        for line in (
            *(_line(path, leaf, taking) for path, leaf in config.leaves()),
            *(
                Line(
                    one.leaf.file,
                    one.leaf.line,
                    dotted(one.path),
                    Status.MEANINGLESS,
                    f"{one.by.place} counts instead",
                )
                for one in config.replaced
            ),
        )
    ]
    order = {name: at for at, name in enumerate(names)}
    return sorted(lines, key=lambda one: (not one.line, order.get(one.file, 99), one.line))


def _line(path: Path, leaf: Leaf, taking: Taking) -> Line:
    status, message = taking.note_of(path) or UNKNOWN
    if leaf.value is None and not leaf.missing:
        status, message = Status.MEANINGLESS, "it has no value"
    return Line(leaf.file, leaf.line, dotted(path), status, message)


def _last_change() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM catalog_change")
        return int(cursor.fetchone()[0])


def _changes_since(start: int) -> list[str]:
    """What this transaction has written since then, in words."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        [own] = cursor.fetchone()
    rows: Any = (
        Change.objects.filter(transaction=own, id__gt=start)
        .order_by("id")
        .values_list("action", "model", "identifier")
    )
    first: dict[tuple[str, str], str] = {}
    for action, model, identifier in rows:
        words = f"{_DID.get(action, action)} {_CALLED.get(model, model)} {identifier}"
        first.setdefault((model, identifier), words)
    return list(first.values())
