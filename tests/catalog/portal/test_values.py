from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.kernel.html import markdown
from catalog.portal.code import json_block, yaml_block
from catalog.portal.values import cell, full, relative

ENUM = {"type": "string", "enum": ["a"], "enumColors": {"a": "red"}}


@pytest.mark.parametrize(
    ("_case", "value", "spec", "part"),
    [
        ("enum with its colour", "a", ENUM, '<span class="ui-badge tone-red">a</span>'),
        (
            "a colour that is none of ours",
            "a",
            {**ENUM, "enumColors": {"a": 'x"y'}},
            "tone-lightGray",
        ),
        (
            "a calculated value with its colour",
            7,
            {"type": "number", "colorized": True, "colors": {"7": "green"}},
            '<span class="ui-badge tone-green">7</span>',
        ),
        (
            "a calculated value without one",
            7,
            {"type": "number", "colorized": True, "colors": {"8": "green", "7": {}}},
            ">7<",
        ),
        ("url", "https://a.example/x/", {"format": "url"}, ">a.example/x<"),
        ("no web address", "javascript:alert(1)", {"format": "url"}, "javascript:alert(1)"),
        ("e-mail", "a@b.c", {"format": "email"}, 'href="mailto:a@b.c"'),
        ("a person", "a@b.c", {"format": "user"}, 'href="/catalog/-/person?email=a%40b.c"'),
        ("a team", "core", {"format": "team"}, 'href="/catalog/_team/core"'),
        ("true", True, {"type": "boolean"}, "Yes"),
        ("false is no empty value", False, {"type": "boolean"}, "No"),
        ("zero is no empty value", 0, {"type": "number"}, ">0<"),
        ("integers stay", 12345678, {"type": "number"}, ">12345678<"),
        (
            "moment",
            "2020-03-01T10:00:00Z",
            {"format": "date-time"},
            'title="2020-03-01 10:00:00 UTC"',
        ),
        ("no moment after all", "soon", {"format": "date-time"}, "soon"),
        ("before all time", "0001-01-01T00:00:00+14:00", {"format": "date-time"}, "+14:00"),
        (
            "a link without a format",
            "https://a.example",
            {"type": "string"},
            'href="https://a.example"',
        ),
        ("labelled url", {"url": "https://a.example", "displayText": "Docs"}, {}, ">Docs<"),
        ("a list as chips", ["x", 1], {"type": "array"}, '<span class="ui-chip">x</span>'),
        ("an enum in a list", ["a"], {"items": ENUM}, "tone-red"),
        ("nothing", None, {}, "ui-empty"),
        ("an empty list", [], {}, "ui-empty"),
    ],
)
def test_a_value_looks_like_its_schema_says(
    _case: str, value: object, spec: dict[str, object], part: str
) -> None:
    assert part in cell(value, spec)
    assert part in full(value, spec)


def test_no_address_but_http_becomes_a_link() -> None:
    for url in ("javascript:alert(1)", "data:text/html,x", "//evil.example", "vbscript:x"):
        for spec in ({"format": "url"}, {}):
            assert "<a" not in full(url, spec)
        assert "<a" not in full({"url": url, "title": "x"})


def test_a_cell_is_short_and_a_page_is_whole() -> None:
    long = "word " * 100
    assert len(cell(long)) < len(full(long)) + 600
    assert "…" in cell(long)
    assert "+2" in cell(["a", "b", "c", "d", "e"])
    assert "+2" not in full(["a", "b", "c", "d", "e"])


def test_objects_are_nested_tables_down_to_a_depth() -> None:
    html = full({"env": {"LOG": "info"}, "ports": [{"port": 80}, {"port": 443, "name": "tls"}]})
    assert html.count('<table class="ui-nested">') == 3
    assert '<th scope="row">LOG</th><td>info</td>' in html
    assert '<th scope="col">name</th>' in html
    deep: dict[str, object] = {}
    for _ in range(30):
        deep = {"d": deep, "x": 1}
    assert "ui-code" in full(deep)


def test_everything_users_wrote_is_escaped() -> None:
    evil = '<img src=x onerror="alert(1)">'
    for value in (
        evil,
        [evil],
        {evil: evil},
        [{evil: evil}],
        {"url": f"https://x/{evil}", "title": evil},
    ):
        for spec in (
            {},
            {"enum": [evil]},
            {"format": "yaml"},
            {"format": "url"},
            {"format": "date-time"},
        ):
            assert "<img" not in cell(value, spec)
            assert "<img" not in full(value, spec)


@pytest.mark.parametrize(
    ("source", "kept", "gone"),
    [
        ("# Title\n\n**bold**", "<h3>Title</h3>", "<h1>"),
        ("<script>alert(1)</script>ok", "ok", "script"),
        ("[x](javascript:alert(1))", "x", "href"),
        ('<a href="https://a.example" onclick="x()">l</a>', "noopener", "onclick"),
        ("<iframe src='https://a.example'></iframe>", "", "iframe"),
        ('<p style="position:fixed">x</p>', "<p>x</p>", "style"),
        ("|a|b|\n|-|-|\n|1|2|", "<td>1</td>", "<script"),
        ("```yaml\na: <b>\n```", "&lt;b&gt;", "<b>"),
    ],
)
def test_markdown_keeps_the_harmless_part(source: str, kept: str, gone: str) -> None:
    html = markdown(source)
    assert kept in html
    assert gone not in html


def test_a_huge_text_is_shown_as_it_is() -> None:
    assert markdown("<b>" + "x" * 300_000).startswith("<pre>&lt;b&gt;")


def test_code_is_marked_and_unchanged() -> None:
    text = 'name: "a: b"  # note\nports:\n  - port: 80\n    tls: true\nurl: https://a.example/#x\n'
    html = yaml_block(text)
    assert '<span class="tok-key">name</span>' in html
    assert '<span class="tok-comment"># note</span>' in html
    assert '<span class="tok-number">80</span>' in html
    assert 'tok-comment">#x' not in html
    assert '<span class="tok-key">&quot;a&quot;</span>' in json_block({"a": ["</pre>", 1.5, None]})
    assert "</pre>" not in json_block({"a": "</pre>"})


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5), "5 hours ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=45), "1 month ago"),
        (timedelta(days=800), "2 years ago"),
        (timedelta(days=-2, minutes=-1), "in 2 days"),
        (timedelta(days=-7, minutes=1), "in 7 days"),
    ],
)
def test_moments_are_told_as_people_do(ago: timedelta, words: str) -> None:
    assert relative(timezone.now() - ago) == words


def test_moments_of_other_zones_are_shown_in_utc() -> None:
    assert 'title="2020-01-01 00:00:00 UTC"' in cell(
        "2020-01-01T02:00:00+02:00", {"format": "date-time"}
    )
