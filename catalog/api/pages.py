"""/v1/pages and /v1/sidebars: kept as clients describe them, and given back as they were sent."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok, signed
from catalog.api.openapi import OBJECT, documented, envelope, flag, list_of
from catalog.api.permissions import GRANT
from catalog.models import Folder, Page
from catalog.services import pages, permissions

TAG = "Pages"
_ONE = {200: envelope(page=OBJECT, identifier={"type": "string"})}
_FOLDER = {200: envelope(folder=OBJECT)}
_DONE = {200: envelope()}
_PERMISSIONS = {"type": "object", "properties": {"read": GRANT, "update": GRANT}}
_CHANGING = [403, 404, 409, 422]


class PageList(ApiView):
    @documented(
        "list_pages",
        "List all pages",
        tag=TAG,
        params=[flag("compact", "Without their widgets.")],
        answers={200: envelope(pages=list_of(OBJECT))},
    )
    def get(self, request: Request) -> Response:
        hidden = ("widgets",) if params.flag(request, "compact") else ()
        return ok(pages=[_page(one, hidden) for one in pages.visible_pages(self.principal)])

    @documented(
        "create_page",
        "Create a page",
        tag=TAG,
        body=OBJECT,
        answers={201: envelope(identifier={"type": "string"}, page=OBJECT)},
        errors=[403, 409, 422],
    )
    def post(self, request: Request) -> Response:
        permissions.require_admin(self.principal, "create pages")
        made = pages.create_page(params.body_object(request), actor=self.actor)
        return ok(201, identifier=made.identifier, page=_page(made))


class PageDetail(ApiView):
    @documented("get_page", "Get a page", tag=TAG, path=["page"], answers=_ONE, errors=[404])
    def get(self, request: Request, page: str) -> Response:
        return _shown(pages.get_page(page, principal=self.principal))

    @documented(
        "replace_page",
        "Replace a page",
        tag=TAG,
        path=["page"],
        body=OBJECT,
        answers=_ONE,
        errors=_CHANGING,
    )
    def put(self, request: Request, page: str) -> Response:
        return self._change(page, params.body_object(request), replace=True)

    @documented(
        "patch_page",
        "Change parts of a page",
        tag=TAG,
        path=["page"],
        body=OBJECT,
        body_is_optional=True,
        answers=_ONE,
        errors=_CHANGING,
    )
    def patch(self, request: Request, page: str) -> Response:
        return self._change(page, params.body_object(request, may_be_empty=True), replace=False)

    @documented(
        "delete_page",
        "Delete a page",
        tag=TAG,
        path=["page"],
        answers=_DONE,
        errors=[403, 404],
    )
    def delete(self, request: Request, page: str) -> Response:
        pages.delete_page(page, principal=self.principal, actor=self.actor)
        return ok()

    def _change(self, page: str, body: dict[str, Any], *, replace: bool) -> Response:
        return _shown(
            pages.change_page(
                page, body, principal=self.principal, actor=self.actor, replace=replace
            )
        )


class PageWidget(ApiView):
    @documented(
        "patch_page_widget",
        "Change a widget of a page",
        tag=TAG,
        path=["page", "widget"],
        body=OBJECT,
        answers=_ONE,
        errors=_CHANGING,
        description="Only the keys given change.",
    )
    def patch(self, request: Request, page: str, widget: str) -> Response:
        return self._change(page, widget, params.body_object(request))

    @documented(
        "delete_page_widget",
        "Delete a widget of a page",
        tag=TAG,
        path=["page", "widget"],
        answers=_ONE,
        errors=[403, 404],
        description="Its place in the layout of a dashboard goes, too.",
    )
    def delete(self, request: Request, page: str, widget: str) -> Response:
        return self._change(page, widget, None)

    def _change(self, page: str, widget: str, body: dict[str, Any] | None) -> Response:
        return _shown(
            pages.change_widget(page, widget, body, principal=self.principal, actor=self.actor)
        )


class PagePermissions(ApiView):
    @documented(
        "get_page_permissions",
        "Get who may read and change a page",
        tag=TAG,
        path=["page"],
        answers={200: envelope(permissions=_PERMISSIONS)},
        errors=[404],
    )
    def get(self, request: Request, page: str) -> Response:
        found = pages.get_page(page, principal=self.principal)
        return ok(permissions=pages.permissions_document(found))

    @documented(
        "patch_page_permissions",
        "Change who may read and change a page",
        tag=TAG,
        path=["page"],
        body=_PERMISSIONS,
        body_is_optional=True,
        answers={200: envelope(permissions=_PERMISSIONS)},
        errors=[403, 404, 422],
    )
    def patch(self, request: Request, page: str) -> Response:
        permissions.require_admin(self.principal, "change permissions")
        body = params.body_object(request, may_be_empty=True)
        return ok(permissions=pages.update_page_permissions(page, body, actor=self.actor))


class Sidebar(ApiView):
    @documented(
        "get_sidebar",
        "Get the folders and pages of a sidebar",
        tag=TAG,
        path=["sidebar"],
        answers={200: envelope(sidebar=OBJECT)},
        errors=[404],
    )
    def get(self, request: Request, sidebar: str) -> Response:
        pages.check_sidebar(sidebar)
        items = [
            *(_item(one, "folder", sidebar) for one in Folder.objects.filter(sidebar=sidebar)),
            *(_item(one, "page", sidebar) for one in pages.visible_pages(self.principal)),
        ]
        return ok(sidebar={"identifier": sidebar, "items": items})


class FolderList(ApiView):
    @documented(
        "create_folder",
        "Create a folder of a sidebar",
        tag=TAG,
        path=["sidebar"],
        body=OBJECT,
        answers={201: envelope(folder=OBJECT, identifier={"type": "string"})},
        errors=_CHANGING,
    )
    def post(self, request: Request, sidebar: str) -> Response:
        permissions.require_admin(self.principal, "create folders")
        made = pages.create_folder(sidebar, params.body_object(request), actor=self.actor)
        return ok(201, identifier=made.identifier, folder=_folder(made))


class FolderDetail(ApiView):
    @documented(
        "patch_folder",
        "Change a folder of a sidebar",
        tag=TAG,
        path=["sidebar", "folder"],
        body=OBJECT,
        body_is_optional=True,
        answers=_FOLDER,
        errors=_CHANGING,
    )
    def patch(self, request: Request, sidebar: str, folder: str) -> Response:
        permissions.require_admin(self.principal, "change folders")
        body = params.body_object(request, may_be_empty=True)
        changed = pages.change_folder(sidebar, folder, body, actor=self.actor)
        return ok(identifier=changed.identifier, folder=_folder(changed))

    @documented(
        "delete_folder",
        "Delete a folder of a sidebar",
        tag=TAG,
        path=["sidebar", "folder"],
        answers=_DONE,
        errors=[403, 404],
        description="What is in it moves to the top of the sidebar.",
    )
    def delete(self, request: Request, sidebar: str, folder: str) -> Response:
        permissions.require_admin(self.principal, "delete folders")
        pages.delete_folder(sidebar, folder, actor=self.actor)
        return ok()


def _shown(page: Page) -> Response:
    return ok(page=_page(page), identifier=page.identifier)


def _page(page: Page, hidden: tuple[str, ...] = ()) -> dict[str, Any]:
    said = {key: value for key, value in page.document.items() if key not in hidden}
    return {"identifier": page.identifier, **said, **signed(page)}


def _folder(folder: Folder) -> dict[str, Any]:
    return {
        "identifier": folder.identifier,
        **folder.document,
        "sidebar": folder.sidebar,
        "sidebarType": "folder",
        **signed(folder),
    }


def _item(one: Page | Folder, kind: str, sidebar: str) -> dict[str, Any]:
    said = one.document
    item = {
        "identifier": one.identifier,
        **{key: said.get(key) for key in ("title", "icon", "after", "parent")},
        "sidebar": sidebar,
        "sidebarType": kind,
    }
    return (
        {**item, "type": said.get("type"), "blueprint": said.get("blueprint")}
        if (kind == "page")
        else item
    )
