"""Pages and folders come back as they were sent; who may read or change them is kept."""

import json

import pytest

from catalog.kernel.actors import Role
from catalog.models import Change, Folder, Page
from tests.factories import make_api, make_entity

pytestmark = pytest.mark.django_db

ADDED = ["createdAt", "createdBy", "updatedAt", "updatedBy"]
BODY = {
    "identifier": "home/überblick",
    "type": "dashboard",
    "title": "Overview",
    "icon": None,
    "parent": "",
    "locked": False,
    "widgets": [
        {
            "type": "dashboard-widget",
            "id": "dash",
            "layout": [
                {"height": 400, "columns": [{"size": 6, "id": "b"}, {"size": 6, "id": "a"}]},
                {"height": 200, "columns": [{"id": "c", "size": 12}]},
            ],
            "widgets": [
                {"z": 1, "id": "b", "a": {"y": None, "x": []}},
                {"id": "a", "type": "markdown", "markdown": "# Hi"},
                {"id": "c", "type": "iframe-widget"},
            ],
        }
    ],
    "pageFilters": [],
    "zzz": {"b": 1, "a": 2},
}
URL = "/v1/pages/home%2F%C3%BCberblick"


@pytest.fixture
def admin(db):
    return make_api()


def said(answer, key="page"):
    """What the client had said of it, as text: the order of keys counts."""
    document = json.loads(answer.content)[key]
    return json.dumps({name: one for name, one in document.items() if name not in ADDED})


def test_a_page_lives_as_terraform_keeps_it(admin):
    made = admin.post("/v1/pages", BODY)
    assert (made.status_code, made.json()["identifier"]) == (201, BODY["identifier"])
    assert said(made) == said(admin.get(URL)) == json.dumps(BODY)
    assert admin.post("/v1/pages", BODY).status_code == 409

    before = admin.get(URL).json()["page"]
    again = admin.put(URL, BODY)
    assert again.json()["page"] == before
    changed = {key: BODY[key] for key in reversed(BODY) if key != "icon"}
    changed = {"identifier": changed.pop("identifier"), **changed, "title": "New"}
    answer = admin.put(URL, changed)
    assert (answer.status_code, answer.json()["identifier"]) == (200, BODY["identifier"])
    assert said(answer) == said(admin.get(URL)) == json.dumps(changed)
    assert answer.json()["page"]["updatedAt"] > before["updatedAt"]
    assert answer.json()["page"]["createdAt"] == before["createdAt"]

    patched = admin.patch(URL, {"title": None, "identifier": BODY["identifier"]})
    assert patched.json()["page"]["title"] is None
    assert [page["identifier"] for page in admin.get("/v1/pages").json()["pages"]] == [
        BODY["identifier"]
    ]
    assert "widgets" not in admin.get("/v1/pages?compact=true").json()["pages"][0]
    assert admin.delete(URL).json() == {"ok": True}
    assert admin.get(URL).json()["error"] == "not_found"
    assert list(
        Change.objects.filter(model="page").order_by("id").values_list("action", flat=True)
    ) == ["create", "update", "update", "delete"]


def test_widgets(admin):
    admin.post("/v1/pages", BODY)
    assert admin.patch(f"{URL}/widgets/a", {"markdown": "# Ho"}).status_code == 200
    assert admin.delete(f"{URL}/widgets/c").json()["identifier"] == BODY["identifier"]
    assert admin.delete(f"{URL}/widgets/b").status_code == 200
    [dash] = admin.get(URL).json()["page"]["widgets"]
    assert dash["layout"] == [{"height": 400, "columns": [{"size": 6, "id": "a"}]}]
    assert dash["widgets"] == [{"id": "a", "type": "markdown", "markdown": "# Ho"}]
    assert admin.delete(f"{URL}/widgets/c").status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"identifier": None}, "identifier"),
        ({"identifier": "a b"}, "identifier"),
        ({"widgets": {}}, "widgets"),
        ({"widgets": [1]}, "widgets.0"),
        ({"title": 3}, "title"),
        ({"locked": "yes"}, "locked"),
    ],
)
def test_bad_pages(admin, change, field):
    answer = admin.post("/v1/pages", {**BODY, **change})
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, field)
    assert not Page.objects.exists()


def test_too_large(admin):
    answer = admin.post("/v1/pages", {"identifier": "big", "x": "y" * 1_100_000})
    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


def test_who_may_read_and_change(admin):
    from tests.factories import make_browser

    admin.post("/v1/pages", BODY)
    member, browser = make_api(Role.MEMBER), make_browser(role=Role.VIEWER)
    make_entity("_team", "core", title="Core")
    make_entity("_user", browser.user.email, relations={"team": ["core"]})

    def change(who):
        return who.patch(
            URL, {"title": "x"}, content_type="application/json", RAW_URI=URL
        ).status_code

    assert member.patch(URL, {"title": "x"}).status_code == 403
    assert (member.get(URL).status_code, change(browser)) == (200, 403)
    nobody = {"users": [], "roles": [], "teams": []}
    assert member.get(f"{URL}/permissions").json()["permissions"] == {
        "read": {**nobody, "roles": ["Admin", "Member", "Viewer"]},
        "update": {**nobody, "roles": ["Admin"]},
    }
    sent = {"read": {"teams": ["Core"], "roles": []}, "update": {"users": [browser.user.email]}}
    assert member.patch(f"{URL}/permissions", sent).status_code == 403
    answer = admin.patch(f"{URL}/permissions", sent)
    assert answer.json()["permissions"] == {
        "read": {**nobody, "teams": ["Core"]},
        "update": {"users": [browser.user.email], "roles": ["Admin"], "teams": []},
    }
    assert member.get(URL).status_code == member.get(f"{URL}/permissions").status_code == 404
    assert member.delete(URL).status_code == 404
    assert member.get("/v1/pages").json()["pages"] == []
    assert member.get("/v1/sidebars/catalog").json()["sidebar"]["items"] == []
    assert (browser.get(URL, RAW_URI=URL).status_code, change(browser)) == (200, 200)
    assert admin.get(URL).json()["page"]["title"] == "x"
    assert admin.patch(f"{URL}/permissions", {"read": {"policy": {}}}).status_code == 422


def test_folders(admin):
    folder = {"identifier": "teams", "title": "Teams", "after": None, "parent": ""}
    made = admin.post("/v1/sidebars/catalog/folders", folder)
    assert (made.status_code, made.json()["identifier"]) == (201, "teams")
    assert admin.post("/v1/sidebars/catalog/folders", folder).status_code == 409
    assert admin.post("/v1/sidebars/home/folders", folder).status_code == 404
    admin.post("/v1/pages", {"identifier": "p", "title": "P", "parent": "teams", "type": "home"})
    assert admin.get("/v1/sidebars/catalog").json()["sidebar"] == {
        "identifier": "catalog",
        "items": [
            {
                "identifier": "teams",
                "title": "Teams",
                "icon": None,
                "after": None,
                "parent": "",
                "sidebar": "catalog",
                "sidebarType": "folder",
            },
            {
                "identifier": "p",
                "title": "P",
                "icon": None,
                "after": None,
                "parent": "teams",
                "sidebar": "catalog",
                "sidebarType": "page",
                "type": "home",
                "blueprint": None,
            },
        ],
    }
    url = "/v1/sidebars/catalog/folders/teams"
    assert admin.patch(url, {"parent": "teams"}).status_code == 422
    changed = admin.patch(url, {"title": "Groups", "sidebarType": "folder"})
    assert changed.json()["folder"]["title"] == "Groups"
    assert Folder.objects.get().document == {"title": "Groups", "after": None, "parent": ""}
    assert make_api(Role.MEMBER).delete(url).status_code == 403
    assert admin.delete(url).json() == {"ok": True}
    assert admin.delete(url).status_code == 404
