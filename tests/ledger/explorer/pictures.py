"""Makes the pictures of the documentation: ``python -m tests.ledger.explorer.pictures docs``."""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

from tests.ledger.explorer.browser import Browser, chromium
from tests.ledger.explorer.explorer_world import site, tell

_WIDTH = 1120


def picture(browser: Browser, path: str, scheme: str, height: int, target: Path) -> None:
    """Write a page as it is seen in a colour scheme."""
    browser.scheme(scheme)
    browser.width(_WIDTH, height)
    browser.open(path)
    shot = browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    target.write_bytes(base64.b64decode(shot["data"]))


def main(folder: Path) -> None:
    """Make all pictures."""
    with tempfile.TemporaryDirectory() as made:
        story = tell(Path(made), attacks=False)
        with site(story) as served, chromium(Path(made) / "chromium") as browser:
            browser.base = served.url
            browser.open("")
            picture(browser, f"#/tasks/{story.task}", "light", 1260, folder / "explorer-light.png")
            entry = f"#/entries/{story.proofs[4]}"
            picture(browser, entry, "dark", 960, folder / "explorer-dark.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
