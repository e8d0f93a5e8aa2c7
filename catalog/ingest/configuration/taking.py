"""What all parts of a take-over share: notes for the report, secrets, sources."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from django.db import transaction

from catalog.dialects.backstage.config import Entry
from catalog.dialects.backstage.config.substitution import reference, secret_name
from catalog.dialects.backstage.config.tree import Path
from catalog.ingest.configuration.report import Status
from catalog.ingest.integrations import create_blueprints, create_source, update_source
from catalog.kernel.actors import Actor
from catalog.kernel.errors import IdpError
from catalog.models import Integration, Secret
from catalog.services import secrets

Note = tuple[Status, str]
UNREAD: Final = "nothing here reads it"


class Taking:
    """One take-over. It runs in a transaction that whoever began it ends: what was refused, or was
    only tried, is rolled back with everything else.

    environ: the variables that the files may name. folders: where their relative paths begin.
    """

    def __init__(
        self, *, actor: Actor, environ: Mapping[str, str], folders: Collection[str] = ()
    ) -> None:
        self.actor = actor
        self.environ = environ
        self.folders = tuple(folders)
        self.notes: dict[Path, Note] = {}
        self.leftovers: list[str] = []
        self.unset: set[str] = set()
        self._kept: set[str] = set()

    # Notes

    def note(self, entry: Entry | Path, status: Status, message: str) -> None:
        """Say what became of everything at or below a place. The nearest note counts."""
        self.notes[entry.path if isinstance(entry, Entry) else entry] = status, message

    def taken(self, entry: Entry, message: str) -> None:
        self.note(entry, Status.TAKEN, message)

    def partly(self, entry: Entry, message: str) -> None:
        self.note(entry, Status.PARTLY, message)

    def meaningless(self, entry: Entry, message: str) -> None:
        self.note(entry, Status.MEANINGLESS, message)

    def unsupported(self, entry: Entry, message: str) -> None:
        self.note(entry, Status.UNSUPPORTED, message)

    def note_rest(self, entry: Entry, known: Collection[str], status: Status, text: str) -> None:
        """Say it of the keys of an object that are not `known`."""
        for key, one in entry.items():
            if key not in known:
                self.note(one, status, text)

    def left_out(self, entry: Entry, *unset: Entry) -> None:
        """Say that nothing is made of it, since variables that it names are not set.

        unset: the parts of it that name them; none means itself.
        """
        names = [name for one in unset or (entry,) for name in one.missing]
        self.unsupported(entry, f"left out: {', '.join(names)} is not set")

    def unread_rest(self, entry: Entry, known: Collection[str]) -> None:
        """Say of the keys of an object that are not `known` that nothing reads them."""
        self.note_rest(entry, known, Status.UNSUPPORTED, UNREAD)

    def note_of(self, path: Path) -> Note | None:
        for length in range(len(path), -1, -1):
            if note := self.notes.get(path[:length]):
                return note
        return None

    @contextmanager
    def attempt(self, entry: Entry) -> Iterator[None]:
        """Whatever is refused inside is noted, and nothing of it stays; the rest goes on, so that
        one run tells everything."""
        try:
            with self.tried():
                yield
        except IdpError as error:
            self.note_all(entry, Status.REFUSED, _without_place(str(error), entry))

    @contextmanager
    def tried(self) -> Iterator[None]:
        """Nothing stays of what is done inside when it raises."""
        kept = set(self._kept)
        try:
            with transaction.atomic():
                yield
        except BaseException:
            self._kept = kept
            raise

    def note_all(self, entry: Entry, status: Status, message: str) -> None:
        """As `note`, over what was said of the parts."""
        for path in [one for one in self.notes if one[: len(entry.path)] == entry.path]:
            del self.notes[path]
        self.note(entry, status, message)

    @property
    def is_refused(self) -> bool:
        return any(status is Status.REFUSED for status, _ in self.notes.values())

    # Secrets

    def sealed(self, entry: Entry) -> str:
        """A secret for a setting that is sealed: the reference, or the value itself."""
        self._keep_variables(entry)
        return entry.template

    def referred(self, entry: Entry, name: str) -> str:
        """A secret for a place that everybody may read: always a reference; a value that stands
        in the file is kept as the secret `name`."""
        if self._keep_variables(entry):
            return entry.template
        self._keep(secret_name(name), entry.text(), f"From {entry.key}")
        return reference(name)

    def words_of(self, entry: Entry) -> str:
        """Where a secret is to come from, for the report: " from secret X"."""
        names = [secret_name(one) for one in entry.variables]
        if not names:
            return ", sealed"
        unset = [one for one in names if one in self.unset]
        said = f", from secret {', '.join(names)}"
        return f"{said}, which is not set: add it under Secrets" if unset else said

    def _keep_variables(self, entry: Entry) -> bool:
        """Store the variables of a secret; those that are not set are remembered."""
        for variable in entry.variables:
            name, value = secret_name(variable), self.environ.get(variable)
            if value:
                self._keep(name, value, f"From {entry.key}")
            elif not secrets.is_known(name):
                self.unset.add(name)
        return bool(entry.variables)

    def _keep(self, name: str, value: str, description: str) -> None:
        if name in self._kept:
            return
        self._kept.add(name)
        if not Secret.objects.filter(name=name).exists():
            secrets.create_secret(
                name=name, value=value, description=description[:200], actor=self.actor
            )
        else:
            secrets.update_secret(name, value=value, actor=self.actor)

    # Sources

    def source(
        self,
        identifier: str,
        kind: str,
        *,
        title: str,
        settings: Mapping[str, Any],
        schedule: str = "",
        is_enabled: bool | None = None,
        with_blueprints: bool = False,
    ) -> Integration:
        """Make a source, or bring one of that name and kind to what the configuration says.

        What people set beside stays: other settings, the mapping, and the schedule and whether it
        is on where the configuration says nothing of them (is_enabled None). Raises InvalidInput.
        """
        row = self._known(identifier, kind)
        if row is None:
            return create_source(
                identifier=_free(identifier, kind),
                kind=kind,
                title=title,
                settings=settings,
                schedule=schedule,
                is_enabled=is_enabled is not False,
                with_blueprints=with_blueprints,
                actor=self.actor,
            )
        stated: dict[str, Any] = {"settings": {**row.settings, **settings}}
        if is_enabled is not None:
            stated["is_enabled"] = is_enabled
        row = update_source(row, actor=self.actor, **stated)
        if with_blueprints:
            create_blueprints(kind, row.mapping, actor=self.actor)
        return row

    def has_source(self, identifier: str, kind: str) -> bool:
        return self._known(identifier, kind) is not None

    def turn_off(self, identifier: str, kind: str) -> bool:
        """Turn a source off, if there is one; says whether there is."""
        row = self._known(identifier, kind)
        if row is not None and row.is_enabled:
            update_source(row, actor=self.actor, is_enabled=False)
        return row is not None

    def _known(self, identifier: str, kind: str) -> Integration | None:
        """The source of that name, or of the one it had to take; not one of another kind."""
        names = [identifier, f"{identifier}-{kind}"]
        found = Integration.objects.filter(identifier__in=names, kind=kind, runs_here=True)
        return min(found, key=lambda one: names.index(one.identifier), default=None)


def _free(identifier: str, kind: str) -> str:
    taken = Integration.objects.filter(identifier=identifier).exists()
    return f"{identifier}-{kind}" if taken else identifier


def identifier_of(*parts: str) -> str:
    """A name that sources may have: "kubernetes-my-cluster"."""
    name = "-".join(part for part in parts if part)
    return re.sub(r"[^A-Za-z0-9@_.+:=-]+", "-", name).strip("-.")[:80] or "source"


def _without_place(message: str, entry: Entry) -> str:
    """Errors of `Entry` begin with file and line, which the report says anyway."""
    return re.sub(rf"^{re.escape(entry.place.rpartition(':')[0])}:\d+: ", "", message)
