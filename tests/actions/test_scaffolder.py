"""Software templates: what their steps do, in a folder that nothing leads out of."""

from __future__ import annotations

import io
import json
import os
import stat
import time
import zipfile

import pytest

from actions.scaffolder import registry, runner
from actions.scaffolder.origin import PlacedOrigin
from actions.scaffolder.registry import TemplateAction, inputs
from actions.scaffolder.runner import example_of
from actions.scaffolder.task import Cancelled
from actions.scaffolder.template import read_template
from actions.scaffolder.workspace import Caps, PathRefused, Workspace, clean_path
from catalog.kernel.errors import IdpError, InvalidInput, LimitExceeded, UpstreamUnavailable
from tests.actions.scaffolding import Teller, run, step, template


@pytest.fixture
def action(monkeypatch):
    """Registers a template action for this test."""

    def register(name, function, **options):
        schema = options.pop("input", {"type": "object"})
        made = TemplateAction(id=name, description="", input=schema, run=function, **options)
        monkeypatch.setitem(registry.template_actions, name, made)
        return made

    return register


# --- steps ------------------------------------------------------------------------------------


def test_steps_run_in_order_and_say_what_backstage_says(tmp_path):
    ran = run(
        tmp_path,
        template(
            step("fetch:template", "fetch", name="Skeleton", url="./skeleton",
                 values={"name": "${{ parameters.name }}", "tags": "${{ parameters.tags }}"}),
            step("debug:log", "skip", when="${{ parameters.name === 'other' }}", message="no"),
            step("debug:log", "log", message="Made ${{ parameters.name }} for ${{ user.ref }}"),
            step("publish:file", "publish"),
            output={
                "links": [
                    {"title": "Files", "url": "${{ steps.publish.output.remoteUrl }}"},
                    {"title": "No", "url": "https://no.example", "if": "${{ parameters.no }}"},
                ],
                "text": [{"title": "Done", "content": "${{ parameters.name }} is **there**"}],
                "name": "${{ parameters.name }}",
            },
        ),
        {
            "skeleton/README.md": "# ${{ values.name }}\n"
            "{% for t in values.tags %}- ${{ t }}\n{% endfor %}",
            "skeleton/src/${{ values.name }}/main.py": "print('{{ untouched }}')\n",
            "skeleton/.github/ci.yml": "on: push",
            "skeleton/{% if values.docs %}docs{% endif %}/index.md": "left out",
        },
        name="pay",
        tags=["a", "b"],
    )  # fmt: skip
    assert ran.error == ""
    assert ran.files == {
        ".github/ci.yml": "on: push",
        "README.md": "# pay\n- a\n- b\n",
        "src/pay/main.py": "print('{{ untouched }}')\n",
    }
    assert ran.said.lines == [
        "Starting up task with 4 steps",
        "Beginning step Skeleton",
        "Fetching template content from remote URL ./skeleton",
        "Rendered 3 files, copied 0, left out 1 whose path came out empty",
        "Finished step Skeleton",
        "Beginning step debug:log",
        "Skipping step skip because its if condition was false",
        "Beginning step debug:log",
        "Made pay for user:default/ann",
        "Finished step debug:log",
        "Beginning step publish:file",
        "Keeping the workspace as new-service.zip",
        "Finished step publish:file",
    ]
    assert ran.said.states == {
        "fetch": "completed",
        "skip": "skipped",
        "log": "completed",
        "publish": "completed",
    }
    assert ran.result.output == {
        "links": [{"title": "Files", "url": "https://idp.example/new-service.zip"}],
        "text": [{"title": "Done", "content": "pay is **there**"}],
        "name": "pay",
    }


def test_a_step_that_fails_skips_the_others_but_for_those_that_clean_up(tmp_path):
    ran = run(
        tmp_path,
        template(
            step("fs:rename", "bad", files=[{"from": "missing", "to": "there"}]),
            step("debug:log", "next", message="never"),
            step("debug:log", "failed", when="${{ failure() }}", message="cleaning up"),
            step("debug:log", "always", when="${{ always() }}", message="always"),
            step("debug:log", "both", when="${{ failure() and parameters.no }}", message="never"),
        ),
    )
    assert ran.error == "There is no missing in the workspace"
    assert ran.result.failed_step == "fs:rename"
    assert ran.said.states == {
        "bad": "failed",
        "next": "skipped",
        "failed": "completed",
        "always": "completed",
        "both": "skipped",
    }
    assert "Skipping step next because a previous step failed" in ran.said.lines
    assert "never" not in ran.said.lines


def test_always_and_failure_without_a_failure(tmp_path):
    ran = run(
        tmp_path,
        template(
            step("debug:log", "a", when="${{ failure() }}", message="no"),
            step("debug:log", "b", when="${{ always() }}", message="yes"),
            step("debug:log", "c", when=False, message="no"),
        ),
    )
    assert ran.said.states == {"a": "skipped", "b": "completed", "c": "skipped"}


def test_each_repeats_a_step_and_makes_lists_of_its_outputs(tmp_path, action):
    action("test:double", lambda c: {"twice": c.input["value"] * 2})
    ran = run(
        tmp_path,
        template(
            step("test:double", "list", each=[1, 2, 3], value="${{ each.value }}",
                 when="${{ each.value != 2 }}"),
            step("test:double", "map", each="${{ parameters.ports }}",
                 value="${{ each.key ~ each.value }}"),
            output={"list": "${{ steps.list.output.twice }}", "map": "${{ steps['map'].output }}"},
        ),
        ports={"http": 80},
    )  # fmt: skip
    assert ran.error == ""
    assert ran.result.output == {"list": [2, 6], "map": {"twice": ["http80http80"]}}
    assert 'Skipping step each: {"key": "1", "value": 2}' in ran.said.lines
    assert 'Running step each: {"key": "http", "value": 80}' in ran.said.lines


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([step("debug:log", each="${{ parameters.no }}")], "cannot be resolved to a value"),
        ([step("debug:log", mesage="typo")], "Invalid input passed to action debug:log"),
        ([step("fs:delete")], '"files" is a required property'),
        ([step("no:such")], "Template action with ID 'no:such' is not registered"),
        ([step("no:such", when="${{ true }}")], "Template action with ID 'no:such'"),
        ([step("debug:wait", minutes=11)], "expected at most 600 s"),
        ([step("fetch:plain", url="./missing")], "There is no folder ./missing"),
        ([step("fetch:plain:file", url="a", targetPath="b")], "There is no file a"),
        ([step("catalog:register")], "needs catalogInfoUrl or repoContentsUrl"),
        ([step("fetch:plain", url="https://example.com/x")], "example.com"),
    ],
)
@pytest.mark.django_db
def test_what_is_wrong_with_a_step_is_said(tmp_path, steps, words):
    ran = run(tmp_path, template(*steps))
    assert words in ran.error
    assert ran.error


def test_an_unknown_action_is_told_before_anything_is_done(tmp_path, action):
    done = []
    action("test:publish", done.append)
    ran = run(tmp_path, template(step("test:publish"), step("no:such")))
    assert "no:such" in ran.error
    assert done == []


def test_secrets_and_what_they_become_part_of_never_reach_the_log(tmp_path, action):
    seen = []
    action("test:call", lambda c: seen.append(dict(c.input)))
    ran = run(
        tmp_path,
        template(
            step("debug:log", message="short ${{ secrets.token }}!"),
            step("test:call", auth="Bearer ${{ secrets.token }}", plain="x"),
            step("debug:log", message="again tok-123456 and Bearer tok-123456"),
            step("debug:log", message="in if", when="${{ secrets.token }}"),
            output={"leak": "${{ secrets.token }}"},
        ),
        secrets={"token": "tok-123456"},
    )
    assert ran.error == ""
    assert seen == [{"auth": "Bearer tok-123456", "plain": "x"}]
    assert "tok-123456" not in "\n".join(ran.said.lines)
    assert "***" in ran.said.lines
    assert "in if" not in ran.said.lines  # secrets are for inputs alone
    assert ran.result.output == {}


def test_values_that_secrets_stand_in_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "MAX_HIDDEN", 50)
    many = [f"{n} ${{{{ secrets.token }}}}" for n in range(51)]
    document = template(step("debug:log", message=many))
    assert "more than 50 values" in run(tmp_path, document, secrets={"token": "tok-1234"}).error


def test_cancelling_stops_between_steps(tmp_path):
    teller = Teller(cancels_after=4)
    with pytest.raises(Cancelled):
        run(
            tmp_path,
            template(*(step("debug:log", f"s{n}", message="x") for n in range(5))),
            teller=teller,
        )
    assert list(teller.states.values())[:3] == ["completed", "cancelled", "open"]
    assert "processing" not in teller.states.values()


def test_what_is_away_may_be_tried_again_as_long_as_nothing_lasting_was_begun(tmp_path, action):
    def away(context):
        raise UpstreamUnavailable("It is away")

    action("test:read", away, supports_dry_run=True)
    action("test:publish", lambda c: None)
    with pytest.raises(UpstreamUnavailable):
        run(tmp_path, template(step("test:read")))
    (tmp_path / "workspace").rmdir()
    ran = run(tmp_path, template(step("test:publish"), step("test:read")))
    assert ran.error == "It is away"


# --- reading templates ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "template is []; expected a map"),
        ({"apiVersion": "backstage.io/v1beta2"}, "older form"),
        ({**template(), "spec": None}, "spec is None; expected a map"),
        (template(3), "spec.steps[0] is 3"),
        (template({"id": "a"}), "spec.steps[0].action is None; expected text"),
        (template({"action": "x", "if": 3}), "spec.steps[0].if is 3"),
        (template({"action": "x", "each": 3}), "spec.steps[0].each is 3"),
        (template({"action": "x", "id": "a"}, {"action": "x", "id": "a"}), "spec.steps[1].id"),
        (template({"action": "x", "input": []}, output=[]), ""),
        (template(*[{"action": "x"}] * 201), "201 steps"),
        ({**template(), "metadata": {}}, "metadata.name is None"),
    ],
)
def test_what_is_no_template_is_refused_by_path(document, words):
    if not words:
        read_template(document)
        return
    with pytest.raises(InvalidInput) as caught:
        read_template(document)
    assert words in str(caught.value)


def test_steps_without_names_get_theirs():
    found = read_template(template({"action": "a:b"}, {"action": "c", "id": "x", "name": "See"}))
    assert [(one.id, one.name) for one in found.steps] == [("step-1", "a:b"), ("x", "See")]
    assert found.ref == "template:default/new-service"


def test_secrets_that_a_template_asks_for():
    found = read_template(
        template(secrets={"schema": {"required": ["pin"], "properties": {"pin": {"minLength": 4}}}})
    )
    found.check_secrets({"pin": "12345"})
    for given in ({}, {"pin": "123"}):
        with pytest.raises(InvalidInput, match="pin") as caught:
            found.check_secrets(given)
        assert "123" not in str(caught.value)


# --- files ------------------------------------------------------------------------------------


def test_a_skeleton_keeps_modes_binaries_and_what_is_not_to_be_rendered(tmp_path):
    skeleton = tmp_path / "skeleton"
    (skeleton / "bin").mkdir(parents=True)
    (skeleton / "bin/run.sh").write_text("#!/bin/sh\necho ${{ values.name }}\n")
    (skeleton / "bin/run.sh").chmod(0o755)
    (skeleton / "logo.png").write_bytes(b"\x89PNG\0${{ values.name }}")
    (skeleton / "latin.txt").write_bytes("caf\xe9 ${{ values.name }}".encode("latin-1"))
    (skeleton / ".github/workflows").mkdir(parents=True)
    (skeleton / ".github/workflows/${{ values.name }}.yml").write_text("${{ github.ref }}")
    (skeleton / "windows.txt").write_bytes(b"\xef\xbb\xbf${{ values.name }}\r\n")
    (skeleton / "to-main").symlink_to("bin/run.sh")
    (skeleton / "out").symlink_to("/etc/passwd")
    (skeleton / "up").symlink_to("../secret")
    (tmp_path / "secret").write_text("no")
    os.mkfifo(skeleton / "pipe")
    (skeleton / ".git").mkdir()
    (skeleton / ".git/config").write_text("[core]")

    from actions.scaffolder.origin import skeleton_of
    from actions.scaffolder.rendering import Rules, patterns, render_skeleton
    from actions.scaffolder.templating import environment

    (tmp_path / "workspace").mkdir()
    workspace = Workspace(tmp_path / "workspace")
    found = skeleton_of(skeleton, skeleton)
    rules = Rules(environment(), {"values": {"name": "pay"}}, patterns([".github/workflows/"]))
    render_skeleton(found, workspace, "app", rules, check_in=lambda: None)
    assert found.refused == {
        "out": "the link leads out",
        "up": "the link leads out",
        "pipe": "it is no regular file",
    }
    assert [(one.path, one.is_executable, one.link) for one in workspace.files()] == [
        ("app/.github/workflows/pay.yml", False, ""),
        ("app/bin/run.sh", True, ""),
        ("app/latin.txt", False, ""),
        ("app/logo.png", False, ""),
        ("app/to-main", False, "bin/run.sh"),
        ("app/windows.txt", False, ""),
    ]
    assert workspace.read("app/bin/run.sh") == b"#!/bin/sh\necho pay\n"
    assert workspace.read("app/logo.png") == b"\x89PNG\0${{ values.name }}"
    assert workspace.read("app/.github/workflows/pay.yml") == b"${{ github.ref }}"
    assert workspace.read("app/windows.txt") == b"\xef\xbb\xbfpay\r\n"

    first, second = workspace.archive(), workspace.archive("app")
    time.sleep(0.01)
    (workspace.root / "app/latin.txt").touch()
    assert workspace.archive() == first
    with zipfile.ZipFile(io.BytesIO(second)) as archive:
        modes = {one.filename: one.external_attr >> 16 for one in archive.infolist()}
    assert stat.S_IMODE(modes["bin/run.sh"]) == 0o755
    assert stat.S_ISLNK(modes["to-main"])


@pytest.mark.parametrize(
    ("options", "files"),
    [
        ({}, {"a.txt": "old", "b.njk": "${{ x }}1"}),
        ({"replace": True}, {"a.txt": "1", "b.njk": "${{ x }}1"}),
        ({"templateFileExtension": True}, {"a.txt": "old", "b": "${{ x }}1"}),
        ({"templateFileExtension": ".txt"}, {"a.txt": "old", "a": "1", "b.njk": "{{ y }}"}),
        ({"copyWithoutTemplating": ["*.njk"]}, {"a.txt": "old", "b.njk": "{{ y }}"}),
        ({"copyWithoutRender": ["*.njk"]}, {"a.txt": "old", "b.njk": "{{ y }}"}),
        ({"templateFileExtension": "njk"}, {"a.txt": "old", "b": "${{ x }}1"}),
        ({"targetPath": "sub/x"}, {"a.txt": "old", "sub/x/a.txt": "1", "sub/x/b.njk": "${{ x }}1"}),
    ],
)
def test_the_ways_to_fetch_a_template(tmp_path, options, files):
    source = {
        "a.txt": "${{ values.one }}",
        "b.njk": "{% raw %}${{ x }}{% endraw %}${{ values.one }}",
    }
    ran = run(
        tmp_path,
        template(
            step("roadiehq:utils:fs:write", path="a.txt", content="old"),
            step("fetch:template", url="./s", values={"one": 1}, **options),
        ),
        {f"s/{path}": text for path, text in source.items()},
    )
    wanted = {path: source["b.njk"] if text == "{{ y }}" else text for path, text in files.items()}
    assert ran.error == ""
    assert ran.files == wanted


def test_files_that_are_copied_have_their_names_rendered_unless_by_the_older_key(tmp_path):
    skeleton = {"s/${{ values.x }}/a": "${{ values.x }}", "s/b": "${{ values.x }}"}
    wanted = {"copyWithoutTemplating": "1/a", "copyWithoutRender": "${{ values.x }}/a"}
    for key, path in wanted.items():
        (tmp_path / key).mkdir()
        fetch = step("fetch:template", url="s", values={"x": 1}, **{key: ["**/a"]})
        ran = run(tmp_path / key, template(fetch), skeleton)
        assert ran.files == {path: "${{ values.x }}", "b": "1"}
    (tmp_path / "both").mkdir()
    fetch = step("fetch:template", url="s", copyWithoutTemplating=["a"], copyWithoutRender=["b"])
    assert "use one" in run(tmp_path / "both", template(fetch), skeleton).error


def test_cookiecutter_templates_are_rendered_and_their_hooks_left_alone(tmp_path):
    ran = run(
        tmp_path,
        template(step("fetch:cookiecutter", url="./c", values={"name": "Pay Service"})),
        {
            "c/cookiecutter.json": json.dumps(
                {
                    "name": "x",
                    "slug": "{{ cookiecutter.name|lower|replace(' ', '-') }}",
                    "licence": ["MIT", "BSD"],
                    "_copy_without_render": ["*.tpl"],
                }
            ),
            "c/{{cookiecutter.slug}}/README": "{{ cookiecutter.name }} "
            "({{ cookiecutter.licence }})",
            "c/raw.tpl": "{{ cookiecutter.name }}",
            "c/hooks/post_gen_project.py": "import os; os.system('touch /tmp/hooked')",
        },
    )  # fmt: skip
    assert ran.error == ""
    assert ran.files == {
        "pay-service/README": "Pay Service (MIT)",
        "raw.tpl": "{{ cookiecutter.name }}",
    }
    assert "The hooks of the template are not run" in ran.said.lines


def test_files_of_the_workspace_are_moved_listed_written_and_deleted(tmp_path):
    ran = run(
        tmp_path,
        template(
            step("fetch:plain", url=".", targetPath="in"),
            step("fetch:plain:file", url="./docs/a.md", targetPath="one.md"),
            step("fetch:template:file", url="./t.txt", targetPath="t/t.txt", values={"x": 1}),
            step("fs:rename", files=[{"from": "in/docs", "to": "docs"}]),
            step("fs:readdir", "list", paths=["docs"], recursive=True),
            step("fs:delete", files=["in/**/*.txt", "missing", "in/gone"]),
            step("roadiehq:utils:serialize:yaml", "y", data={"a": [1, "no"]}),
            step("roadiehq:utils:serialize:json", "j", data={"a": 1}),
            step("roadiehq:utils:fs:write", path="y.yaml",
                 content="${{ steps.y.output.serialized }}"),
            step("roadiehq:utils:fs:write", path="j.json",
                 content="${{ steps.j.output.serialized }}"),
            step("roadiehq:utils:fs:append", path="y.yaml", content="more: 1\n"),
            step("catalog:write", entity={"kind": "Component", "metadata": {"name": "pay"}}),
            step("debug:log", listWorkspace=True),
            output={"found": "${{ steps.list.output.files }}"},
        ),
        {"docs/a.md": "A", "docs/b/c.md": "C", "t.txt": "${{ values.x }}", "gone/x": "", "k": "K"},
    )  # fmt: skip
    assert ran.error == ""
    assert ran.files == {
        "docs/a.md": "A",
        "docs/b/c.md": "C",
        "in/k": "K",
        "one.md": "A",
        "t/t.txt": "1",
        "y.yaml": "a:\n- 1\n- 'no'\nmore: 1\n",
        "j.json": '{\n  "a": 1\n}',
        "catalog-info.yaml": "kind: Component\nmetadata:\n  name: pay\n  annotations:\n"
        "    backstage.io/source-template: template:default/new-service\n",
    }
    assert [one["path"] for one in ran.result.output["found"]] == ["docs/a.md", "docs/b/c.md"]
    assert any("There is no missing" in line for line in ran.said.lines)


# --- nothing leads out ------------------------------------------------------------------------

HOSTILE_PATHS = ["../x", "a/../../x", "/etc/x", "\\\\srv\\x", "C:\\x", "..\\..\\x", "a\0b"]
HOSTILE_PATHS += [".git/config", "a/.GIT/hooks/x", "x" * 300, "a/" * 60 + "x", "y" * 1200]


PATH = "${{ parameters.path }}"
# Of a skeleton, an absolute path is left out, as one with an empty part; what is not there need not
# be deleted.
HARMLESS = [("fetch:template", "/etc/x"), ("fs:delete", HOSTILE_PATHS[10])]
STEPS_WITH_PATHS = [
    step("roadiehq:utils:fs:write", path=PATH, content="x"),
    step("fetch:plain", url="./s", targetPath=PATH),
    step("fetch:plain:file", url="./s/a", targetPath=PATH),
    step("fs:rename", files=[{"from": PATH, "to": "b"}]),
    step("fs:rename", files=[{"from": "a", "to": PATH}]),
    step("fs:readdir", paths=[PATH]),
    step("fs:delete", files=[PATH]),
    step("catalog:write", filePath=PATH, entity={}),
    step("publish:file", sourcePath=PATH),
    {"action": "publish:file", "input": {"name": f"{PATH}.zip"}},
    step("fetch:template", url="./t", values={"path": PATH}),
    step("fetch:template:file", url="./s/a", targetPath=PATH),
]


@pytest.mark.parametrize("path", HOSTILE_PATHS, ids=range(len(HOSTILE_PATHS)))
def test_no_path_leads_out_of_the_workspace(tmp_path, path):
    for number, one in enumerate(STEPS_WITH_PATHS):
        folder = tmp_path / str(number)
        folder.mkdir()
        ran = run(
            folder,
            template(step("fetch:plain:file", url="./s/a", targetPath="a"), one),
            {"s/a": "A", "t/${{ values.path }}": "T"},
            path=path,
        )
        assert set(ran.files) == {"a"}
        assert os.listdir(folder) == ["workspace"]
        is_harmless = (one["action"], path) in HARMLESS
        assert bool(ran.error) != is_harmless, (one, ran.said.lines)


@pytest.mark.parametrize("url", ["../x", "/etc", "file:///etc/passwd", "ftp://x/y", "a\0b", ""])
def test_no_url_leads_out_of_the_template(tmp_path, url):
    template_folder = tmp_path / "templates/one"
    template_folder.mkdir(parents=True)
    (tmp_path / "x").mkdir()
    for origin in (PlacedOrigin(), PlacedOrigin(f"file:{template_folder}")):
        with origin, pytest.raises(InvalidInput):
            origin.folder(url)
        with origin, pytest.raises(InvalidInput):
            origin.file(url)


@pytest.mark.django_db
def test_a_template_of_this_server_reads_its_repository_and_no_more(tmp_path, settings):
    settings.IDP_FILES = []
    repository = tmp_path / "repository"
    (repository / ".git").mkdir(parents=True)
    (repository / "templates/one/skeleton").mkdir(parents=True)
    (repository / "templates/one/skeleton/a").write_text("A")
    (repository / "skeletons").mkdir()
    (repository / "skeletons/b").write_text("B")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/c").write_text("C")
    folder = repository / "templates/one"
    with PlacedOrigin(f"file:{folder}", own_file=f"file:{folder}/template.yaml") as origin:
        assert [one.read() for one in origin.folder("./skeleton").files] == [b"A"]
        assert [one.path for one in origin.folder("../../skeletons/").files] == ["b"]
        assert origin.file("../../skeletons/b").read() == b"B"
        for url in ("../../../outside", "../../.git", "./missing"):
            with pytest.raises(InvalidInput):
                origin.folder(url)
        with pytest.raises(InvalidInput):
            origin.file("../../../outside/c")
    with (
        PlacedOrigin(f"file:{folder}", own_file="url:https://git.example/t.yaml") as origin,
        pytest.raises(InvalidInput),
    ):
        origin.folder("./skeleton")


def test_links_that_an_action_leaves_behind_do_not_lead_out(tmp_path, action):
    def escape(context):
        root = context.workspace.root
        (root / "out").symlink_to("/etc")
        (root / "in").symlink_to("real")
        (root / "real").write_text("R")
        os.mkfifo(root / "pipe")

    action("test:escape", escape, supports_dry_run=True)
    ran = run(
        tmp_path,
        template(
            step("test:escape"),
            step("roadiehq:utils:fs:write", path="out/passwd", content="x"),
        ),
    )
    assert ran.error == ""
    assert ran.files == {"in": "real", "real": "R", "out/passwd": "x"}


BOMB = "${{ range(100000) | join(range(100000) | join('x')) }}"


@pytest.mark.parametrize(
    ("steps", "contents", "words"),
    [
        ([step("debug:log", each="${{ range(1001) }}", message="x")], {}, "1,001 turns"),
        ([step("debug:log", each=[1] * 1001, message="x")], {}, "1,001 turns"),
        ([step("fetch:template", url="s")], {"s/a": "{% for a in range(9999999) %}x{% endfor %}"},
         "s/a"),
        ([step("fetch:template", url="s")],
         {"s/a": "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}"},
         "s/a"),
        ([step("fetch:template", url="s")], {"s/a": BOMB}, "s/a"),
        ([step("debug:log", message=BOMB)], {}, ""),
        ([step("debug:log", message="${{ 'x' | center(90000) }}", each="${{ range(900) }}")], {},
         "The input has more than 20,000,000 characters"),
        ([step("debug:log", message="${{ 'x' | center(9000) }}", each="${{ range(900) }}")], {},
         "The log has more than"),
        ([step("fetch:template", url="s")], {"s/a": "${{ ''.__class__.__mro__ }}|${{ environ }}"},
         None),
        ([step("fetch:template", url="s")], {"s/a": "${{ ''.constructor.constructor('x')() }}"},
         "s/a"),
        ([step("fetch:template", url="s")], {"s/a": "{% include '/etc/passwd' %}"}, "s/a"),
        ([step("debug:log", message="${{ environment.secrets.SECRET_KEY }}")], {}, None),
        ([step("roadiehq:utils:serialize:yaml", data="{% set a = [1] %}{% for i in range(40) %}"
               "{% set a = [a, a] %}{% endfor %}${{ a | dump }}")], {}, ""),
        ([step("fetch:plain", url="s")], {f"s/{n}": "x" for n in range(21)}, "more than 20 files"),
        ([step("fetch:cookiecutter", url="s")], {"s/cookiecutter.json": "[" * 9999},
         "cookiecutter.json"),
        ([step("fetch:cookiecutter", url="s")], {"s/cookiecutter.json": "[1]"}, "expected a map"),
        ([step("roadiehq:utils:fs:write", path="f/${{ each.key }}", content="x",
               each="${{ range(30) }}")], {}, "more than 20 files"),
        ([step("roadiehq:utils:fs:write", path="f", content="${{ 'x' | center(6000) }}")], {},
         "more than 5,000 bytes"),
        ([step("roadiehq:utils:fs:write", path="f/${{ each.key }}", each="${{ range(9) }}",
               content="${{ 'x' | center(2000) }}")], {}, "more than 10,000 bytes"),
        ([step("roadiehq:utils:fs:append", path="f", each="${{ range(9) }}",
               content="${{ 'x' | center(2000) }}")], {}, "more than 5,000 bytes"),
    ],
)  # fmt: skip
def test_hostile_templates_end_soon_and_say_why(tmp_path, monkeypatch, steps, contents, words):
    monkeypatch.setenv("SECRET_KEY", "no")
    started = time.monotonic()
    caps = Caps(files=20, total_bytes=10_000, file_bytes=5_000)
    contents = {path: f"{text}" for path, text in contents.items()}
    ran = run(tmp_path, template(*steps), contents, caps=caps)
    assert time.monotonic() - started < 5
    if words is None:
        assert ran.error == ""
        assert not {"no", "object"} & set("|".join(ran.files.values()).split("|"))
    else:
        assert ran.error
        assert words.removeprefix("s/") in ran.error


def test_what_a_workspace_has_in_it_is_counted_anew_after_deletes(tmp_path):
    workspace = Workspace(tmp_path, Caps(files=2, total_bytes=10, file_bytes=8))
    for _ in range(5):
        workspace.write("a/b", b"12345678")
        workspace.delete("a")
    workspace.write("a", b"12345678")
    workspace.write("a", b"1234")
    workspace.write("b", b"1234")
    for path, content in (("c", b""), ("b", b"12345678")):
        with pytest.raises(LimitExceeded):
            workspace.write(path, content)


def test_paths_are_cleaned():
    assert clean_path("./a//b/../c/") == "a/c"
    assert clean_path(".") == ""
    for path in HOSTILE_PATHS[:7]:
        with pytest.raises(PathRefused):
            clean_path(path)


def test_outputs_are_made_up_from_their_schema():
    schema = {
        "type": "object",
        "properties": {
            "url": {"type": "string"},
            "list": {"type": "array", "items": {"type": "number"}},
            "said": {"type": "string", "examples": ["x"]},
            "flag": {"type": "boolean"},
            "any": {},
        },
    }
    made = {"url": "<example>", "list": [0], "said": "x", "flag": False, "any": "<unknown>"}
    assert example_of(schema) == made


def test_an_action_may_be_registered_once():
    made = TemplateAction(id="debug:log", description="", input=inputs(), run=lambda c: None)
    with pytest.raises(ValueError, match="debug:log"):
        registry.register_template_action(made)
    with pytest.raises(IdpError):
        made.check({"x": 1}, "debug:log")
