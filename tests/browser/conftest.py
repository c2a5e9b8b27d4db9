"""Chromium for tests that look at pages as people do: in a real browser."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

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


_CELLS = (
    "import ipywidgets\nimport matplotlib.pyplot as plt\nimport pandas as pd\nimport workbench as wb\nfrom IPython.display import HTML, Markdown\n\nstage = wb.stage(output_dir, seed)\nstage",
    'env = wb.make("kuhn", batch_size=32)\npolicy = wb.Policy.create(env.spec, wb.PolicySettings(hidden=(8,)))\npolicy.id = "a <b>bold</b> & \\"quoted\\" policy"\nmatches = wb.play(env, policy, "random", games=60)\nmatches',
    "standings = wb.ratings(matches, bootstraps=20)\nstandings",
    "policy",
    "wb.plots.winrate_heatmap(matches, standings)",
    "plt.plot([1, 2, 3])",
    'HTML("".join(f\'<td style="background-color: {colour}" title="{colour}">{colour}</td>\' for colour in ("#ff0000", "#00ff00")).join(["<table><tr>", "</tr></table>"]))',
    'Markdown("**bold** and `code`")',
    'ipywidgets.VBox([ipywidgets.IntProgress(value=3, max=4, description="games"), ipywidgets.HTML("<b>3 of 4</b>"), ipywidgets.Dropdown(options=["first", "second"], value="second", description="which")])',
    'print("\\n".join(f"line {number}" for number in range(300)))',
    'pd.DataFrame({"who": ["<script>pwned = 1</script>", "b"], "rate": [0.5, 0.25]})',
    "stage.finish(policy=policy.save(stage.path('policy')), metrics={'win_rate': [0.5, 0.4, 0.6], 'rating/a': [1500.0, 1400.0, 1600.0], 'rating/b': [1400.0, 1300.0, 1500.0]})",
)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """An experiment of one stage that shows one of everything, run for real: its folder in `outputs`."""
    project = tmp_path_factory.mktemp("executed")
    parameters = new_code_cell('seed: int = 0  # of all\noutput_dir: str = ""', metadata={"tags": ["parameters"]})
    cells = [
        new_markdown_cell("# One of everything\n\nTables, figures, widgets."),
        parameters,
        *map(new_code_cell, _CELLS),
    ]
    nbformat.write(new_notebook(cells=cells), project / "show.ipynb")
    (project / "shown.yaml").write_text("name: shown\nstages: {show: {notebook: show.ipynb}}\n")
    subprocess.run(
        [sys.executable, "-m", "workbench.cli", "run", "shown.yaml"],
        cwd=project, check=True, capture_output=True, env={**os.environ, "JUPYTER_DATA_DIR": str(project / "jupyter")},
    )  # fmt: skip
    return project / "outputs" / "shown"
