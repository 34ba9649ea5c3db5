"""A headless Chromium that reaches this machine only, and records what a page did."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")

# A name that is not this machine's own: pages of plain HTTP from there are no secure context.
ELSEWHERE = "ledger.test"
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
    f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
_MARK = "document.querySelector('main article')?.toggleAttribute('data-old', true)"
_LOADED = "return document.querySelector('main article:not([data-old]) h1')"


class Browser:
    """One page."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self.base = ""

    def open(self, path: str, *, fresh: bool = False) -> None:
        """Go to an address of the explorer, such as ``#/tasks``, and wait for the page.

        The document stays the same, as for a reader who follows links, unless a `fresh` one is
        asked for.
        """
        url = f"{self.base}/{path}"
        self.driver.execute_script(_MARK)
        if fresh:
            self.driver.get("about:blank")
        if self.driver.current_url == url:
            self.driver.execute_script("window.dispatchEvent(new Event('reload'))")
        else:
            self.driver.get(url)
        self.loaded()

    def loaded(self) -> None:
        """Wait until another page is shown than the one that was marked."""
        WebDriverWait(self.driver, 15, 0.02).until(lambda d: d.execute_script(_LOADED))

    def act(self, what: Callable[[], object]) -> None:
        """Do something that leads to another page, and wait for it."""
        self.driver.execute_script(_MARK)
        what()
        self.loaded()

    def follow(self, selector: str) -> None:
        """Click a link and wait for the page."""
        self.act(self.one(selector).click)

    def find(self, text: str) -> None:
        """Use the search of the page's head."""
        self.act(lambda: self.one("#find-text").send_keys(text, Keys.ENTER))

    def until(self, selector: str) -> None:
        """Wait until there is such an element."""
        WebDriverWait(self.driver, 15, 0.02).until(lambda _: self.all(selector))

    def one(self, selector: str) -> WebElement:
        """Return the first element."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        """Return all elements."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str = "main") -> str:
        """Return the text of an element, as it is shown."""
        return self.one(selector).text

    def rows(self, caption: str) -> list[list[str]]:
        """Return the texts of a table's cells."""
        script = """
            const table = [...document.querySelectorAll('main table')]
              .find((t) => t.caption.textContent === arguments[0]);
            return table && [...table.tBodies[0].rows].map(
              (r) => [...r.cells].map((c) => c.textContent.trim()));"""
        found = self.driver.execute_script(script, caption)
        assert found is not None, f"no table {caption!r}: {self.text()}"
        return found

    def facts(self) -> dict[str, str]:
        """Return all facts of a page, by name."""
        script = """
            return Object.fromEntries([...document.querySelectorAll('main dl.facts > div')].map(
              (d) => [d.querySelector('dt').textContent, d.querySelector('dd').textContent]));"""
        return self.driver.execute_script(script)

    def checks(self) -> dict[str, str]:
        """Return the outcome of every check that a page shows."""
        return {
            found.get_attribute("data-check"): found.get_attribute("data-state")
            for found in self.all("main [data-check]")
        }

    def module(self, name: str, script: str, *arguments: Any) -> Any:
        """Run a script on one of the explorer's modules, as `m`; returns what it returns."""
        body = f"""
            const done = arguments[arguments.length - 1];
            const args = [...arguments].slice(0, -1);
            import('{self.base}/js/{name}.js').then(async (m) => {{ {script} }})
              .then((value) => done({{ value }}), (error) => done({{ error: String(error) }}));"""
        answer = self.driver.execute_async_script(body, *arguments)
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def complaints(self) -> list[str]:
        """Return the warnings and errors of the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def hosts(self) -> set[str]:
        """Return the hosts that the present document has asked."""
        script = "return performance.getEntriesByType('resource').map((e) => e.name)"
        return {urlsplit(url).netloc for url in self.driver.execute_script(script)}

    def scheme(self, name: str, *, reduced: bool = False) -> None:
        """Prefer a colour scheme."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        if reduced:
            features.append({"name": "prefers-reduced-motion", "value": "reduce"})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def width(self, width: int, height: int = 900) -> None:
        """Make the page as wide as a screen."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def forget(self) -> None:
        """Forget what the explorer remembers of earlier visits."""
        self.driver.execute_script("localStorage.clear()")


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Start a browser with a fresh profile, and end it with the block."""
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, Driver(CHROMEDRIVER))
    try:
        driver.set_script_timeout(20)
        yield Browser(driver)
    finally:
        driver.quit()
