"""Real software templates run to the end, published to nowhere, as far as they can."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actions.scaffolder import registry
from actions.scaffolder.dry_running import dry_run
from actions.scaffolder.origin import PlacedOrigin, skeleton_of
from actions.scaffolder.registry import TemplateAction
from actions.scaffolder.template import read_template
from catalog.kernel.actors import Insider
from catalog.kernel.errors import InvalidInput
from catalog.kernel.yaml_reader import load_document
from tests.actions.scaffolding import run, step, template

pytestmark = pytest.mark.django_db

VALUES = {
    "name": "pay-service",
    "component_id": "pay-service",
    "appName": "pay-service",
    "componentName": "pay-service",
    "repoName": "pay-service",
    "repositoryName": "pay-service",
    "systemName": "payments",
    "systemTitle": "Payments",
    "description": "Takes payments & \"pays\" them <out>",
    "owner": "group:default/team-a",
    "componentOwner": "group:default/team-a",
    "system": "system:default/payments",
    "repoUrl": "github.com?owner=acme&repo=pay-service",
    "java_package_name": "com.acme.pay",
    "orgName": "acme",
    "githubOrganization": "acme",
    "imageUrl": "quay.io/acme/pay",
    "namespace": "pay",
    "businessUnit": "retail-banking-ny",
    "topics": ["orders", "payments"],
    "mode": "dark",
    "rfcNumber": "042",
    "rfcTitle": "Use \"one\" gateway",
    "abstract": "Why we should.",
    "branchName": "add-pay",
    "targetPath": "services/pay",
    "assignee": "ann",
    "config": {"region": "eu-central-1", "size": 3},
}  # fmt: skip

PUBLISHED = {
    "remoteUrl": "https://github.com/acme/pay-service",
    "repoContentsUrl": "https://github.com/acme/pay-service/blob/main",
    "commitHash": "0" * 40,
    "pullRequestNumber": 7,
    "targetBranchName": "main",
    "mergeRequestUrl": "https://gitlab.com/acme/pay-service/-/merge_requests/7",
    "entityRef": "component:default/pay-service",
}

# What the files of each come to; Nunjucks itself (3.2.4) gives the same.
TEMPLATES = {
    "backstage/create-app-example/template": "2 742167061fc4a024",
    "backstage/demo-template": "4 540b7aeabfb952db",
    "backstage/rhdh-templates/templates/github/backstage-system": "3 a06309afdf8c0d40",
    "backstage/rhdh-templates/templates/github/go-backend": "9 fa0850dbf975bf49",
    "backstage/rhdh-templates/templates/github/register-component": "1 6f30c759745baf9d",
    "backstage/rhdh-templates/templates/github/techdocs": "6 1e8b45ac98cdcbf5",
    "backstage/software-templates/docs-template": "3 96d7c4558623a753",
    "backstage/software-templates/docs-template-cookiecutter": "3 96d7c4558623a753",
    "backstage/software-templates/gitlab-merge-request": "1 9a42ccc407ca2086",
    "backstage/software-templates/pull-request": "2 fc7ac36abbe052b3",
    "backstage/software-templates/springboot-grpc-template": "12 a1cd5638d1f9f5c6",
    "scaffolder/RoadieHQ__software-templates__add-codeowners": "1 9595f31098325065",
    "scaffolder/RoadieHQ__software-templates__create-rfc": "1 2a60dcd8581870f6",
    "scaffolder/backstage__software-templates__docs-template": "3 96d7c4558623a753",
    "scaffolder/backstage__software-templates__springboot-grpc-template": "8 d9b6a041f6efe0b6",
    "scaffolder/cnoe-io__stacks__app-with-bucket": "9 fb22c3286e372a14",
    "scaffolder/hguerrero__kafka-selfservice-backstage__consume-kafka-topics": "6 2c8cb7d263489389",
    "scaffolder/kmryst__idp-golden-path__service-baseline": "24 a9870320ad83771a",
}  # fmt: skip

# Actions of these that nobody brings, with which they cannot be run here.
UNKNOWN = {"publish:gitea", "cnoe:create-argocd-app", "notification:send"}


class Origin(PlacedOrigin):
    """Beside the template; what is asked of the internet is a folder of ours instead."""

    elsewhere: Path

    def folder(self, url):
        if url.startswith("https://"):
            return skeleton_of(self.elsewhere, self.elsewhere)
        return super().folder(url)


def values_of(found) -> dict[str, object]:
    """What somebody would fill in: known names, else defaults and first choices."""
    values = {}
    for name, one in [pair for page in found.pages for pair in _properties(page)]:
        if name in VALUES:
            values[name] = VALUES[name]
        elif "default" in one:
            values.setdefault(name, one["default"])
        elif one.get("enum"):
            values.setdefault(name, one["enum"][0])
    return values


def _properties(schema) -> Iterator[tuple[str, dict]]:
    yield from (schema.get("properties") or {}).items()
    for part in (schema.get("dependencies") or {}).values():
        for one in part.get("oneOf") or () if isinstance(part, dict) else ():
            yield from _properties(one)
    for one in schema.get("allOf") or ():
        yield from _properties(one.get("then") or {})


@pytest.fixture
def publishing(monkeypatch):
    """Whatever publishes keeps its input, once that has been checked. Gives the list of these."""
    calls = []

    def stand_in(action: TemplateAction) -> TemplateAction:
        def publish(context):
            calls.append((action.id, dict(context.input)))
            return PUBLISHED

        return replace(action, run=publish)

    lasting = [one for one in registry.template_actions.values() if not one.supports_dry_run]
    anything = [TemplateAction(id=name, description="", input={}, run=print) for name in UNKNOWN]
    for one in [*lasting, *anything]:
        monkeypatch.setitem(registry.template_actions, one.id, stand_in(one))
    return calls


def digest(files: dict[str, str]) -> str:
    told = hashlib.blake2b(digest_size=8)
    for path, text in sorted(files.items()):
        told.update(f"{path}\0{text}\0".encode())
    return f"{len(files)} {told.hexdigest()}"


def read(test_data, name):
    file = test_data / f"{name}/template.yaml"
    return file, load_document(file.read_text(), name=str(file))


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_real_template(test_data, tmp_path, settings, publishing, name):
    settings.IDP_FILES = [str(test_data)]
    file, document = read(test_data, name)
    folders = [file.parent / one for one in ("skeleton", "template")]
    Origin.elsewhere = next((one for one in folders if one.exists()), file.parent / "none")
    values = values_of(read_template(document))
    with Origin(f"file:{file.parent}", own_file=f"file:{file}") as origin:
        ran = run(tmp_path, document, origin=origin, **values)
    assert ran.error == "", ran.said.lines
    assert "failed" not in ran.said.states.values()
    assert digest(ran.files) == TEMPLATES[name]
    assert publishing
    links = ran.result.output.get("links", [])
    assert all(one.get("url") or one.get("entityRef") for one in links)


def test_real_templates_that_cannot_run(test_data, tmp_path, settings, publishing):
    """One in the older form, and one whose skeletons were left elsewhere."""
    settings.IDP_FILES = [str(test_data)]
    old = "scaffolder/RoadieHQ__software-templates__create-aws-serverless-backend"
    with pytest.raises(InvalidInput, match="older form of templates"):
        read_template(read(test_data, old)[1])
    redhat = "redhat-developer__red-hat-developer-hub-software-templates__go-backend"
    file, document = read(test_data, f"scaffolder/{redhat}")
    values = values_of(read_template(document))
    with Origin(f"file:{file.parent}", own_file=f"file:{file}") as origin:
        ran = run(tmp_path, document, origin=origin, **values)
    assert ran.result.failed_step == "Generating the CI Component"
    assert "lies outside the folders that may be read" in ran.error


def test_unknown_actions_of_real_templates_are_told(test_data, tmp_path):
    for name, action in (
        ("scaffolder/cnoe-io__stacks__app-with-bucket", "publish:gitea"),
        ("backstage/demo-template", "notification:send"),
    ):
        if action in registry.template_actions:
            continue
        (tmp_path / action).mkdir()
        ran = run(tmp_path / action, read(test_data, name)[1])
        assert f"Template action with ID '{action}' is not registered" in ran.error
        assert ran.files == {}


# --- trying out -------------------------------------------------------------------------------


def contents_of(folder: Path) -> dict[str, bytes]:
    return {
        one.relative_to(folder).as_posix(): one.read_bytes()
        for one in folder.rglob("*")
        if one.is_file()
    }


def test_a_real_template_is_tried_out(test_data):
    file, document = read(test_data, "backstage/software-templates/docs-template")
    values = values_of(read_template(document))
    tried = dry_run(
        document, values, {"token": "tok-123456"}, contents_of(file.parent), principal=Insider()
    )
    assert tried.error is None
    made = {one.path: one.content.decode() for one in tried.files}
    assert digest(made) == TEMPLATES["backstage/software-templates/docs-template"]
    assert [one["status"] for one in tried.steps] == ["completed", "skipped", "skipped"]
    assert tried.output == {
        "links": [
            {"title": "Repository", "url": "<example>"},
            {"title": "Open in catalog", "icon": "catalog", "entityRef": "<example>"},
        ]
    }
    lines = [one["message"] for one in tried.log]
    assert "Skipping because publish:github does not support dry-run" in lines
    assert lines[0] == "Starting up task with 3 steps"
    shown = "Running publish:github in dry-run mode with inputs (secrets redacted): "
    assert any(line.startswith(shown) for line in lines)


def test_trying_out_shows_what_would_fail():
    document = template(
        step("fetch:template", url="./skeleton", values={"x": "${{ secrets.token }}"}),
        step("publish:github", repoUrl="github.com?owner=a&repo=b", nosuch=1),
        step("debug:log", message="never"),
    )
    tried = dry_run(
        document,
        {},
        {"token": "tok-123456"},
        {"skeleton/a": b"${{ values.x }}", "other": b"o"},
        principal=Insider(),
    )
    assert "Invalid input passed to action publish:github" in str(tried.error)
    assert [one["status"] for one in tried.steps] == ["completed", "failed", "skipped"]
    assert [(one.path, one.content) for one in tried.files] == [("a", b"tok-123456")]
    assert "tok-123456" not in str(tried.log)
    with pytest.raises(InvalidInput, match="is an absolute path"):
        dry_run(document, {}, {}, {"/etc/passwd": b"x"}, principal=Insider())
    with pytest.raises(InvalidInput, match="apiVersion"):
        dry_run({}, {}, {}, {}, principal=Insider())
