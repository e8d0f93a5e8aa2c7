"""When docs are built: which entities have some, whose sources changed, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection, transaction
from django.utils import timezone

from catalog.dialects.backstage.documents import entity_ref
from catalog.dialects.backstage.reader import FileRefused, FileUnreachable, is_file
from catalog.ingest.locations.reader import PlaceReader
from catalog.ingest.techdocs.building import Builder
from catalog.ingest.techdocs.layout import Layout
from catalog.ingest.techdocs.opening import Place
from catalog.ingest.techdocs.sources import ANNOTATIONS, DOCS_KEYS, README, Facts, sources_of
from catalog.ingest.techdocs.storing import store
from catalog.ingest.techdocs.trees import TextTree
from catalog.kernel import feed
from catalog.kernel.errors import IdpError
from catalog.kernel.feed import FeedRow
from catalog.models import Change, DocSite, Entity

Faults = dict[str, FileRefused]  # what is wrong with which source

logger = structlog.get_logger(__name__)

CONSUMER: Final = "techdocs"
MAX_LOG_CHARS: Final = 10_000

# Part of each revision: another one has all sites rendered anew.
RENDERER: Final = "1"

CHECK_FILES_EVERY: Final = timedelta(minutes=2)
CHECK_ADDRESSES_EVERY: Final = timedelta(minutes=30)
_TAKEN_FOR: Final = timedelta(minutes=15)  # longer than a build may take

_HAVE_DOCS: Final = """
    (e.properties->'annotations' ?| %(keys)s
     OR (jsonb_typeof(e.properties->%(readme)s) = 'string' AND e.properties->>%(readme)s <> ''))
"""

_FIND: Final = f"""
SELECT e.id, b.identifier, e.identifier, s.entity_id IS NOT NULL, s.ref
FROM catalog_entity e JOIN catalog_blueprint b ON b.id = e.blueprint_id
LEFT JOIN catalog_docsite s ON s.entity_id = e.id
WHERE {_HAVE_DOCS} AND (%(pks)s::bigint[] IS NULL OR e.id = ANY(%(pks)s))
"""  # noqa: S608 - constants

_DROP: Final = f"""
DELETE FROM catalog_docsite s USING catalog_entity e
WHERE s.entity_id = e.id AND (%(pks)s::bigint[] IS NULL OR e.id = ANY(%(pks)s))
  AND ({_HAVE_DOCS}) IS NOT TRUE
"""  # noqa: S608 - constants


_HURRY: Final = """
UPDATE catalog_docsite s SET next_check_at = now()
WHERE EXISTS (
    SELECT FROM (VALUES (s.sources->>'docs'), (s.sources->>'adr')) AS own (folder)
    WHERE EXISTS (SELECT FROM unnest(%(places)s::text[]) AS place WHERE starts_with(place, folder))
       OR EXISTS (SELECT FROM unnest(%(below)s::text[]) AS start WHERE starts_with(folder, start))
)
"""


def follow(rows: Sequence[FeedRow]) -> int:
    """Make the sites of entities that changed due; returns how many are."""
    pks = {
        row.object_id
        for row in rows
        if row.model == Change.ENTITY and row.action != feed.DELETE and row.object_id is not None
    }
    return scan(sorted(pks)) if pks else 0


def scan(pks: Iterable[int] | None = None) -> int:
    """Have a site for each entity that says where its docs are, and for no other.

    pks: of the entities that changed, whose sites are then due; None: all, of which only new sites
    are. Returns how many sites are due for it. A constant number of statements.
    """
    values = {
        "keys": list(DOCS_KEYS),
        "readme": README,
        "pks": None if pks is None else list(pks),
    }
    now = timezone.now()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_DROP, values)
            cursor.execute(_FIND, values)
            found = cursor.fetchall()
        due = [
            DocSite(entity_id=pk, ref=ref, next_check_at=now)
            for pk, blueprint, identifier, is_known, known_ref in found
            for ref in [str(entity_ref(blueprint, identifier))]
            if pks is not None or not is_known or known_ref != ref
        ]
        DocSite.objects.bulk_create(
            due,
            batch_size=1000,
            update_conflicts=True,
            unique_fields=["entity"],
            update_fields=["ref", "next_check_at"],
        )
    return len(due)


def due(limit: int = 100) -> list[int]:
    """Entities whose sites are to be looked at now, the longest waiting first."""
    rows = DocSite.objects.filter(next_check_at__lte=timezone.now()).order_by("next_check_at")
    return list(rows.values_list("pk", flat=True)[:limit])


def hurry(places: Collection[str], *, below: Collection[str] = ()) -> int:
    """Have the sites looked at soon that lie around places, since these changed; returns how many.

    below: how further places begin, of which the names are not known.
    """
    if not (places or below):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_HURRY, {"places": list(places), "below": list(below)})
        return int(cursor.rowcount)


def check(pk: int, *, force: bool = False, is_due: bool = False) -> bool:
    """Look whether the docs of an entity changed, and build them if so; say whether readers see
    something new.

    force: build them in any case. is_due: only if they are due, and nobody else is at it. What
    goes wrong is kept in the site's log, and its last good version stays.
    """
    now = timezone.now()
    wanted = DocSite.objects.filter(pk=pk)
    if is_due:
        wanted = wanted.filter(next_check_at__lte=now)
    if not wanted.update(next_check_at=now + _TAKEN_FOR):
        return False
    site = DocSite.objects.get(pk=pk)
    facts = _facts(pk)
    if facts is None:
        return False
    sources: dict[str, str] = {}
    try:
        sources, faults = sources_of(facts)
        if not (sources or faults):
            DocSite.objects.filter(pk=pk).delete()
            return site.page_count > 0
        return _check(site, facts, sources, faults, force)
    except SoftTimeLimitExceeded:
        _failed(site, sources, "It took too long, and was stopped.")
        raise
    except IdpError as error:
        said = str(error)
        _failed(site, sources, said[:1].upper() + said[1:])
        return False
    except Exception as error:  # what no page should be able to do: readers see that it happened
        logger.exception("docs_build_failed", entity=pk)
        _failed(
            site, sources, f"The build broke: {type(error).__name__}. The server's log says more."
        )
        return False


def _check(
    site: DocSite, facts: Facts, sources: dict[str, str], faults: Faults, force: bool
) -> bool:
    ref = f"{facts.kind}:{facts.namespace}/{facts.name}".lower()
    if "entity" in sources:
        is_new = bool(site.sources != sources)
        site.pages.all().delete()
        site.assets.all().delete()
        _update(site, sources, ref=ref, state=DocSite.State.READY, log="", page_count=0, version="")
        return is_new
    with PlaceReader() as reader, ExitStack() as stack:
        places: dict[str, Place] = {}
        revisions: list[str] = []
        for key in [one for one in ANNOTATIONS if one in sources]:
            with _apart(faults, key):
                place = Place(sources[key], reader, own_file=facts.location)
                revisions.append(place.revision())
                places[key] = place
        revision = _revision(sources, revisions, faults)
        if (
            not force
            and revision
            and revision == site.revision
            and (site.ref, site.sources) == (ref, sources)
        ):
            _update(site, sources, ref=ref)
            return False
        layout = Layout()
        if "readme" in sources:
            text = {"README.md": sources["readme"]}
            layout.add_docs(TextTree(text, address=_blob(facts.url)))
        for key, place in places.items():
            with _apart(faults, key):
                tree = stack.enter_context(place.opened())
                (layout.add_docs if key == "docs" else layout.add_decisions)(tree)
        _tell(faults, layout, site, sources)
        built = Builder(layout).build(name=facts.title or facts.name)
    is_new = store(
        site.pk,
        built,
        revision="" if _is_passing(faults) else revision,
        sources=_kept(sources),
        ref=ref,
    )
    _update(site, sources)
    return is_new


@contextmanager
def _apart(faults: Faults, key: str) -> Iterator[None]:
    """What is wrong with one place keeps out only what that one holds."""
    try:
        yield
    except FileRefused as error:
        faults[key] = error


def _revision(sources: dict[str, str], revisions: Sequence[str], faults: Faults) -> str:
    """Empty where nothing tells cheaply whether something changed."""
    if "readme" in sources or not all(revisions):
        return ""
    return "\n".join([RENDERER, *revisions, *(f"{key}: {one}" for key, one in faults.items())])


def _tell(faults: Faults, layout: Layout, site: DocSite, sources: dict[str, str]) -> None:
    """Make warnings of what is wrong with some of the places. Raises the fault when there is no
    other place, or when readers would lose pages only because a server is away just now."""
    for key, error in faults.items():
        annotation = ANNOTATIONS.get(key, "")
        is_shown = (
            site.page_count > 0
            and site.sources.get(key) == sources.get(key)
            and not any(one["page"] == annotation for one in site.warnings)
        )
        if sources.keys() <= faults.keys() or (is_shown and isinstance(error, FileUnreachable)):
            raise error
        layout.warn(annotation, str(error).removeprefix(f"{annotation}: "))


def _is_passing(faults: Faults) -> bool:
    """Whether another try may go better though nothing changes."""
    return any(isinstance(one, FileUnreachable) for one in faults.values())


def _kept(sources: dict[str, str]) -> dict[str, str]:
    """What the site keeps of its sources: a readme is kept as a page."""
    return {key: value for key, value in sources.items() if key != "readme"}


def _failed(site: DocSite, sources: dict[str, str], log: str) -> None:
    logger.info("docs_not_built", entity=site.pk, reason=log)
    _update(site, sources, state=DocSite.State.FAILED, log=log[:MAX_LOG_CHARS], revision="")


def _update(site: DocSite, sources: dict[str, str], **changes: Any) -> None:
    if sources:
        changes["sources"] = _kept(sources)
    DocSite.objects.filter(pk=site.pk).update(
        **changes, checked_at=timezone.now(), next_check_at=_next_check(sources)
    )


def _next_check(sources: dict[str, str]) -> datetime | None:
    """None: not before the entity itself changes."""
    places = [sources[key] for key in ANNOTATIONS if key in sources]
    if not places and sources:
        return None
    is_near = bool(places) and all(map(is_file, places))
    return timezone.now() + (CHECK_FILES_EVERY if is_near else CHECK_ADDRESSES_EVERY)


def _facts(pk: int) -> Facts | None:
    entity = Entity.objects.select_related("blueprint", "located").filter(pk=pk).first()
    if entity is None:
        return None
    ref = entity_ref(entity.blueprint.identifier, entity.identifier)
    said = entity.properties.get("annotations")
    readme, url = entity.properties.get(README), entity.properties.get("url")
    located = getattr(entity, "located", None)
    return Facts(
        ref.kind,
        ref.namespace,
        ref.name,
        title=entity.title or "",
        location=entity.location or "",
        annotations=said if isinstance(said, dict) else {},
        catalogue=located.annotations if located else {},
        readme=readme if isinstance(readme, str) else "",
        url=url if isinstance(url, str) else "",
    )


def _blob(url: str) -> str:
    """Where the files of a repository are shown, which a README's links lead to."""
    if not url.startswith(("https://github.com/", "https://gitlab.com/")):
        return ""
    form = "blob" if "github" in url.split("/")[2] else "-/blob"
    return f"{url.rstrip('/')}/{form}/HEAD/"
