"""The page in a real browser: it renders without log messages, requests or scripts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.export.formats import exported
from agent.record.events import Event
from agent.text import visible
from sandbox import DisplayData, Execution, StreamOutput
from tests.agent.cli.test_view import CODES
from tests.agent.export.chromium import Chromium, Scheme
from tests.agent.export.runs import cell, replied, run
from tests.golden.scenarios import HOSTILE_HTML, HOSTILE_HTML_CLOSED, HOSTILE_SVG, HOSTILE_TEXT
from tests.golden.writing import RUNS

pytestmark = pytest.mark.browser
GOLDEN = sorted(run.name for run in RUNS.iterdir())
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium() as browser:
        yield browser


def page_of(events: list[Event], tmp_path: Path) -> Path:
    page = tmp_path / "page.html"
    page.write_text(exported(events, "html"))
    return page


def test_this_browser_reports_scripts_requests_and_errors(browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<script>document.title = 'owned'; console.log('said'); alert(1)</script><img src='https://example.com/a.png'>"
    )
    seen = browser.open(page)
    assert browser.evaluate("document.title") == "owned"
    assert any("said" in line for line in seen.logged)
    assert seen.requested == ["https://example.com/a.png"]
    assert seen.dialogs == 1


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", GOLDEN)
def test_a_page_renders_without_an_error_or_a_request(name: str, scheme: Scheme, browser: Chromium) -> None:
    page = RUNS / name / "export.html"
    seen = browser.open(page, scheme=scheme)
    assert (seen.logged, seen.requested, seen.dialogs) == ([], [], 0)
    assert seen.navigated == [page.as_uri()]
    assert browser.evaluate("document.querySelector('h2').innerText.length") > 0
    assert browser.evaluate("[...document.images].every(image => image.naturalWidth > 0)")


def test_the_page_has_a_dark_style_if_the_reader_prefers_one(browser: Chromium) -> None:
    colours = []
    for scheme in SCHEMES:
        browser.open(RUNS / "plain" / "export.html", scheme=scheme)
        colours.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(251, 251, 250)", "rgb(16, 19, 23)"]


@pytest.mark.parametrize("name", GOLDEN)
def test_a_page_fits_a_narrow_screen(name: str, browser: Chromium) -> None:
    browser.open(RUNS / name / "export.html", width=340)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 340


def test_thinking_is_folded_until_it_is_asked_for(browser: Chromium) -> None:
    browser.open(RUNS / "thinking" / "export.html")
    shown = "document.querySelector('.thinking p').checkVisibility({contentVisibilityAuto: true})"
    assert browser.evaluate(shown) is False
    browser.evaluate("document.querySelector('.thinking summary').click()")
    at_some_frame = f"new Promise(done => (look = () => {shown} ? done(true) : requestAnimationFrame(look))())"
    assert browser.evaluate(at_some_frame) is True


ATTACKS = {
    "everything": HOSTILE_HTML,
    "everything, in the open": HOSTILE_HTML_CLOSED,
    "script": "<script>document.title = 'owned'</script>",
    "handler": "<img src=x onerror=\"document.title='owned'\">",
    "svg": "<svg onload=\"document.title='owned'\"><animate onbegin=alert(1) attributeName=x /></svg>",
    "math": "<math><mtext><table><mglyph><style><img src=x onerror=\"document.title='owned'\">",
    "frame": "<iframe srcdoc=\"<script>parent.document.title = 'owned'</script>\"></iframe>",
    "frame from elsewhere": "<iframe src=https://example.com></iframe><embed src=https://example.com>",
    "refresh": '<meta http-equiv=refresh content="0;url=https://example.com">',
    "base": "<base href=https://example.com/><img src=a.png>",
    "style": "<style>@import 'https://example.com/a.css'; main { display: none } body { background: red }</style>",
    "styled": "<div style=\"position: fixed; inset: 0; background: url('https://example.com/a.png')\">over all</div>",
    "form": "<form action=https://example.com><input autofocus onfocus=\"document.title='owned'\"></form>",
    "link": "<a href=\"java&#10;script:document.title='owned'\" autofocus>here</a>",
    "stylesheet": "<link rel=stylesheet href=https://example.com/a.css><link rel=prefetch href=https://example.com>",
    "media": "<video src=https://example.com/a.mp4 poster=https://example.com/a.png autoplay></video>",
    "classes": "<div class=answer id=question-1>in a borrowed coat</div>",
    "unclosed": "<!-- <div><table><textarea><title><style><script>",
    "ends of what is around": "</script></style></div></pre></code></figure></main></body></html>]]>--><p>after",
    "formula": r"\(\href{javascript:alert(1)}{x} \text{<img src=x onerror='alert(1)'>} \style{position:fixed}{y}\)",
    "template": "<template><script>document.title = 'owned'</script></template><noscript><p title='</noscript>'>",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_code_or_model_write_can_act(attack: str, browser: Chromium, tmp_path: Path) -> None:
    bad = ATTACKS[attack]
    bundles: list[dict[str, Any]] = [
        {"text/html": bad},
        {"text/html": f"<table><tr><td>{bad}"},
        {"text/markdown": bad},
        {"text/markdown": f"- [a]({bad})\n\n```{bad}\n{bad}"},
        {"text/plain": bad, "text/latex": bad},
        {"application/json": {bad: bad}},
        {"image/svg+xml": f"<svg>{bad}</svg>"},
        {"image/png": bad},
        {bad: bad},
    ]
    outputs = [StreamOutput(name="stdout", text=bad), *(DisplayData(data=bundle) for bundle in bundles)]
    turn = cell(f"# {bad}", Execution(status="ok", outputs=outputs))
    page = page_of(run(turn, [replied(bad, reasoning=bad)], task=bad, answer=bad), tmp_path)
    seen = browser.open(page)
    assert (seen.logged, seen.requested, seen.dialogs) == ([], [], 0)
    assert seen.navigated == [page.as_uri()]
    assert browser.evaluate("document.title") != "owned"
    assert (
        browser.evaluate("document.querySelectorAll('script, iframe, form, base, object, embed, [style]').length") == 0
    )
    assert browser.evaluate("document.querySelectorAll('main > footer').length") == 1
    assert browser.evaluate("[...document.querySelectorAll('.answer')].every(one => one.parentElement.matches('main'))")
    assert browser.evaluate("getComputedStyle(document.querySelector('main')).display") == "block"


def test_a_hostile_picture_is_a_picture_and_no_more(browser: Chromium, tmp_path: Path) -> None:
    outputs = [DisplayData(data={"image/svg+xml": HOSTILE_SVG}), StreamOutput(name="stdout", text=HOSTILE_TEXT)]
    page = page_of(run(cell("1", Execution(status="ok", outputs=outputs))), tmp_path)
    seen = browser.open(page)
    assert (seen.logged, seen.requested) == ([], [])
    assert browser.evaluate("document.images[0].naturalWidth") == 60
    assert browser.evaluate("document.title") == "What?"


def test_the_browser_shows_formulas(browser: Chromium, tmp_path: Path) -> None:
    seen = browser.open(page_of(run(answer=r"\(a_1\) and \[\frac{1}{2}\]"), tmp_path))
    assert (seen.logged, seen.requested) == ([], [])
    heights = "[...document.querySelectorAll('mi, mfrac')].map(each => each.getBoundingClientRect().height)"
    letter, fraction = browser.evaluate(heights)
    assert fraction > 1.5 * letter > 0


def test_the_browser_shows_code_as_it_ran(browser: Chromium, tmp_path: Path) -> None:
    turns = [cell(code, Execution(status="ok")) for code in CODES.values()]
    browser.open(page_of(run(*turns), tmp_path))
    shown = browser.evaluate("[...document.querySelectorAll('.source')].map(source => source.textContent)")
    assert shown == [visible(code).rstrip("\n") for code in CODES.values()]


def test_words_from_right_to_left_move_nothing_beside_them(browser: Chromium, tmp_path: Path) -> None:
    code = "x = '\u05d0\u05d1\u05d2' + '123' + '\u05d3\u05d4\u05d5'  # \u05d6\u05d7\u05d8"
    browser.open(page_of(run(cell(code, Execution(status="ok"))), tmp_path))
    lefts = browser.evaluate(
        "[...document.querySelectorAll('.source span')].map(span => span.getBoundingClientRect().left)"
    )
    assert lefts == sorted(lefts)
