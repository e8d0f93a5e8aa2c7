"""Git and descriptor files, from a real Git server."""

import pytest

from catalog.ingest.sources.backstage_files import BackstageFiles
from catalog.ingest.sources.git import Git
from catalog.kernel.actors import Actor
from catalog.kernel.errors import (
    AddressRefused,
    InvalidInput,
    UpstreamError,
    UpstreamNotFound,
    UpstreamRefused,
)
from catalog.kernel.git import checked_out
from catalog.kernel.http import Client
from catalog.kernel.source import Connection, ImportContext
from catalog.models import Entity

git = Git()
descriptors = BackstageFiles()


def connect(log=lambda level, message: None, **settings):
    return Connection(settings, Client(), log)


def listed(connection, name="file", selector=None, cursor=None):
    pages = list(git.fetch(connection, git.resource(name), selector or {}, cursor))
    assert [page.next for page in pages].index(None) == len(pages) - 1
    return [item for page in pages for item in page.items]


def test_files_come_with_their_content_and_where_they_are(git_server):
    url = git_server.make(
        "shop/cart", {"a.yaml": "name: cart\n---\nname: b\n", "x/b.json": "[1]", "c.txt": "no"}
    )
    first, second = listed(connect(repositories=[url]))
    assert first["path"] == "a.yaml"
    assert first["content"] == [{"name": "cart"}, {"name": "b"}]
    assert first["repository"]["name"] == "shop/cart"
    assert first["repository"]["branch"] == "main"
    assert len(first["repository"]["commit"]) == 40
    assert (second["path"], second["content"]) == ("x/b.json", [1])


def test_the_selector_names_the_paths(git_server):
    url = git_server.make("a/b", {"svc/one.yaml": "a: 1", "README.md": "# Hi", "two.yaml": "b: 1"})
    found = listed(connect(repositories=[url]), selector={"path": ["svc/*.yaml", "*.md"]})
    assert [(one["path"], one["content"]) for one in found] == [
        ("README.md", "# Hi"),
        ("svc/one.yaml", {"a": 1}),
    ]


def test_a_resumed_list_goes_on_with_its_repository(git_server):
    urls = [git_server.make(name, {"a.yaml": "a: 1"}) for name in ("o/one", "o/two")]
    found = listed(connect(repositories=urls), "repository", cursor=1)
    assert [(one["name"], one["files"]) for one in found] == [("o/two", 1)]


def test_broken_and_big_files_are_told_and_stop_nobody(git_server):
    url = git_server.make(
        "o/r", {"a.yaml": "a: [", "b.json": '"' + "x" * 2**20 + '"', "c.yaml": "c: 1"}
    )
    said = []
    found = listed(connect(lambda level, message: said.append(message), repositories=[url]))
    assert [(one["path"], one["content"]) for one in found] == [
        ("a.yaml", "a: ["),
        ("c.yaml", {"c": 1}),
    ]
    assert said == ["o/r/b.json has more than 1,048,576 bytes: left out"]


def test_a_token_opens_a_repository_and_shows_nowhere(git_server):
    git_server.token = "let-me-in"
    url = git_server.make("o/r", {"a.yaml": "a: 1"})
    assert git.check(connect(repositories=[url], token="let-me-in"))[0].startswith(
        "o/r can be read (branch main, "
    )
    with pytest.raises(UpstreamRefused) as raised:
        git.check(connect(repositories=[url], token="wrong-token"))
    assert "wrong-token" not in str(raised.value)


def test_what_is_not_there_is_told(git_server):
    with pytest.raises(UpstreamNotFound):
        git.check(connect(repositories=[f"{git_server.url}/o/none.git"]))
    url = git_server.make("o/r", {"a.yaml": "a: 1"})
    with pytest.raises(UpstreamNotFound, match="no-such-branch"):
        git.check(connect(repositories=[url], branch="no-such-branch"))


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/x.git",
        "http://127.0.0.2/x.git",
        "file:///etc",
        "ext::sh -c id",
        "ssh://git@example.com/x.git",
        "--upload-pack=id",
    ],
)
def test_addresses_that_are_not_ours_to_call(git_server, url):
    with pytest.raises(AddressRefused), checked_out(url):
        pass


def test_addresses_with_credentials_and_branches_with_options_are_refused(git_server):
    with (
        pytest.raises(AddressRefused, match="user name or password"),
        checked_out("https://me:secret@git.example.com/x.git"),
    ):
        pass
    with (
        pytest.raises(InvalidInput, match="no name of a branch"),
        checked_out(git_server.url, branch="--upload-pack=id"),
    ):
        pass


def test_a_link_in_a_repository_leads_nowhere(git_server, tmp_path):
    url = git_server.make("o/r", {"a.yaml": "a: 1"})
    (tmp_path / "work/o/r/link.yaml").symlink_to("/etc/hostname")
    git_server.commit("o/r", {})
    found = listed(connect(repositories=[url]))
    assert {one["path"]: one["content"] for one in found} == {
        "a.yaml": {"a": 1},
        "link.yaml": "/etc/hostname",
    }


def test_a_repository_that_is_too_big_is_not_read_to_its_end(git_server):
    url = git_server.make("o/r", {"a.bin": "".join(chr(33 + n % 90) for n in range(300_000))})
    with (
        pytest.raises(UpstreamError, match="has more than 10 bytes"),
        checked_out(url, max_bytes=10),
    ):
        pass


# --- descriptors ------------------------------------------------------------------------------

ORDERS = """
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: orders}
spec: {type: service, lifecycle: production, owner: team-a}
"""


class Seeing:
    """What a sync run hands to an import."""

    def __init__(self):
        self.seen, self.reports = [], []

    @property
    def context(self):
        return ImportContext(
            actor=Actor.system("test"),
            run="sync_1",
            is_dry_run=False,
            saw=self.seen.extend,
            report=lambda level, message, **about: self.reports.append((level, message, about)),
        )


def test_descriptors_of_a_repository_become_entities(db, git_server):
    url = git_server.make("shop/orders", {"catalog-info.yaml": ORDERS})
    seeing = Seeing()
    descriptors.import_entities(connect(repositories=[url]), seeing.context)
    entity = Entity.objects.get(identifier="orders", blueprint__identifier="component")
    assert entity.location == f"url:{url.removesuffix('.git')}/blob/main/catalog-info.yaml"
    assert [(one.identifier, one.status, one.pk) for one in seeing.seen] == [
        ("orders", "created", entity.pk)
    ]
    again = Seeing()
    descriptors.import_entities(connect(repositories=[url]), again.context)
    assert [one.status for one in again.seen] == ["unchanged"]


def test_a_file_that_broke_keeps_its_entities_and_is_told(db, git_server):
    url = git_server.make("shop/orders", {"catalog-info.yaml": ORDERS})
    descriptors.import_entities(connect(repositories=[url]), Seeing().context)
    git_server.commit(
        "shop/orders", {"catalog-info.yaml": ORDERS.replace("name: orders", "name: 7")}
    )
    seeing = Seeing()
    descriptors.import_entities(connect(repositories=[url]), seeing.context)
    assert [(one.identifier, one.status) for one in seeing.seen] == [("orders", "rejected")]
    [(level, _, about)] = seeing.reports
    assert level == "error"
    assert about["field"] == "metadata.name"
    assert about["details"]["file"].endswith("/shop/orders/blob/main/catalog-info.yaml")
    assert about["details"]["line"] == 4


def test_only_folders_that_the_operator_opened_are_read(db, tmp_path, settings):
    (tmp_path / "catalog-info.yaml").write_text(ORDERS)
    settings.IDP_FILES = []
    with pytest.raises(InvalidInput, match="outside the folders") as raised:
        descriptors.check(connect(paths=[str(tmp_path)]))
    assert raised.value.details["field"] == "settings.paths.0"
    settings.IDP_FILES = [str(tmp_path)]
    assert descriptors.check(connect(paths=[str(tmp_path)])) == [f"{tmp_path} can be read."]
    with pytest.raises(InvalidInput):
        descriptors.check(connect(paths=[f"{tmp_path}/../.."]))
    seeing = Seeing()
    descriptors.import_entities(connect(paths=[str(tmp_path)]), seeing.context)
    assert [one.identifier for one in seeing.seen] == ["orders"]


def test_an_empty_configuration_is_told(db):
    with pytest.raises(InvalidInput, match="nothing to read"):
        descriptors.check(connect())
