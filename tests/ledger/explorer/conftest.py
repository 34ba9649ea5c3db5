"""One ledger, one service and one browser for all tests of the explorer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("selenium", reason="the explorer is tested with selenium")
pytest.importorskip("fastapi", reason="the explorer is served by zkpot[serve]")

from tests.ledger.explorer.browser import CHROMEDRIVER, CHROMIUM, Browser, chromium
from tests.ledger.explorer.explorer_world import Site, Story, site, tell


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Return the ledger, which no test changes."""
    return tell(tmp_path_factory.mktemp("explorer"))


@pytest.fixture(scope="session")
def served(story: Story) -> Iterator[Site]:
    """Serve it."""
    with site(story) as running:
        yield running


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start a browser, or say why there is none."""
    if CHROMIUM is None or CHROMEDRIVER is None:
        pytest.skip("the packages chromium and chromium-driver are not installed")
    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
def page(browser: Browser, served: Site) -> Iterator[Browser]:
    """Return the browser at a desk, with nothing remembered.

    Whatever a test does: afterwards the console has no complaint, and a test that expects one
    takes it. A request to another host would be one: the page's policy refuses it, and no name is
    ever resolved.
    """
    browser.base = served.url
    browser.width(1280)
    browser.scheme("light")
    if not browser.driver.current_url.startswith(served.url):
        browser.driver.get(f"{served.url}/icon.svg")
    browser.forget()
    browser.complaints()
    yield browser
    served.tampering.changes.clear()
    assert browser.complaints() == []
