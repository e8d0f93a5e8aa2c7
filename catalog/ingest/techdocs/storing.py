"""Writes a built site: only the pages and files that changed."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

from catalog.dialects.backstage.reader import content_hash
from catalog.ingest.techdocs.building import Built
from catalog.models import DocAsset, DocPage, DocSite

_PAGE_FIELDS = [
    *("url", "title", "html", "toc", "text", "position", "facts", "edit_url", "content_hash"),
]
_ASSET_FIELDS = ["content_type", "content", "content_hash"]
_BATCH = 200


def store(pk: int, built: Built, *, revision: str, sources: Mapping[str, str], ref: str) -> bool:
    """Make a site what was built; say whether that changed what readers see.

    pk: of its entity. Nothing happens when the site is gone.
    """
    version = built.version()
    with transaction.atomic():
        site = DocSite.objects.select_for_update().filter(pk=pk).first()
        if site is None:
            return False
        is_new = site.version != version
        now = timezone.now()
        if is_new:
            _store_pages(pk, built)
            _store_assets(pk, built)
            site.built_at = now
        site.ref, site.sources, site.revision, site.version = ref, sources, revision, version
        site.name, site.description, site.nav = built.name, built.description, built.nav
        site.warnings, site.log, site.state = built.warnings, "", DocSite.State.READY
        site.page_count, site.size_bytes = len(built.pages), built.size_bytes
        site.checked_at = now
        site.save()
    return is_new


def _store_pages(pk: int, built: Built) -> None:
    known = _known(DocPage, pk)
    wanted = {one.path: one.hash() for one in built.pages}
    DocPage.objects.filter(site=pk).exclude(path__in=wanted).delete()
    DocPage.objects.bulk_create(
        [
            DocPage(
                site_id=pk,
                path=one.path,
                url=one.url,
                title=one.title,
                html=one.html,
                toc=one.toc,
                text=one.text,
                position=one.position,
                facts=one.facts,
                edit_url=one.edit_url,
                content_hash=wanted[one.path],
            )
            for one in built.pages
            if known.get(one.path) != wanted[one.path]
        ],
        batch_size=_BATCH,
        update_conflicts=True,
        unique_fields=["site", "path"],
        update_fields=_PAGE_FIELDS,
    )


def _store_assets(pk: int, built: Built) -> None:
    known = _known(DocAsset, pk)
    wanted = {one.path: content_hash(one.content) for one in built.assets}
    DocAsset.objects.filter(site=pk).exclude(path__in=wanted).delete()
    for one in built.assets:  # each by itself: together they may be a hundred megabytes
        if known.get(one.path) != wanted[one.path]:
            DocAsset.objects.bulk_create(
                [
                    DocAsset(
                        site_id=pk,
                        path=one.path,
                        content_type=one.content_type,
                        content=one.content,
                        content_hash=wanted[one.path],
                    )
                ],
                update_conflicts=True,
                unique_fields=["site", "path"],
                update_fields=_ASSET_FIELDS,
            )


def _known(model: type[DocPage] | type[DocAsset], pk: int) -> dict[str, bytes]:
    rows = model.objects.filter(site=pk).values_list("path", "content_hash")
    return {path: bytes(digest) for path, digest in rows}
