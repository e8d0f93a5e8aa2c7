"""Where other apps and plugins plug in: they register in their `AppConfig.ready()`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.models import Model

from catalog.kernel.actors import Actor
from catalog.kernel.feed import FeedRow
from catalog.kernel.source import Event, SourceKind

FeedHandler = Callable[[Sequence[FeedRow]], None]
Welcome = Callable[[Sequence[int], Actor], Mapping[int, Mapping[str, Any]]]

ConfigurationTaker = Callable[[Mapping[str, str], Actor], Mapping[str, str]]

FixedTokenTaker = Callable[[str, str, Actor], str]

LiveListener = Callable[[str, Event], None]
SecretUsers = Callable[[], Iterable[tuple[str, Model]]]
Resealer = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Happening:
    """An event that a row of the feed tells of. keys: what an automation may narrow it down by
    ({"scorecardIdentifier": "production"}). document: what only the app that brings it knows of it
    (action, resourceType, context, diff); who did it and when is added.
    """

    row: FeedRow
    keys: Mapping[str, str]
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of event that automations may listen to.

    name: as an automation's trigger has it ("SCORECARD_LEVEL_CHANGED"). model: of the rows of the
    feed that may tell of one. required, optional: keys of the trigger's event that narrow it down.
    read: the happenings in such rows; the number of its statements does not grow with them.
    """

    name: str
    title: str
    model: str
    read: Callable[[Sequence[FeedRow]], Sequence[Happening]]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleSource:
    """Something that rules of scorecards may look at, beside what the catalogue itself knows.

    name: as CQL says it ("runs", "cost"). value: makes a jsonb expression on Entity; NULL for an
    entity of which there is nothing to say.
    """

    name: str
    title: str
    description: str
    value: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class OwnBlueprint:
    """A blueprint whose entities an app makes of what it knows, such as results. Searches find
    them; the graph that people look at goes around them.

    document: Port's JSON of it. writer: the name of the system actor that writes the entities.
    is_closed: nobody else may.
    """

    document: Mapping[str, Any]
    writer: str
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of something that a document of a catalogue file describes. path: to it within
    the document. name: what people know it by. status: "created", "updated", "unchanged" or
    "rejected". remarks: why it was rejected; else what looks wrong.
    """

    name: str
    status: str
    path: tuple[str | int, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentTaker:
    """Documents of catalogue files that are no entities, and that an app takes in.

    name: what they describe ("scorecards"). may_hold: whether a text may have one, at a quick look.
    is_meant: whether a value is one, valid or not. take: stores what it describes, or (last
    argument) only says what would become of it; raises nothing.
    """

    name: str
    may_hold: Callable[[bytes], bool]
    is_meant: Callable[[Any], bool]
    take: Callable[[Any, Actor, bool], Sequence[Taken]]


class Notifier(Protocol):
    def __call__(
        self,
        title: str,
        *,
        topic: str,
        description: str = ...,
        link: str = ...,
        severity: str = ...,
        scope: str = ...,
        recipients: Collection[str] = ...,
        teams: Collection[str] = ...,
        owners: Sequence[Any] = ...,
        is_mailed: bool = ...,
    ) -> object: ...


class ScorecardQueries(Protocol):
    """How searches and documents of entities ask about scorecards."""

    # a json expression on `catalog_entity e`: {identifier: {"level", "rules": [{…}]}}; it takes no
    # parameters, but stands among some: a percent sign is written twice
    document_sql: str

    def fits(self, scorecard: str, rule: str | None, operator: str, value: str, path: str) -> Any:
        """The condition on Entity. Raises InvalidQuery naming the part of the rule at `path`
        (`{path}.scorecard`, `{path}.scorecardRule`, `{path}.operator`, `{path}.value`)."""

    def value(self, scorecard: str, rule: str | None, path: str) -> Any:
        """A jsonb expression on Entity: its level, or how it does on a rule. Raises
        InvalidQuery; path: "" where `scorecard` and `rule` stand at the top."""


event_kinds: dict[str, EventKind] = {}
feed_consumers: dict[str, FeedHandler] = {}
configuration_takers: dict[tuple[str, ...], ConfigurationTaker] = {}
fixed_token_takers: list[FixedTokenTaker] = []
live_listeners: list[LiveListener] = []
secret_users: list[SecretUsers] = []
resealers: dict[str, Resealer] = {}
source_kinds: dict[str, SourceKind] = {}
welcomes: dict[str, Welcome] = {}
rule_sources: dict[str, RuleSource] = {}
own_blueprints: dict[str, OwnBlueprint] = {}
document_takers: dict[str, DocumentTaker] = {}
notification_topics: dict[str, str] = {}
_notifiers: list[Notifier] = []
_scorecard_queries: list[ScorecardQueries] = []


def register_own_blueprint(blueprint: OwnBlueprint) -> None:
    """Add a system blueprint; `ensure_blueprints` makes it when it is first needed."""
    identifier = blueprint.document["identifier"]
    if identifier in own_blueprints:
        raise ValueError(f"There is a blueprint {identifier!r} already")
    own_blueprints[identifier] = blueprint


def register_document_taker(taker: DocumentTaker) -> None:
    """Let imports of catalogue files take in documents of one more sort."""
    if taker.name in document_takers:
        raise ValueError(f"Documents of {taker.name!r} are taken in already")
    document_takers[taker.name] = taker


def register_rule_source(source: RuleSource) -> None:
    """Let rules of scorecards look at something more."""
    if source.name in rule_sources:
        raise ValueError(f"Rules have a source {source.name!r} already")
    rule_sources[source.name] = source


def register_notification_topic(name: str, title: str) -> None:
    """Add a topic that channels may want to hear of."""
    if name in notification_topics:
        raise ValueError(f"There is a topic {name!r} already")
    notification_topics[name] = title


def register_notifier(notifier: Notifier) -> None:
    """Have `notify` tell people by this."""
    _notifiers.append(notifier)


def notify(title: str, *, topic: str, **told: Any) -> None:
    """Tell people of something, in the caller's transaction, by whatever knows how to.

    told: description, link (a path of the portal), severity ("critical" to "low"), scope (a later
    notice of the same topic and scope replaces an earlier one), recipients (e-mail addresses),
    teams (identifiers or titles), owners (entities whose owners are meant, `blueprint` loaded),
    is_mailed (they get an e-mail too).
    """
    for one in _notifiers:
        one(title, topic=topic, **told)


def register_scorecard_queries(queries: ScorecardQueries) -> None:
    """Let searches and documents of entities ask about scorecards."""
    _scorecard_queries[:] = [queries]


def scorecard_queries() -> ScorecardQueries | None:
    return _scorecard_queries[0] if _scorecard_queries else None


def register_welcome(blueprint: str, welcome: Welcome) -> None:
    """Call `welcome` with the pks of entities of this blueprint that a request to the API has just
    made, in its transaction. What it returns for one is told to the caller, once, as its
    `additionalData`.
    """
    if blueprint in welcomes:
        raise ValueError(f"New entities of {blueprint!r} are welcomed already")
    welcomes[blueprint] = welcome


def register_configuration(keys: tuple[str, ...], take: ConfigurationTaker) -> None:
    """Take these keys of an imported `app-config.yaml` ("organization.name") over.

    `take` is called in the import's transaction with the values that are there; it returns what
    each one became, in words, and raises InvalidInput for one that does not fit.
    """
    if keys in configuration_takers:
        raise ValueError(f"The keys {', '.join(keys)} are taken over already")
    configuration_takers[keys] = take


def register_fixed_tokens(take: FixedTokenTaker) -> None:
    """Take the static tokens of an imported `app-config.yaml` over.

    `take` gets the subject and the token, and returns what became of it, in words; it raises
    InvalidInput for a token that cannot be one here.
    """
    fixed_token_takers.append(take)


def register_live_listener(heed: LiveListener) -> None:
    """Call `heed` with the kind of a source and each live event of it, in the transaction that
    processes the event: to poke, not to work.
    """
    live_listeners.append(heed)


def register_secret_users(find: SecretUsers) -> None:
    """Call `find` to know who uses which secret of the organisation: (its name, the row)."""
    secret_users.append(find)


def register_resealer(what: str, reseal: Resealer) -> None:
    """Call `reseal` when keys are rotated. It seals anew what is not sealed with the first key, and
    returns how many `what` ("runs") that were; it raises SealingFailed.
    """
    if what in resealers:
        raise ValueError(f"{what!r} are resealed already")
    resealers[what] = reseal


def register_feed_consumer(name: str, handler: FeedHandler) -> None:
    """Call `handler` with every batch of changes, in the transaction that marks them as read."""
    if name in feed_consumers:
        raise ValueError(f"A consumer of the change feed is already called {name!r}")
    feed_consumers[name] = handler


def register_event_kind(kind: EventKind) -> None:
    """Let automations listen to events of this kind."""
    if kind.name in event_kinds:
        raise ValueError(f"A kind of event is already called {kind.name!r}")
    event_kinds[kind.name] = kind


def register_source_kind(kind: SourceKind) -> None:
    """Let people add sources of this kind."""
    if kind.name in source_kinds:
        raise ValueError(f"A source kind is already called {kind.name!r}")
    source_kinds[kind.name] = kind
