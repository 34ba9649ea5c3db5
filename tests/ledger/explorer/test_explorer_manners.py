"""Safe with hostile text, usable by keyboard, on a phone and without scripts; asks nobody else."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import ledger.service.explorer as here
from tests.ledger.explorer.browser import Browser
from tests.ledger.explorer.explorer_world import ATTACK, MALLORY, SCRIPT, Site, Story

EXPLORER = Path(next(iter(here.__path__)))
DIRECTIVES = {
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
    "img-src 'self' data:", "base-uri 'none'", "form-action 'none'",
}  # fmt: skip


def pages(story: Story) -> dict[str, str]:
    return {
        "overview": "", "tasks": "#/tasks", "task": f"#/tasks/{story.task}",
        "hostile task": f"#/tasks/{story.attack}", "data": "#/data",
        "dataset": f"#/data/{story.data[1]}", "identities": "#/identities",
        "hostile identity": f"#/identities/{MALLORY.public}", "entries": "#/entries",
        "entry": f"#/entries/{story.proofs[1]}", "charter": "#/charter",
        "refusals": "#/refusals", "check": "#/check",
        "models": "#/models", "trace": f"#/trace/{story.releases[1]}",
    }  # fmt: skip


def test_text_of_the_ledger_is_text_and_nobody_else_is_asked(
    page: Browser, story: Story, served: Site
) -> None:
    page.open(f"#/identities/{MALLORY.public}")
    assert page.text("h1") == ATTACK
    page.open(f"#/tasks/{story.attack}")
    assert page.text("h1") == ATTACK + SCRIPT
    for path in pages(story).values():
        page.open(path)
        found = page.driver.execute_script("""
            return [document.querySelectorAll('main img, main script, main iframe').length,
                    [...document.querySelectorAll('*')].filter((e) => [...e.attributes]
                      .some((a) => a.name.startsWith('on') || a.name === 'style')).length,
                    [...document.links].filter((a) => a.origin !== location.origin).length];""")
        assert found == [0, 0, 0], path
    assert page.hosts() == {served.url.removeprefix("http://")}


def test_the_browser_refuses_markup_from_strings(page: Browser) -> None:
    """Even a mistake of the page's own could not turn text into elements or scripts."""
    page.open("")
    outcomes = page.driver.execute_script("""
        const tries = [() => { document.body.innerHTML = '<b>x</b>'; },
                       () => { document.createElement('script').src = 'x.js'; },
                       () => new DOMParser().parseFromString('<b>', 'text/html')];
        return tries.map((t) => { try { t(); return 'done'; } catch (e) { return e.name; } });""")
    assert outcomes == ["TypeError"] * 3
    page.complaints()


def test_links_lead_nowhere_else(page: Browser) -> None:
    """The one place that makes links refuses all that could come from the ledger's text."""
    page.open("")
    wrong = ["javascript:alert(1)", "https://example.org/", "//example.org/", "data:text/html,x",
             " #/x", "#x", "/v1/info", "../v1/info", ""]  # fmt: skip
    right = ["#/tasks", "v1/info", "checkpoint"]
    script = """return args[0].map((href) => {
        try { m.h('a', { href }); return true; } catch { return false; } });"""
    assert page.module("dom", script, wrong + right) == [False] * len(wrong) + [True] * len(right)


def test_blobs_of_any_size(page: Browser) -> None:
    page.open("")
    script = "return m.getBytes('style.css', args[0]).then((b) => b.length, (e) => e.message);"
    size = (EXPLORER / "style.css").stat().st_size
    assert page.module("api", script, size) == size
    assert "too many" in page.module("api", script, size - 1)


def test_policy_of_the_page(served: Site) -> None:
    """In the page as well as in the header, so that another server cannot forget it."""
    answer = httpx.get(served.url + "/")
    header = {part.strip() for part in answer.headers["content-security-policy"].split(";")}
    assert header >= DIRECTIVES | {"frame-ancestors 'none'"}
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', answer.text)
    assert found is not None
    assert {part.strip() for part in found[1].split(";")} >= DIRECTIVES
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_files_are_plain(served: Site) -> None:
    """Nothing of others, no address of others, nothing that makes markup of text."""
    files = [path for path in EXPLORER.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".html", ".css", ".js", ".svg"}
    for path in files:
        text = path.read_text()
        named = set(re.findall(r"https?://[^\s'\"<>)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not named, (path, named)
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert word not in text, (path, word)
        address = str(path.relative_to(EXPLORER)).removesuffix("index.html")
        served_as = httpx.get(f"{served.url}/{address}")
        assert served_as.text == text
        if path.suffix == ".js":
            assert served_as.headers["content-type"].startswith("text/javascript")
    assert sum(path.stat().st_size for path in files) < 150_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(page: Browser, story: Story, scheme: str) -> None:
    """All text has the contrast that WCAG 2.2 AA asks for, 4.5 to 1 at any size."""
    page.scheme(scheme, reduced=True)
    low = set()
    for path in ("", f"#/tasks/{story.task}", "#/entries/17", "#/identities", "#/refusals"):
        page.open(path)
        low |= {tuple(found) for found in page.driver.execute_script(CONTRAST)}
    assert not low


CONTRAST = """
    const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
    const part = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    const behind = (e) => {
      for (; e; e = e.parentElement) {
        const color = rgb(getComputedStyle(e).backgroundColor);
        if (color.length === 3 || color[3] === 1) return color;
      }
      return [255, 255, 255];
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode());) {
      const e = node.parentElement;
      if (!node.data.trim() || !e.checkVisibility()) continue;
      if (e.closest('.hidden, script, noscript')) continue;
      const style = getComputedStyle(e);
      const [a, b] = [light(rgb(e.closest('svg') ? style.fill : style.color)), light(behind(e))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < 4.5) found.push([e.tagName, e.getAttribute('class'), ratio.toFixed(2)]);
    }
    return found;"""


def test_keyboard(page: Browser, story: Story) -> None:
    """From the top of the page to a task and back, without a mouse."""
    driver = page.driver
    page.open("", fresh=True)

    def focused() -> str:
        return driver.switch_to.active_element.get_property("textContent")

    body = driver.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert focused() == "Skip to the content"
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert driver.switch_to.active_element.get_attribute("id") == "main"
    # Past the brand and the search to the list of pages.
    page.open("", fresh=True)
    for _ in range(6):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        assert outlined(page), focused()
    assert focused() == "Tasks"
    page.act(lambda: driver.switch_to.active_element.send_keys(Keys.ENTER))
    # The new page is announced by its heading, which has the focus.
    assert driver.switch_to.active_element.tag_name == "h1"
    assert driver.title == "Tasks \u2013 zkpot ledger"
    assert page.one("#nav [aria-current=page]").text == "Tasks"
    # The table can be scrolled by keys, and its first link follows.
    driver.switch_to.active_element.send_keys(Keys.TAB)
    assert driver.switch_to.active_element.get_attribute("role") == "region"
    driver.switch_to.active_element.send_keys(Keys.TAB)
    title = focused()
    page.act(lambda: driver.switch_to.active_element.send_keys(Keys.ENTER))
    assert page.text("h1") == title
    page.act(driver.back)
    assert page.text("h1") == "Tasks"


def outlined(page: Browser) -> bool:
    """Tell whether one can see what has the focus."""
    script = "return getComputedStyle(document.activeElement).outlineStyle"
    return page.driver.execute_script(script) != "none"


def test_copying_a_digest(page: Browser, story: Story) -> None:
    page.open(f"#/tasks/{story.task}")
    page.driver.execute_script("""
        window.copied = [];
        navigator.clipboard.writeText = async (text) => { window.copied.push(text); };""")
    button = page.one("main button[aria-label='Copy test set']")
    button.send_keys(Keys.ENTER)
    page.until("#status:not(:empty)")
    assert page.text("#status") == "Copied"
    assert page.driver.execute_script("return window.copied") == [story.data[2]]


def test_no_page_is_wider_than_a_phone(page: Browser, story: Story) -> None:
    page.width(360, 740)
    for path in pages(story).values():
        page.open(path)
        width = page.driver.execute_script("return document.documentElement.scrollWidth")
        assert width <= 360, path


def test_nothing_moves(page: Browser, story: Story) -> None:
    """Layout shift is what browsers measure: none while pages load, nor from one to the next."""
    script = """
        window.shifts = 0;
        new PerformanceObserver((list) => list.getEntries().forEach((e) => {
          if (!e.hadRecentInput) window.shifts += e.value;
        })).observe({ type: 'layout-shift', buffered: true });"""
    page.open("", fresh=True)
    page.driver.execute_script(script)
    for path in ("#/tasks", f"#/tasks/{story.task}", "#/entries"):
        page.open(path)
    assert page.driver.execute_script("return window.shifts") < 0.01


def test_structure(page: Browser, story: Story) -> None:
    """One first heading, no level left out, names for all that can be operated, unique ids."""
    script = """
        const name = (e) => e.getAttribute('aria-label') || e.textContent.trim()
          || [...(e.labels ?? [])].map((l) => l.textContent).join('');
        const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
        return [[...document.querySelectorAll('h1, h2, h3')].map((e) => e.tagName),
                [...document.querySelectorAll('a, button, input, textarea, [role=region]')]
                  .filter((e) => !name(e)).length,
                ids.length - new Set(ids).size,
                [...document.querySelectorAll('table')].filter((t) => !t.caption
                  || [...t.querySelectorAll('th')].some((h) => !h.scope)).length,
                [...document.querySelectorAll('main svg:not([aria-hidden], svg svg)')]
                  .filter((s) => s.getAttribute('role') !== 'img' || !s.ariaLabel).length];"""
    for path in pages(story).values():
        page.open(path)
        headings, *faults = page.driver.execute_script(script)
        assert headings[0] == "H1" and set(headings[1:]) <= {"H2"}, path
        assert faults == [0, 0, 0, 0], path


def test_without_scripts_there_is_a_way_on(page: Browser) -> None:
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.driver.get(page.base + "/")
        assert page.text("h1") == "This page needs JavaScript"
        links = {a.get_attribute("href") for a in page.all("noscript a")}
        for link in links:
            assert httpx.get(link).status_code == 200
        assert f"{page.base}/checkpoint" in links
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        page.driver.get("about:blank")
