"""Attempts on sources: their secrets, their addresses, and what others send to them."""

import json
import os
import time
from pathlib import Path
from urllib.parse import quote, quote_plus

import orjson
import pytest
from django.test import Client as Browser

from catalog.ingest import live
from catalog.ingest.connections import open_source
from catalog.ingest.integrations import create_source, sample_items, try_connection, update_source
from catalog.ingest.mapping import parse_mapping
from catalog.ingest.messages import masked
from catalog.ingest.sources.backstage_files import BackstageFiles
from catalog.ingest.sources.gitlab import GitLab
from catalog.ingest.sources.kubernetes import Kubernetes
from catalog.ingest.sources.repository_files import glob
from catalog.ingest.webhooks_definitions import create_webhook
from catalog.kernel.actors import Actor, Role
from catalog.kernel.errors import (
    InvalidInput,
    InvalidMapping,
    NotAuthenticated,
    UpstreamNotFound,
    UpstreamUnavailable,
)
from catalog.kernel.http import Client
from catalog.kernel.http.masking import mask
from catalog.kernel.source import Connection, Event, ImportContext
from catalog.models import Change, Entity, Integration, KindExample, SyncMessage
from catalog.services.secrets import MASK, create_secret, open_settings
from tests.factories import ACTOR, make_api, make_blueprint
from tests.vendors import Answer

pytestmark = pytest.mark.django_db

SECRETS = {
    "github": {"token": "ghp_0123456789", "webhookSecret": "signs-events"},
    "git": {"repositories": ["https://git.example.com/a/b"], "token": "t0ken-of-git"},
    "http": {"baseUrl": "https://cmdb.example.com/api", "secret": "t0ken-of-cmdb"},
    "kubernetes": {"clusterName": "c", "server": "https://k8s.example.com:6443", "token": "k-tok"},
    "prometheus": {"url": "https://prom.example.com", "token": "p-t0ken"},
}


def source_of(kind):
    return create_source(
        identifier=f"our-{kind}", kind=kind, settings=SECRETS[kind], mapping={}, actor=ACTOR
    )


# A secret goes to the server that it was entered for, and to no other


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("github", {"apiUrl": "https://evil.example"}),
        ("github", {"apiUrl": "https://api.github.com@evil.example"}),
        ("github", {"apiUrl": "http://api.github.com"}),
        ("github", {"apiUrl": "https://api.github.com:8443"}),
        ("github", {"apiUrl": "https://api.github.com\\@evil.example"}),
        ("git", {"repositories": ["https://git.example.com/a/b", "https://evil.example/a/b"]}),
        ("http", {"baseUrl": "https://evil.example/api"}),
        ("http", {"baseUrl": " HTTPS://EVIL.example/api"}),
        ("http", {"baseUrl": "https://${HOST}/api"}),
        ("kubernetes", {"server": "https://k8s.example.com"}),
        ("prometheus", {"url": "https://prom.example.com.evil.example"}),
    ],
)
@pytest.mark.parametrize("kept", [{}, {"token": MASK, "secret": MASK}])
def test_another_server_is_not_sent_the_kept_secret(kind, changed, kept):
    source = source_of(kind)
    known = {name for name in SECRETS[kind] if name in ("token", "secret")}
    settings = {name: value for name, value in SECRETS[kind].items() if name not in known}
    given = {**settings, **{name: one for name, one in kept.items() if name in known}, **changed}
    with pytest.raises(InvalidInput, match="is another server than before"):
        update_source(source, actor=ACTOR, settings=given)
    with pytest.raises(InvalidInput, match="is another server than before"):
        try_connection(kind, given, integration=source)
    with pytest.raises(InvalidInput, match="is another server than before"):
        sample_items(kind, given, "repository", integration=source)
    source.refresh_from_db()
    assert open_settings(source.sealed) == {
        name: value for name, value in SECRETS[kind].items() if name in {*known, "webhookSecret"}
    }
    assert not Change.objects.filter(model=Change.INTEGRATION, action="update").exists()


def test_a_secret_that_is_entered_again_goes_along():
    source = source_of("github")
    settings = {"apiUrl": "https://github.example.com/api/v3", "token": "ghp_another"}
    changed = update_source(source, actor=ACTOR, settings=settings)
    # What only proves events is never sent, so it stays.
    assert open_settings(changed.sealed) == {
        "token": "ghp_another",
        "webhookSecret": "signs-events",
    }


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("github", {"apiUrl": "https://api.github.com/"}),
        ("github", {"apiUrl": "https://API.GitHub.com:443"}),
        ("git", {"repositories": ["https://git.example.com/another"]}),
        ("http", {"baseUrl": "https://cmdb.example.com/v2", "headers": {"X-See": "none"}}),
        ("prometheus", {"url": "https://prom.example.com/below", "username": "u"}),
    ],
)
def test_the_same_server_keeps_its_secret(kind, changed):
    source = source_of(kind)
    plain = {n: v for n, v in SECRETS[kind].items() if n not in ("token", "secret")}
    changed = update_source(source, actor=ACTOR, settings={**plain, **changed})
    assert open_settings(changed.sealed) == open_settings(source.sealed)


def test_a_secret_is_not_lent_to_another_kind_of_source(vendor):
    github = source_of("github")
    with pytest.raises(InvalidInput, match="token"):
        try_connection("jira", {"url": vendor.url, "token": MASK}, integration=github)
    assert vendor.calls == []


# A secret that plain settings name


def test_what_a_webhook_names_or_refuses_by_is_no_secret(db):
    create_secret(name="DB", value="hunter2-hunter2", actor=ACTOR)
    webhook = create_webhook(
        {
            "identifier": "w",
            "title": "W",
            "enabled": True,
            "security": {
                "secret": "${DB}",
                "signatureHeaderName": "X-${DB}",
                "signatureAlgorithm": "plain",
                "requestIdentifierPath": '"${DB}"',
            },
        },
        actor=ACTOR,
    )
    with pytest.raises(NotAuthenticated) as refusal:
        live.receive(webhook, {}, {}, b"{}")
    assert "hunter2" not in str(refusal.value)
    event = live.receive(webhook, {"X-${DB}": "hunter2-hunter2"}, {"key": "k", "via": "v"}, b"{}")
    assert "hunter2" not in event.delivery + str(event.headers)
    assert event.query == {"via": "v"}


def test_the_environment_of_jq_holds_no_secret():
    create_secret(name="DB", value="hunter2-hunter2", actor=ACTOR)
    settings = {**SECRETS["kubernetes"], "clusterName": "eu-${DB}"}
    source = create_source(
        identifier="k", kind="kubernetes", settings=settings, mapping={}, actor=ACTOR
    )
    opened = open_source(source, log=lambda level, message: None)
    assert opened.environment() == {"CLUSTER_NAME": "eu-***"}


# What others send


@pytest.mark.parametrize("name", ["sync_12", "mig_3", "evt_abc"])
def test_a_sender_does_not_name_runs_of_ours(name):
    webhook = create_webhook(
        {
            "identifier": "w",
            "title": "W",
            "enabled": True,
            "security": {"requestIdentifierPath": ".body.id"},
        },
        actor=ACTOR,
    )
    event = live.receive(webhook, {}, {}, orjson.dumps({"id": name}))
    assert len(event.delivery) == 64


def test_a_caller_adds_nothing_to_a_run_of_ours():
    make_blueprint("service")
    member = make_api(Role.MEMBER)
    entities = "/v1/blueprints/service/entities"
    assert member.post(entities, {"identifier": "a"}).status_code == 201
    for method, path, body in (
        ("post", entities, [{"identifier": "b"}]),
        ("patch", f"{entities}/a", [{"title": "t"}]),
        ("delete", f"{entities}/a", []),
    ):
        answer = getattr(member, method)(f"{path}?run_id=sync_12", *body)
        assert (answer.status_code, answer.json()["error"]) == (422, "invalid_input")
    assert list(Change.objects.exclude(run="").values_list("run")) == []


def test_a_user_agent_alone_makes_nobody_an_exporter():
    agent = "port-ocean/github/1.0.0/mine/0.30.0"
    make_blueprint("service")
    owner, other = make_api(Role.MEMBER, agent=agent), make_api(Role.MEMBER, agent=agent)
    assert owner.post("/v1/integration", {"installationId": "mine"}).status_code == 200
    exporter = Integration.objects.get()
    entities = "/v1/blueprints/service/entities"
    wrong = {"identifier": "not an identifier"}
    assert other.post(entities, wrong).status_code == 422
    assert not SyncMessage.objects.filter(integration=exporter).exists()
    assert owner.post(entities, wrong).status_code == 422
    assert SyncMessage.objects.filter(integration=exporter).count() == 1
    assert other.patch("/v1/integration/mine", {"title": "ours"}).status_code == 403
    assert other.post("/v1/integration/mine/ingest/logs", {"logs": []}).status_code == 403


@pytest.mark.parametrize(
    "path",
    ["..", "repos/../user", "repos/%2e%2E/user", "a/./b", "a\\..\\b", "..#x", "a/..?b=c", "/../x"],
)
def test_no_path_leaves_the_place_it_begins_at(vendor, path):
    with pytest.raises(UpstreamNotFound, match="leaves the place"):
        Client(base_url=f"{vendor.url}/api/v4").get(path)
    assert vendor.calls == []


def test_paths_with_dots_that_climb_nowhere_are_asked_for(vendor):
    paths = ["/v/.github", "/v/a..b", "/v/...", "/v/x%2F..%2Fy"]
    for path in paths:
        vendor.route(path)(lambda call: {})
    client = Client(base_url=vendor.url)
    for path in paths:
        assert client.get(path).status == 200
    assert client.get("/v/...", params={"q": "../.."}).status == 200


@pytest.mark.parametrize("iid", ["1/../../../user", "1?x=", "x", None, [1]])
def test_an_event_of_gitlab_asks_for_nothing_else(vendor, iid):
    vendor.route("/api/v4/projects/5")(lambda call: {"id": 5, "path_with_namespace": "a/b"})
    connection = Connection({"url": vendor.url, "token": "t"}, Client(), lambda *_: None)
    body = {"object_kind": "issue", "project": {"id": 5}, "object_attributes": {"iid": iid}}
    with pytest.raises(InvalidInput, match="The event issue lacks"):
        list(GitLab().changes(connection, Event({}, {}, orjson.dumps(body)), {"issue": [{}]}))
    assert [call.path for call in vendor.calls if call.path != "/api/v4/projects/5"] == []


def test_a_secret_of_a_cluster_is_listed_without_what_it_holds(vendor):
    applied = "kubectl.kubernetes.io/last-applied-configuration"
    held = {"data": {"password": "aHVudGVyMg=="}, "stringData": {"password": "hunter2"}}
    annotations = {applied: orjson.dumps(held).decode(), "team": "a"}
    item = {**held, "metadata": {"name": "db", "annotations": annotations}}
    vendor.route("/api/v1/secrets")(lambda call: {"kind": "SecretList", "items": [item]})
    settings = {"clusterName": "c", "server": vendor.url, "token": "t"}
    kind = Kubernetes()
    [page] = kind.fetch(
        Connection(settings, Client(), lambda *_: None), kind.resource("v1/secrets"), {}
    )
    assert page.items[0]["metadata"] == {"name": "db", "annotations": {"team": "a"}}
    assert "hunter2" not in str(page.items)
    assert "aHVudGVyMg" not in str(masked({"kind": "Secret", **item}))


def test_a_secret_is_hidden_however_it_is_spelled():
    secret = 'p/a:"s\n&s é'
    said = f"{secret} {json.dumps(secret)} {quote(secret, safe='')} {quote_plus(secret)}"
    assert mask(said, [secret]) == '*** "***" *** ***'


def test_the_secrets_of_a_connection_stay_hidden_when_a_kind_adds_its_own(vendor):
    vendor.route("/first/second")(lambda call: Answer(500, b"of first-secret, second-secret"))
    client = Client(base_url=vendor.url, secrets=["first-secret"], retries=0)
    with pytest.raises(UpstreamUnavailable) as failure:
        client.with_(secrets=["second-secret"]).get("/first/second")
    assert "of ***, ***" in str(failure.value)


def test_viewers_see_nothing_of_what_sources_could_not_write():
    source = source_of("github")
    SyncMessage.objects.create(
        integration=source, level="error", blueprint="b", identifier="e", message="Raw words"
    )
    for role, count in ((Role.VIEWER, 0), (Role.MEMBER, 1)):
        for query in ("", "?status=FAILURE"):
            [*found] = make_api(role).get(f"/v1/audit-log{query}").json()["audits"]
            assert len([one for one in found if one["status"] == "FAILURE"]) == count


def test_raw_objects_of_exporters_are_kept_without_their_secrets():
    ocean = make_api(Role.ADMIN)
    assert ocean.post("/v1/integration", {"installationId": "mine"}).status_code == 200
    secret = {"kind": "Secret", "data": {"a": "aHVudGVyMg=="}, "token": "hunter2", "name": "n"}
    path = "/v1/integration/mine/kinds/secret/examples"
    assert ocean.post(path, {"examples": [secret]}).status_code == 200
    [kept] = KindExample.objects.values_list("data", flat=True)
    assert kept == {"kind": "Secret", "data": {"a": "***"}, "token": "***", "name": "n"}


# Files of this server


def test_links_out_of_the_opened_folder_lead_nowhere(tmp_path, settings):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    text = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {{name: {}}}\n{}"
    spec = "spec: {type: service, lifecycle: production, owner: group:default/x}\n"
    for folder, name in ((inside, "good"), (outside, "hidden")):
        (folder / "catalog-info.yaml").write_text(text.format(name, spec))
    (outside / "words.txt").write_text("hunter2")
    os.symlink(outside / "catalog-info.yaml", inside / "linked.yaml")
    os.symlink(outside, inside / "folder")
    location = "apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: {name: l}\n"
    targets = (
        "spec: {targets: [./linked.yaml, ./folder/catalog-info.yaml, ../out/catalog-info.yaml]}\n"
    )
    (inside / "more.yaml").write_text(location + targets)
    described = (
        "spec: {type: openapi, lifecycle: p, owner: x, definition: {$text: ./folder/words.txt}}\n"
    )
    api = text.format("api", described).replace("Component", "API")
    (inside / "api.yaml").write_text(api)
    settings.IDP_FILES = [str(inside)]
    said = []
    context = ImportContext(
        actor=Actor("integration", "files"),
        run="",
        is_dry_run=False,
        saw=lambda batch: None,
        report=lambda level, message, **rest: said.append(message),
    )
    connection = Connection({"paths": [str(inside)]}, Client(), lambda *_: None)
    BackstageFiles().import_entities(connection, context)
    assert "hidden" not in Entity.objects.values_list("identifier", flat=True)
    assert "hunter2" not in str(list(Entity.objects.values_list("properties", "descriptor")))


@pytest.mark.parametrize("path", ["/", "/etc/passwd", "{in}/../out", "{in}/folder", "{in}-more"])
def test_only_opened_folders_are_read(tmp_path, settings, path):
    for name in ("in", "out", "in-more"):
        (tmp_path / name).mkdir()
    os.symlink(tmp_path / "out", tmp_path / "in" / "folder")
    settings.IDP_FILES = [str(tmp_path / "in")]
    place = path.replace("{in}", str(tmp_path / "in"))
    assert Path(place).exists()
    with pytest.raises(InvalidInput, match="outside the folders"):
        BackstageFiles().check(Connection({"paths": [place]}, Client(), lambda *_: None))


# Too much of it


def test_a_mapping_has_an_end():
    resource = {
        "kind": "repository",
        "port": {"entity": {"mappings": {"identifier": ".a", "blueprint": '"b"'}}},
    }
    with pytest.raises(InvalidMapping, match="at most 1,000 resources"):
        parse_mapping({"resources": [resource] * 1001})
    mappings = resource["port"]["entity"]["mappings"]
    mappings["properties"] = {f"p{n}": f".p{n}" for n in range(6000)}
    with pytest.raises(InvalidMapping, match="at most 5,000"):
        parse_mapping({"resources": [resource]})


def test_a_path_pattern_does_not_take_for_ever():
    assert glob("**/*a*.yaml").fullmatch("a/b/cab.yaml")
    assert not glob("*a*").fullmatch("a/b")
    began_at = time.process_time()
    for pattern, path in (
        ("*a" * 25, "a" * 80 + "b"),
        ("*[ab]" * 25 + "[cd]", "a" * 80 + "e"),
        ("**a" * 20 + "/c?", "a" * 80 + "/c"),
        ("*{a,aa}" * 20 + "z", "a" * 80 + "zb"),
    ):
        assert not glob(pattern).fullmatch(path)
    assert time.process_time() - began_at < 1


# Who may


SOURCES = [
    ("get", "/v1/organization/secrets", None, Role.ADMIN),
    ("post", "/v1/organization/secrets", {"secretName": "N", "secretValue": "v"}, Role.ADMIN),
    ("get", "/v1/apps", None, Role.ADMIN),
    ("post", "/v1/webhooks", {"title": "t", "enabled": True, "mappings": []}, Role.ADMIN),
    ("get", "/v1/webhooks", None, Role.MEMBER),
    ("get", "/v1/integration", None, Role.MEMBER),
    ("get", "/v1/integration/our-github", None, Role.MEMBER),
    ("get", "/v1/integration/our-github/logs", None, Role.MEMBER),
    ("patch", "/v1/integration/our-github", {"title": "x"}, Role.ADMIN),
    ("patch", "/v1/integration/our-github", {}, Role.ADMIN),
    ("delete", "/v1/integration/our-github", None, Role.ADMIN),
    ("post", "/v1/rotate-credentials/a%40b.example", {}, Role.ADMIN),
    ("patch", "/v1/users/a%40b.example", {"roles": ["Admin"]}, Role.ADMIN),
]


@pytest.mark.parametrize(("method", "path", "body", "needed"), SOURCES)
def test_roles_below_what_is_needed_are_refused(method, path, body, needed):
    source = source_of("github")
    below = [Role.VIEWER] if needed is Role.MEMBER else [Role.VIEWER, Role.MEMBER]
    for role in below:
        api = make_api(role)
        answer = getattr(api, method)(path, *([] if body is None else [body]))
        assert answer.status_code == 403, (role, path, answer.content)
    assert Browser().generic(method.upper(), path).status_code == 401
    assert Integration.objects.get(pk=source.pk).updated_at == source.updated_at


@pytest.mark.parametrize(
    "body",
    [
        {"settings": {"apiUrl": "https://evil.example"}},
        {"sealed": None},
        {"webhook_key": "known"},
        {"runs_here": False},
        {"kind": "webhook"},
        {"title": "x", "installationAppType": "git"},
        {"created_by": "me"},
    ],
)
def test_a_client_changes_no_more_of_a_source_than_title_and_mapping(body):
    source = source_of("github")
    assert make_api(Role.ADMIN).patch("/v1/integration/our-github", body).status_code == 409
    again = Integration.objects.get(pk=source.pk)
    assert (again.settings, again.webhook_key, again.kind, again.runs_here, again.title) == (
        source.settings,
        source.webhook_key,
        "github",
        True,
        "",
    )
