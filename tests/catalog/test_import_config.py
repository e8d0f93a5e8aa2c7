"""import_config: what configuration of other portals becomes, and what is said of each line."""

import base64
import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from catalog.ingest.locations import registering
from catalog.kernel import crypto
from catalog.kernel.actors import Actor, Role
from catalog.models import Change, Integration, Location, ProxyEndpoint, Secret
from catalog.services import catalog_settings, secrets
from idp.organization import get_organization
from tests.factories import make_browser, make_user

SEED = Path(__file__).resolve().parents[3] / "shared" / "seed"
VARIABLES = ("GITHUB_TOKEN", "PAGERDUTY_TOKEN", "WEBHOOK_SECRET", "AWS_REGION")
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in (*VARIABLES, "AWS_DEFAULT_REGION", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(tmp_path):
    """Writes texts into files and imports them; returns the report."""

    def imported(*texts, **options):
        paths = []
        for number, text in enumerate(texts):
            path = tmp_path / f"config{number}.yaml"
            path.write_text(text)
            paths.append(str(path))
        return run(*paths, **options)

    return imported


def run(*paths, **options):
    out = StringIO()
    try:
        call_command("import_config", *paths, format="json", stdout=out, **options)
    except CommandError:
        if not out.getvalue():
            raise
    return json.loads(out.getvalue())


def seeds(*names):
    if not SEED.is_dir():
        pytest.skip(f"no examples: {SEED} is not there")
    return [str(SEED / name) for name in names]


def said(report):
    """{key: (status, message)}"""
    return {one["key"]: (one["status"], one["message"]) for one in report["lines"]}


def source(identifier):
    row = Integration.objects.get(identifier=identifier)
    return row, {**row.settings, **secrets.open_settings(row.sealed)}


def test_the_examples_of_backstage_work_as_written(db, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_unspeakable")
    paths = seeds("app-config.yaml", "app-config.kubernetes.yaml")
    report = run(*paths)
    assert report["stored"]
    assert report["counts"] == {"taken": 14, "taken in part": 1, "has no meaning here": 3}
    assert [one["line"] for one in report["lines"]] == [
        2, 3, 7, 8, 11, 12, 13, 14, 15, 18, 19, 23, 25, 29, 30, 33, 3, 6,
    ]  # fmt: skip
    assert report["unset"] == ["PAGERDUTY_TOKEN"]
    assert "unspeakable" not in json.dumps(report)
    words = said(report)
    assert words["integrations.github[0].token"] == (
        "taken",
        "token of source github, from secret GITHUB_TOKEN",
    )
    assert words['proxy["/pagerduty/api"].headers.Authorization'][1].endswith(
        "from secret PAGERDUTY_TOKEN, which is not set: add it under Secrets"
    )
    row, settings = source("github")
    assert settings == {"organizations": ["my-org"], "token": "${GITHUB_TOKEN}"}
    assert (row.is_enabled, row.schedule) == (True, "")
    assert crypto.open_(Secret.objects.get().sealed) == "ghp_unspeakable"
    [location] = Location.objects.all()
    assert (location.place, location.provider) == (
        "url:https://github.com/org/repo/catalog-info.yaml",
        "configured",
    )
    current = catalog_settings.current()
    assert current.rules == [{"allow": ["Component", "API", "Resource", "User", "Group"]}]
    assert current.kubernetes == {"serviceLocatorMethod": "multiTenant"}
    [endpoint] = ProxyEndpoint.objects.all()
    assert (endpoint.path, endpoint.target, endpoint.headers) == (
        "/pagerduty/api",
        "https://api.pagerduty.com",
        {"Authorization": "Token token=${PAGERDUTY_TOKEN}"},
    )
    cluster, settings = source("kubernetes-kubernetes-cluster")
    assert (cluster.is_enabled, settings["login"]) == (False, "in-cluster")
    assert get_organization().settings["portalTitle"] == "My Company Developer Portal"

    before = Change.objects.count()
    again = run(*paths)
    assert (again["changes"], Change.objects.count()) == ([], before)


def test_the_example_of_cortex_works_as_written(db, monkeypatch):
    monkeypatch.setenv("WEBHOOK_SECRET", "whsec")
    [path] = seeds("cortex-config.yaml")
    report = run(path)
    words = said(report)
    assert words["storage.type"][0] == words["storage.tableName"][0] == "has no meaning here"
    assert words["provider"][0] == "taken in part"
    assert report["unset"] == ["GITHUB_TOKEN"]
    assert source("github")[1] == {
        "token": "${GITHUB_TOKEN}",
        "webhookSecret": "${WEBHOOK_SECRET}",
    }
    assert source("kubernetes")[1] == {"clusterName": "production", "login": "in-cluster"}
    assert source("prometheus")[1] == {"url": "http://prometheus:9090"}
    aws, settings = source("aws")
    assert (aws.is_enabled, settings) == (
        False,
        {"login": "environment", "regions": ["us-east-1"]},
    )
    before = Change.objects.count()
    assert run(path)["changes"] == []
    assert Change.objects.count() == before


def test_providers_of_cortex_can_be_off(db, config):
    text = "providers: {{github: {{enabled: {}, token: t-in-file}}, newrelic: {{enabled: true}}}}\n"
    report = config(text.format("false"))
    assert not Integration.objects.exists()
    assert said(report)["providers.github.enabled"] == (
        "taken",
        "turned off, so no source is made",
    )
    assert said(report)["providers.newrelic.enabled"][0] == "not supported"
    config(text.format("true"))
    assert source("github")[1]["token"] == "t-in-file"
    config(text.format("false"))
    assert source("github")[0].is_enabled is False


def test_a_dry_run_reports_the_same_and_stores_nothing(db, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "t")
    paths = seeds("app-config.yaml")
    before = Change.objects.count()
    dry = run(*paths, dry_run=True)
    assert Change.objects.count() == before
    for model in (Secret, Integration, Location, ProxyEndpoint):
        assert not model.objects.exists()
    wet = run(*paths)
    assert (dry["lines"], dry["changes"]) == (wet["lines"], wet["changes"])
    assert (dry["stored"], wet["stored"]) == (False, True)


def test_one_refusal_keeps_everything_out_and_all_are_told(db, config):
    report = config(
        "catalog:\n  locations:\n    - {type: url, target: 'https://x.example/c.yaml'}\n"
        "    - {type: url}\n  orphanStrategy: maybe\n"
        "proxy:\n  endpoints:\n    '/a': {headers: {Token: in-clear}}\n"
    )
    assert not report["stored"]
    assert [(one["line"], one["key"]) for one in report["lines"] if one["status"] == "refused"] == [
        (4, "catalog.locations[1].type"),
        (5, "catalog.orphanStrategy"),
        (8, 'proxy.endpoints["/a"].headers.Token'),
    ]
    assert said(report)["catalog.orphanStrategy"][1] == (
        "catalog.orphanStrategy: it is text; expected keep or delete"
    )
    assert "in-clear" not in json.dumps(report)
    assert not Location.objects.exists()


def test_sources_of_github_and_gitlab(db, config):
    report = config(
        """
integrations:
  github:
    - host: github.com
      apps:
        - {appId: 7, privateKey: "key-in-file", webhookSecret: "w", clientId: c,
           allowedInstallationOwners: [acme]}
    - {host: ghe.example.com, token: "g-1", apiBaseUrl: "https://ghe.example.com/api/v3"}
  gitlab:
    - {host: git.example.com, token: "l-1"}
  gerrit:
    - {host: gerrit.example.com}
"""
    )
    assert report["stored"]
    assert source("github")[1] == {
        "appId": "7",
        "privateKey": "key-in-file",
        "webhookSecret": "w",
        "organizations": ["acme"],
    }
    assert source("github-ghe.example.com")[1] == {
        "apiUrl": "https://ghe.example.com/api/v3",
        "token": "g-1",
    }
    assert source("gitlab-git.example.com")[1] == {"url": "https://git.example.com", "token": "l-1"}
    assert said(report)["integrations.github[0].apps[0].clientId"][0] == "has no meaning here"
    assert said(report)["integrations.gerrit[0].host"][0] == "not supported"
    assert "key-in-file" not in json.dumps(report)


def test_discovery_becomes_sources(db, config):
    report = config(
        """
integrations: {github: [{host: github.com, token: t}]}
catalog:
  providers:
    github:
      acme:
        organization: acme
        catalogPath: /**/catalog-info.yaml
        filters: {branch: main, repository: "svc-.*", topic: {include: [live]}}
        schedule: {frequency: {minutes: 35}, timeout: PT3M}
    githubOrg:
      - {id: people, githubUrl: "https://github.com", orgs: [acme]}
    gitlab:
      ours: {host: git.example.com, group: platform, projectPattern: "/^a/", orgEnabled: true}
    okta: {x: 1}
"""
    )
    assert report["stored"], report["lines"]
    row, settings = source("github-discovery-acme")
    assert (row.kind, row.schedule) == ("github-discovery", "every 35m")
    assert settings == {
        "source": "github",
        "organizations": ["acme"],
        "catalogPath": "/**/catalog-info.yaml",
        "branch": "main",
        "repository": "svc-.*",
        "topicInclude": ["live"],
    }
    people = source("github-org-people")[1]
    assert (people["organizations"], people["users"], people["teams"]) == (["acme"], True, True)
    assert people["descriptors"] is False
    assert source("gitlab-discovery-ours")[1] == {
        "source": "gitlab-git.example.com",
        "groups": ["platform"],
        "projectPattern": "^a",
        "users": True,
        "teams": True,
    }
    assert source("gitlab-git.example.com")[1] == {"url": "https://git.example.com"}
    words = said(report)
    assert words["catalog.providers.github.acme.schedule.timeout"][0] == "has no meaning here"
    assert words["catalog.providers.okta.x"][0] == "not supported"


def test_clusters_become_sources(db, config, monkeypatch):
    monkeypatch.setenv("K8S_TOKEN", "k-1")
    authority = base64.b64encode(PEM.encode()).decode()
    report = config(
        f"""
kubernetes:
  clusterLocatorMethods:
    - type: config
      clusters:
        - {{url: "https://k8s.example.com", name: prod, authProvider: serviceAccount,
           serviceAccountToken: "${{K8S_TOKEN}}", caData: {authority}, skipTLSVerify: true}}
        - {{url: "https://gke.example.com", name: gke, authProvider: google}}
    - {{type: gke, projectId: p}}
"""
    )
    assert report["stored"], report["lines"]
    prod, settings = source("kubernetes-prod")
    assert settings == {
        "clusterName": "prod",
        "login": "token",
        "server": "https://k8s.example.com",
        "token": "${K8S_TOKEN}",
        "certificateAuthority": PEM,
    }
    assert prod.is_enabled
    assert not source("kubernetes-gke")[0].is_enabled
    words = said(report)
    first = "kubernetes.clusterLocatorMethods[0].clusters[0]"
    assert words[f"{first}.skipTLSVerify"][0] == "not supported"
    assert words["kubernetes.clusterLocatorMethods[1].projectId"][0] == "not supported"


def test_proxies_keep_their_secrets_apart(db, config, settings):
    report = config(
        """
proxy:
  skipInvalidProxies: true
  endpoints:
    '/plain': https://example.com
    /grafana/api/:
      target: https://grafana.example.com
      changeOrigin: false
      headers: {Authorization: "Bearer literal-secret", X-Team: a}
      allowedMethods: [GET, post]
      allowedHeaders: [X-Trace]
      pathRewrite: {"^/api/proxy/grafana/api": /v1}
      credentials: forward
      onError: x
    /inside: http://10.0.0.1
    /none: {target: "${NOWHERE}"}
  /old: https://old.example.com
"""
    )
    assert report["stored"], report["lines"]
    assert list(ProxyEndpoint.objects.values_list("path", flat=True)) == ["/grafana/api", "/plain"]
    row = ProxyEndpoint.objects.get(path="/grafana/api")
    [(name, reference), team] = row.headers.items()
    assert (name, team) == ("Authorization", ("X-Team", "a"))
    secret = Secret.objects.get()
    assert reference == f"${{{secret.name}}}"
    assert crypto.open_(secret.sealed) == "Bearer literal-secret"
    assert (row.methods, row.allowed_headers) == (["GET", "POST"], ["X-Trace"])
    assert (row.change_origin, row.credentials) == (False, "forward")
    assert row.path_rewrite == {"^/api/proxy/grafana/api": "/v1"}
    words = said(report)
    for key in ('["/inside"]', '["/none"].target', '["/grafana/api/"].onError'):
        assert words[f"proxy.endpoints{key}"][0] == "not supported"
    assert words['proxy["/old"]'][0] == "has no meaning here"
    assert "literal-secret" not in json.dumps(report)


def test_how_the_catalogue_is_treated(db, config, tmp_path, settings):
    settings.IDP_FILES = [str(tmp_path)]
    examples = tmp_path / "examples"
    examples.mkdir()
    (examples / "all.yaml").write_text("")
    text = """
organization: {name: ACME}
backend:
  reading: {allow: [{host: "*.example.com", paths: [/a]}]}
  database: {client: pg, connection: {password: hunter2}}
  auth:
    externalAccess:
      - {type: static, options: {token: static-token, subject: ci}}
      - {type: static, options: {token: short, subject: cd}}
      - {type: static, options: {token: "${NO_TOKEN}", subject: old}}
      - {type: jwks, options: {url: "https://login.example/jwks"}}
auth: {providers: {github: {development: {clientSecret: oauth-secret}}, guest: {}}}
catalog:
  readonly: true
  orphanStrategy: keep
  processingInterval: {minutes: 5}
  rules: [{allow: [{kind: Resource, spec.type: db}], locations: [{type: url, pattern: "https://x/**"}]}]
  locations:
    - {type: file, target: ../../examples/all.yaml, rules: [{allow: [User]}]}
    - {type: file, target: ./none.yaml}
    - {type: url, target: "${NOWHERE}/c.yaml"}
    - {type: github-discovery, target: "https://github.com/acme"}
something: {else: 1}
"""
    report = config(text)
    assert report["stored"], report["lines"]
    current = catalog_settings.current()
    assert (current.is_readonly, current.orphan_strategy) == (True, "keep")
    assert current.refresh_interval_s == 300
    assert current.reading_allow == [{"host": "*.example.com", "paths": ["/a"]}]
    assert get_organization().name == "ACME"
    found = {one.target: one.rules for one in Location.objects.all()}
    assert found == {
        str(examples / "all.yaml"): [{"allow": ["User"]}],
        str(tmp_path / "none.yaml"): [],
    }
    words = said(report)
    assert words["catalog.locations[2].target"] == ("not supported", "left out: NOWHERE is not set")
    assert words["catalog.locations[3].target"][0] == "not supported"
    assert words["something.else"] == ("not supported", "nothing here reads it")
    key = "auth.providers.github.development.clientSecret"
    assert "SOCIALACCOUNT_PROVIDERS" in words[key][1]
    assert [
        words[f"backend.auth.externalAccess[{at}].options.{key}"]
        for at, key in enumerate(["token", "token", "token", "url"])
    ] == [
        ("taken", 'the API client "ci" with the role Member, which admins can change'),
        (
            "not supported",
            "left out: The client secret is too short; expected at least 12 characters",
        ),
        ("not supported", "left out: NO_TOKEN is not set"),
        (
            "not supported",
            "make an API client in the administration: its id and secret buy tokens",
        ),
    ]
    bearer = {"Authorization": "Bearer static-token"}
    assert Client().get("/api/catalog/entities", headers=bearer).status_code == 200
    bearer = {"Authorization": "Bearer short"}
    assert Client().get("/api/catalog/entities", headers=bearer).status_code == 401
    told = json.dumps(report)
    assert not [one for one in ("hunter2", "static-token", "oauth-secret") if one in told]
    assert config(text)["changes"] == []

    config(text.replace("[User]", "[Group]"))
    assert Location.objects.get(target=str(examples / "all.yaml")).rules == [{"allow": ["Group"]}]


def test_locations_that_are_gone_stay_until_they_are_pruned(db, config):
    first = "catalog: {locations: [{type: url, target: 'https://x.example/a.yaml'}]}\n"
    second = first.replace("a.yaml", "b.yaml")
    by_hand = "https://x.example/own.yaml"
    registering.register("url", by_hand, actor=Actor.system("t"), refresh_now=False)
    config(first)
    assert config(second)["leftovers"] == ["url:https://x.example/a.yaml"]
    assert Location.objects.count() == 3
    assert config(second, prune=True)["leftovers"] == []
    assert sorted(Location.objects.values_list("target", flat=True)) == [
        "https://x.example/b.yaml",
        by_hand,
    ]


def test_later_files_count_and_the_report_says_so(db, config):
    report = config("organization: {name: One}\n", "organization: {name: Two}\n")
    first, second = report["lines"]
    assert (first["status"], first["message"].endswith("config1.yaml:1 counts instead")) == (
        "has no meaning here",
        True,
    )
    assert (second["status"], get_organization().name) == ("taken", "Two")


def test_what_people_set_beside_stays(db, config):
    text = "integrations: {github: [{host: github.com, token: a}]}\n"
    config(text)
    row = Integration.objects.get()
    row.settings, row.schedule = {"skipForks": True}, "every 1h"
    row.save()
    config(text.replace("token: a", "token: b"))
    row, settings = source("github")
    assert settings == {"skipForks": True, "token": "b"}
    assert row.schedule == "every 1h"


def test_who_imports_and_what_cannot_be_read(db, config, tmp_path):
    admin, member = make_user(role=Role.ADMIN), make_user()
    config("organization: {name: A}\n", user=admin.username)
    assert Change.objects.get(model="organization").actor == admin.email
    with pytest.raises(CommandError, match="takes an administrator"):
        config("organization: {name: B}\n", user=member.username)
    with pytest.raises(CommandError, match=r"none\.yaml"):
        run(str(tmp_path / "none.yaml"))
    with pytest.raises(CommandError, match=r"config0\.yaml:1"):
        config("a: [\n")


def test_the_text_report_ends_with_what_is_written(db, tmp_path):
    path = tmp_path / "app-config.yaml"
    path.write_text("organization: {name: A}\ntechdocs: {builder: local}\n")
    out = StringIO()
    call_command("import_config", str(path), dry_run=True, stdout=out)
    text = out.getvalue()
    assert "techdocs.builder   has no meaning here  documentation is always built here" in text
    assert text.endswith("1 taken, 1 has no meaning here\nDry run: nothing was stored.\n")


def test_upload_preview_and_import_in_the_admin(db, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "of the server itself")
    browser = make_browser(role=Role.ADMIN)
    url = "/admin/catalog/integration/configuration/"
    text = (
        b"integrations: {github: [{host: github.com, token: '${GITHUB_TOKEN}'}]}\n"
        b"proxy: {'/a': {target: 'https://a.example', headers: {Token: '${A}'}}}\n"
    )
    files = [SimpleUploadedFile("app-config.yaml", text)]
    preview = browser.post(url, {"chosen": files, "variables": "A=hush-hush\n# no\n"})
    assert preview.status_code == 200
    assert b"token of source github, from secret GITHUB_TOKEN, which is not set" in preview.content
    assert b"hush-hush" not in preview.content
    assert not Integration.objects.exists()
    done = browser.post(url, {"_import": preview.context["token"]})
    assert done.context["report"].is_stored
    assert [one.name for one in Secret.objects.all()] == ["A"]
    assert source("github")[1]["token"] == "${GITHUB_TOKEN}"
    gone = browser.post(url, {"_import": preview.context["token"]})
    assert (gone.status_code, gone["location"]) == (302, url)
    assert browser.post(url, {"variables": "x"}).status_code == 200
    assert make_browser().get(url).status_code in (302, 403)
