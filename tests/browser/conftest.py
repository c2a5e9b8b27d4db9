"""Chromium for tests that look at pages as people do: in a real browser."""

import os
import shutil
from pathlib import Path

import pytest

LAPTOP = {"width": 1366, "height": 768}
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium; the test is skipped, saying why, where there is none.

    Of a module, not of the session: Playwright holds an event loop of its own for as long as it is open.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("not looked at in a browser: playwright is not installed (pip install -e '.[test]')")
    program = os.environ.get("WORKBENCH_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    with sync_playwright() as playwright:
        program = program or playwright.chromium.executable_path
        if not Path(program).is_file():
            pytest.skip(
                "not looked at in a browser: there is no Chromium here (apt-get install chromium, or "
                "playwright install chromium, or name one in WORKBENCH_CHROMIUM)"
            )
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """A tab of a laptop's size, with nothing remembered."""
    context = chromium.new_context(viewport=LAPTOP)
    yield context.new_page()
    context.close()


@pytest.fixture
def offline_tab(chromium):
    """The same without a network.

    `tab.asked` lists what was asked for beyond files (`file:`) and what a page carries inside (`data:`); `tab.said`
    lists errors of the page and of its console.
    """
    context = chromium.new_context(viewport=LAPTOP, offline=True)
    page = context.new_page()
    page.asked, page.said = [], []
    page.on("request", lambda request: page.asked.append(request.url) if _outside(request.url) else None)
    page.on("console", lambda message: page.said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.said.append(str(error)))
    yield page
    context.close()


def _outside(address: str) -> bool:
    return not address.startswith(("file:", "data:", "about:"))
