"""`app-config.yaml` as Backstage reads it: variables, includes, merging, overrides, lines."""

import pytest

from catalog.dialects.backstage.config import (
    Entry,
    FilesGiven,
    FilesOnDisk,
    every,
    load,
    merged,
    seconds,
)
from catalog.dialects.backstage.config.tree import dotted, plain
from catalog.dialects.cortex_config import is_cortex
from catalog.kernel.errors import IdpError, InvalidInput, NotFound

ENVIRON = {"TOKEN": "t-1", "HOST": "git.example.com", "EMPTY": ""}


def read(*texts, environ=ENVIRON, **others):
    """The merged configuration of files a.yaml, b.yaml, …"""
    names = [f"{chr(97 + at)}.yaml" for at in range(len(texts))]
    files = dict(zip(names, texts, strict=True)) | others
    given = FilesGiven({name: text.encode() for name, text in files.items()})
    loaded = load(names, files=given, environ=environ)
    return merged([config for _, config in loaded], environ=environ)


@pytest.mark.parametrize(
    ("text", "value", "template"),
    [
        ("${TOKEN}", "t-1", "${TOKEN}"),
        ("Bearer ${ TOKEN }!", "Bearer t-1!", "Bearer ${TOKEN}!"),
        ("${MISSING:-https://x.example:80/}", "https://x.example:80/", ""),
        ("${MISSING:-}", None, "${MISSING}"),
        ("${EMPTY:-other}", "other", ""),
        ("${TOKEN:-other}", "t-1", "${TOKEN}"),
        ("${EMPTY}", "", "${EMPTY}"),
        ("https://${HOST}/${MISSING}", None, "https://${HOST}/${MISSING}"),
        ("$${TOKEN}", "${TOKEN}", ""),
        ("$${A} ${TOKEN}", "${A} t-1", "$${A} ${TOKEN}"),
        ("pa$$word $TOKEN", "pa$$word $TOKEN", ""),
    ],
)
def test_variables(text, value, template):
    [(_, leaf)] = read(f"a: '{text}'").leaves()
    assert (leaf.value, leaf.template) == (value, template)
    assert bool(leaf.missing) == (value is None)


def test_one_variable_that_is_not_set_makes_the_whole_text_undefined():
    config = read("a:\n  b: x${MISSING}\n  c: [1, '${MISSING}', 2]\n  d: null\n")
    assert plain(config.root) == {"a": {"c": [1, 2]}}


def test_includes():
    config = read(
        "t: {$env: TOKEN}\nu: {$env: MISSING}\nkey: {$file: keys/key.pem}\n"
        "all: {$include: more.yaml}\npart: {$include: 'more.yaml#a.b'}\n",
        **{
            "keys/key.pem": "\n  secret text \n",
            "more.yaml": "a:\n  b: ['${HOST}']\n  c: {$file: keys/key.pem}\n",
        },
    )
    assert plain(config.root) == {
        "t": "t-1",
        "key": "secret text",
        "all": {"a": {"b": ["git.example.com"], "c": "secret text"}},
        "part": ["git.example.com"],
    }
    places = {dotted(path): leaf.place for path, leaf in config.leaves()}
    assert places["key"] == "a.yaml:3"
    assert places["all.a.b[0]"] == "more.yaml:2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\n---\nb: 2\n", "a.yaml:3: there is a second document; expected one document"),
        ("- a\n", "a.yaml:1: the file holds no configuration; expected an object of keys"),
        ("x:\n  {$env: A, b: 1}\n", "a.yaml:2: x.$env has other keys beside it"),
        ("x: {$secret: A}\n", "a.yaml:1: x.$secret is not known; expected $env, $file or $include"),
        ("x: {$file: none.pem}\n", "a.yaml:1: x.$file: File with path"),
        ("x: {$include: a.yaml}\n", "more than 10 files include one another"),
        ("x: {$include: 'm.yaml#a.z'}\n", 'there is no "a.z" in m.yaml'),
        ("x: {$include: m.txt}\n", "expected a .yaml or .json file"),
        ("x: [\n", "a.yaml:"),
        ("x: 1\nx: 2\n", "a.yaml:2"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(text, message):
    with pytest.raises(IdpError) as caught:
        read(text, **{"m.yaml": "a: {b: 1}", "m.txt": "a"})
    assert message in str(caught.value)


def test_files_are_laid_on_each_other_and_the_environment_on_them():
    config = read(
        "app: {title: One, support: {url: u}}\nlist: [1, 2]\nkept: ok\nobject: {a: 1}\n",
        "app: {title: Two}\nlist: [3]\nkept: ${MISSING}\nobject: {}\n",
        environ={"APP_CONFIG_app_baseUrl": '"https://x"', "APP_CONFIG_list": "[4]", "X": "1"},
    )
    assert plain(config.root) == {
        "app": {"title": "Two", "support": {"url": "u"}, "baseUrl": "https://x"},
        "list": [4],
        "kept": "ok",
        "object": {"a": 1},
    }
    assert [(dotted(one.path), one.leaf.place, one.by.place) for one in config.replaced] == [
        ("app.title", "a.yaml:1", "b.yaml:1"),
        ("list[0]", "a.yaml:2", "b.yaml:2"),
        ("list[1]", "a.yaml:2", "b.yaml:2"),
        ("kept", "b.yaml:3", "a.yaml:3"),
        ("list[0]", "b.yaml:2", "APP_CONFIG_list"),
    ]


def test_an_override_that_names_no_key_is_refused():
    with pytest.raises(InvalidInput, match="APP_CONFIG_a__b"):
        read("a: 1", environ={"APP_CONFIG_a__b": "1"})


def test_uploaded_files_read_nothing_else(tmp_path):
    (tmp_path / "secret.txt").write_text("hush")
    with pytest.raises(NotFound):
        read(f"a: {{$file: {tmp_path}/secret.txt}}")
    (tmp_path / "app.yaml").write_text("a: {$file: secret.txt}\n")
    path = str(tmp_path / "app.yaml")
    [(name, config)] = load([path], files=FilesOnDisk(), environ={})
    assert (name, plain(config.root)) == (path, {"a": "hush"})


def test_entries_tell_place_and_type_but_no_text():
    config = read("a:\n  token: [1]\n  on: maybe-a-secret\n  off: 'FALSE'\n  n: ${NONE}\n")
    entry = Entry((), config.root)
    with pytest.raises(InvalidInput, match=r"a.yaml:2: a.token: it is a list; expected text"):
        entry.get("a", "token").text()
    with pytest.raises(InvalidInput, match=r"a.yaml:3: a.on: it is text; expected true or false"):
        entry.get("a", "on").flag()
    with pytest.raises(InvalidInput, match=r"a.yaml:5: a.n: NONE is not set"):
        entry.get("a", "n").text()
    assert entry.get("a", "off").flag() is False
    assert entry.get("a", "none") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"minutes": 30}, "every 30m"),
        ({"hours": 1, "minutes": 30}, "every 90m"),
        ({"seconds": 90}, "every 2m"),
        ({"seconds": 5}, "every 1m"),
        ("PT6H", "every 6h"),
        ("P1D", "every 1d"),
        ("30 minutes", "every 30m"),
        ("2h", "every 2h"),
        ({"cron": "0 3 * * *"}, "0 3 * * *"),
        ({"cron": "0 0 3 * * *"}, "0 3 * * *"),
    ],
)
def test_frequencies(value, expected):
    assert every(value, field="frequency") == expected


@pytest.mark.parametrize("value", [5, "soon", {"minutes": "x"}, {"fortnights": 1}, None, "P", {}])
def test_what_is_no_duration(value):
    with pytest.raises(InvalidInput, match="a duration like"):
        seconds(value, field="x")


def test_cortex_is_known_by_its_shape():
    assert is_cortex({"providers": {"github": {}}})
    assert is_cortex({"provider": "aws", "storage": {}})
    assert not is_cortex({"providers": {}, "catalog": {}})
    assert not is_cortex({"catalog": {"providers": {}}})
    assert not is_cortex({})
