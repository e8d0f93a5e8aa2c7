"""Pages, their widgets and permissions, and the folders of the sidebar.

Everything a client sends is kept and given back as it was, null and empty values too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction

from catalog.kernel.actors import Actor, Principal, Role
from catalog.kernel.errors import InvalidInput, NotFound, PermissionDenied
from catalog.kernel.identifiers import check_entity_identifier
from catalog.models import Folder, Page
from catalog.services import documents
from catalog.services.grants import grant_to
from catalog.services.permissions import Standing

_TEXT: Final = {"type": ["string", "null"], "maxLength": 1000}
_PAGE_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("type", "title", "icon", "parent", "after", "blueprint"), _TEXT),
        "description": {"type": ["string", "null"]},
        "locked": {"type": ["boolean", "null"]},
        "widgets": {"type": ["array", "null"], "items": {"type": "object"}},
    },
}
_FOLDER_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": dict.fromkeys(("title", "icon", "parent", "after"), _TEXT),
}
_FOLDER_KEYS: Final = ("identifier", "sidebar", "sidebarType")
_DEFAULT_PERMISSIONS: Final = {
    "read": grant_to(*Role, with_owners=False),
    "update": grant_to(Role.ADMIN, with_owners=False),
}


def visible_pages(principal: Principal) -> list[Page]:
    """All pages that `principal` may read, oldest first."""
    standing = Standing(principal)
    return [page for page in Page.objects.all() if _may(standing, page, "read")]


def get_page(identifier: str, *, principal: Principal) -> Page:
    """Raises NotFound, also for a page that `principal` may not read."""
    page = Page.objects.filter(identifier=identifier).first()
    if page is None or not _may(Standing(principal), page, "read"):
        raise NotFound.of("Page", identifier)
    return page


def create_page(body: Mapping[str, Any], *, actor: Actor) -> Page:
    """Raises AlreadyExists, InvalidInput."""
    identifier = check_entity_identifier(body.get("identifier"))
    document = documents.checked_document(body, _PAGE_SCHEMA, without=("identifier",))
    return documents.create(Page(identifier=identifier, document=document), actor=actor)


def change_page(
    identifier: str,
    body: Mapping[str, Any],
    *,
    principal: Principal,
    actor: Actor,
    replace: bool,
) -> Page:
    """Change the keys given, or everything; another `identifier` in the body renames it.

    Raises NotFound, AlreadyExists, InvalidInput, PermissionDenied.
    """
    with transaction.atomic():
        page = _to_change(identifier, principal)
        new = check_entity_identifier(body.get("identifier") or identifier)
        document = documents.checked_document(
            body if replace else {**page.document, **body}, _PAGE_SCHEMA, without=("identifier",)
        )
        return documents.change(page, new, document, actor=actor)


def delete_page(identifier: str, *, principal: Principal, actor: Actor) -> None:
    """Raises NotFound, PermissionDenied."""
    with transaction.atomic():
        documents.delete(_to_change(identifier, principal), actor=actor)


def change_widget(
    identifier: str,
    widget: str,
    body: Mapping[str, Any] | None,
    *,
    principal: Principal,
    actor: Actor,
) -> Page:
    """Change the keys given of one widget, at any depth of the page, or delete it (body None).

    Raises NotFound, InvalidInput, PermissionDenied.
    """
    with transaction.atomic():
        page = _to_change(identifier, principal)
        widgets, is_found = _with_widget(page.document.get("widgets") or [], widget, body)
        if not is_found:
            raise NotFound.of("Widget", widget, field="id")
        document = documents.checked_document({**page.document, "widgets": widgets}, _PAGE_SCHEMA)
        return documents.change(page, page.identifier, document, actor=actor)


def permissions_document(page: Page) -> dict[str, Any]:
    return {**_DEFAULT_PERMISSIONS, **(page.permissions or {})}


def update_page_permissions(
    identifier: str, changes: Mapping[str, Any], *, actor: Actor
) -> dict[str, Any]:
    """Change who may read or change a page; returns all of it. Raises NotFound, InvalidInput."""
    with transaction.atomic():
        page = Page.objects.select_for_update().filter(identifier=identifier).first()
        if page is None:
            raise NotFound.of("Page", identifier)
        return documents.change_permissions(page, permissions_document(page), changes, actor=actor)


def create_folder(sidebar: str, body: Mapping[str, Any], *, actor: Actor) -> Folder:
    """Raises NotFound for a sidebar there is not, AlreadyExists, InvalidInput."""
    check_sidebar(sidebar)
    identifier = check_entity_identifier(body.get("identifier"))
    document = documents.checked_document(body, _FOLDER_SCHEMA, without=_FOLDER_KEYS)
    return documents.create(
        Folder(sidebar=sidebar, identifier=identifier, document=document), actor=actor
    )


def change_folder(
    sidebar: str, identifier: str, body: Mapping[str, Any], *, actor: Actor
) -> Folder:
    """Change the keys given; another `identifier` in the body renames it.

    Raises NotFound, AlreadyExists, InvalidInput.
    """
    with transaction.atomic():
        folder = _folder(sidebar, identifier)
        new = check_entity_identifier(body.get("identifier") or identifier)
        if {**folder.document, **body}.get("parent") in (folder.identifier, new):
            raise InvalidInput.of("parent", new, "another folder than itself")
        document = documents.checked_document(
            {**folder.document, **body}, _FOLDER_SCHEMA, without=_FOLDER_KEYS
        )
        return documents.change(folder, new, document, actor=actor)


def delete_folder(sidebar: str, identifier: str, *, actor: Actor) -> None:
    """What was in it moves to the top of the sidebar. Raises NotFound."""
    with transaction.atomic():
        documents.delete(_folder(sidebar, identifier), actor=actor)


def check_sidebar(sidebar: str) -> None:
    if sidebar != Folder.CATALOG:
        raise NotFound.of("Sidebar", sidebar)


def _to_change(identifier: str, principal: Principal) -> Page:
    """The page, locked, if the principal may change it."""
    page = Page.objects.select_for_update().filter(identifier=identifier).first()
    standing = Standing(principal)
    if page is None or not _may(standing, page, "read"):
        raise NotFound.of("Page", identifier)
    if not _may(standing, page, "update"):
        raise PermissionDenied(
            f'You may not change the page "{identifier}"',
            hint="An admin can name you in its permissions.",
            details={"resource": "Page", "value": identifier},
        )
    return page


def _may(standing: Standing, page: Page, what: str) -> bool:
    return standing.is_granted(permissions_document(page)[what])


def _folder(sidebar: str, identifier: str) -> Folder:
    found = (
        Folder.objects.select_for_update().filter(sidebar=sidebar, identifier=identifier).first()
    )
    if found is None:
        raise NotFound.of("Folder", identifier)
    return found


def _with_widget(
    widgets: list[Any], wanted: str, body: Mapping[str, Any] | None
) -> tuple[list[Any], bool]:
    """The widgets with one changed, or without it, and whether it was there."""
    result: list[Any] = []
    is_found = False
    for one in widgets:
        if isinstance(one, Mapping) and one.get("id") == wanted:
            is_found = True
            if body is not None:
                result.append({**one, **body, "id": wanted})
            continue
        if isinstance(one, Mapping) and isinstance(one.get("widgets"), list):
            inner, is_inside = _with_widget(one["widgets"], wanted, body)
            if is_inside:
                is_found = True
                one = {**one, "widgets": inner}
                if body is None and isinstance(one.get("layout"), list):
                    one["layout"] = _without_column(one["layout"], wanted)
        result.append(one)
    return result, is_found


def _without_column(layout: list[Any], widget: str) -> list[Any]:
    """The rows of a dashboard without the place of one widget; a row that becomes empty goes."""
    rows: list[Any] = []
    for row in layout:
        columns = row.get("columns") if isinstance(row, Mapping) else None
        if not isinstance(columns, list):
            rows.append(row)
            continue
        kept = [c for c in columns if not (isinstance(c, Mapping) and c.get("id") == widget)]
        if kept or not columns:
            rows.append({**row, "columns": kept})
    return rows
