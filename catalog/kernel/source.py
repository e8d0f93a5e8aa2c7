"""What a source kind is: how one sort of program elsewhere is read.

A kind lists raw objects, page by page, and reads the live events of its vendor. It knows nothing
of blueprints or entities: what becomes of an object is the mapping's business (`catalog.ingest`).
Kinds register themselves with `catalog.registry.register_source_kind` in `AppConfig.ready()`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from catalog.kernel.actors import Actor
from catalog.kernel.http import Client

Json = Any


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """A sort of object that a source can list; `name` is the `kind` of a mapping's resource.

    identifier: jq that names an object within its sort, for mappings that do not say it.
    aliases: further names it goes by. selector: JSON Schema of each further selector key, for
    forms and checks ({"archived": {"type": "boolean", "title": …}}).
    """

    name: str
    title: str
    identifier: str
    description: str = ""
    aliases: tuple[str, ...] = ()
    selector: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects, and the cursor (JSON) from which the rest can be listed; None at the end."""

    items: Sequence[Json]
    next: Json = None


@dataclass(frozen=True, slots=True)
class Connection:
    """What a kind works with.

    settings: as its `settings_schema` says, checked, with defaults and with secrets in clear: they
    must reach no log, no error and no item. http: the guarded client, the only way out. log:
    writes (level, message) into the run's log. integration: the pk of the source; None for
    settings that are only tried.
    """

    settings: Mapping[str, Json]
    http: Client
    log: Callable[[str, str], None]
    integration: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A live event as it came in: lower-case header names, the body's exact bytes."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class LiveChange:
    """What an event says of one object: here it is, or it is gone (then `item` need only hold
    what its identifier is made of)."""

    kind: str
    item: Json
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """An entity that an import found in its source, and what became of it there: "created",
    "updated", "unchanged" or "rejected"; of a live event also "deleted" or "released". pk: where
    the caller knows it."""

    blueprint: str
    identifier: str
    status: str
    pk: int | None = None


class Report(Protocol):
    """Writes a line into the run's log: of an item as far as it is known, or a remark.

    level: "debug", "info", "warning" or "error". details: JSON ({"file", "line", "expected"}).
    """

    def __call__(
        self,
        level: str,
        message: str,
        *,
        blueprint: str = "",
        identifier: str = "",
        field: str = "",
        details: Mapping[str, Json] | None = None,
        item: Json = None,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class ImportContext:
    """What `import_entities` and `import_event` write with.

    actor, run: for every call of the services of entities, so that history names the run, or the
    delivery of the event.
    is_dry_run: check everything and store nothing. saw: takes what each batch came to; raises
    when the run was cancelled or given to another worker, and must be let through. What was not
    shown to it counts as gone from the source. integration: the pk of the source.
    """

    actor: Actor
    run: str
    is_dry_run: bool
    saw: Callable[[Sequence[Seen]], None]
    report: Report
    integration: int = 0


class SourceKind(ABC):
    """Base of all kinds.

    settings_schema: JSON Schema of an object; its properties, in their order, are the form.
    `"secret": true` on a property seals its value; `"incoming": true` says of such a one that it
    is compared with what comes in, and never sent. blueprints, mapping: the defaults, in Port's
    formats. samples: raw objects by resource kind, to try mappings on before there is a
    connection.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    icon: ClassVar[str]
    description: ClassVar[str]
    settings_schema: ClassVar[Mapping[str, Json]]
    resources: ClassVar[Sequence[ResourceKind]]
    takes_events: ClassVar[bool] = False
    imports: ClassVar[bool] = False  # `import_entities` does it, beside or instead of a mapping
    follows: ClassVar[str] = ""  # hears the live events of a source of this kind (`leader`)
    event_help: ClassVar[str] = ""  # what to enter at the vendor, in Markdown

    def resource(self, name: str) -> ResourceKind | None:
        """The resource kind of that name or alias; kinds with open-ended ones override it."""
        for one in self.resources:
            if name == one.name or name in one.aliases:
                return one
        return None

    def environment(self, settings: Mapping[str, Json]) -> Mapping[str, str]:
        """What `env` holds in the mapping's jq ({"CLUSTER_NAME": …}); never a secret.

        The environment of the process itself is not readable there.
        """
        return {}

    @abstractmethod
    def check(self, connection: Connection) -> Sequence[str]:
        """Try the connection; returns sentences of what works ("Logged in as …").

        Raises UpstreamError with the vendor's own words where it does not.
        """

    @abstractmethod
    def fetch(
        self,
        connection: Connection,
        resource: ResourceKind,
        selector: Mapping[str, Json],
        cursor: Json = None,
    ) -> Iterator[Page]:
        """List the objects of `resource` from `cursor` on; memory does not grow with their number.

        selector: the mapping's selector, without `query`. Ends normally only after the last page;
        raises UpstreamError when the list could not be read to its end.
        """

    def import_entities(self, connection: Connection, context: ImportContext) -> None:
        """Bring descriptors, which are entities already, into the catalogue; batch by batch.

        For kinds with `imports`. Shows every entity of the source to `context.saw`, unchanged and
        rejected ones too. Returns only after the last one; raises UpstreamError when the source
        could not be read to its end. A run that was interrupted calls it again from the start.
        """
        raise NotImplementedError(f"{self.name} imports no descriptors")

    def leader(self, settings: Mapping[str, Json]) -> str:
        """For kinds that follow another: the identifier of the source whose live events it hears;
        "" for any."""
        return ""

    def import_event(self, connection: Connection, event: Event, context: ImportContext) -> None:
        """Bring in what a live event says of descriptors; shows what it did to `context.saw`.

        For kinds with `imports`, beside `changes`. One that says nothing of them does nothing; one
        that cannot be understood raises InvalidInput. What is gone from the source is removed at
        once, as far as this source made it.
        """
        return

    def verify(self, event: Event, settings: Mapping[str, Json]) -> None:
        """Check that the vendor sent it. Raises NotAuthenticated; compares in constant time."""
        raise NotImplementedError(f"{self.name} takes no live events")

    def delivery(self, event: Event) -> str:
        """The vendor's name of this delivery; "" where it gives none."""
        return ""

    def changes(
        self,
        connection: Connection,
        event: Event,
        wanted: Mapping[str, Sequence[Mapping[str, Json]]],
    ) -> Iterable[LiveChange]:
        """What the event says of objects of the `wanted` resource kinds.

        wanted: by the name of a resource kind, the selectors (without `query`) of the mapping's
        resources of that kind; an object need not be given that none of them would list. May ask
        the vendor for what the event leaves out. An event that says nothing of interest gives
        nothing; one that cannot be understood raises InvalidInput.
        """
        return ()

    def selects(self, resource: ResourceKind, selector: Mapping[str, Json], item: Json) -> bool:
        """Whether `fetch` with that selector lists an object like `item`, which an event brought.

        To a resource of the mapping whose selector leaves it out, the object is gone.
        """
        return True

    @abstractmethod
    def blueprints(self) -> Sequence[Json]: ...

    @abstractmethod
    def mapping(self) -> Json: ...

    @abstractmethod
    def samples(self) -> Mapping[str, Sequence[Json]]: ...
