"""Pages as people see them: in Chromium, without a network, from another folder."""

import io
import time
import zipfile

import pytest
from PIL import Image

from workbench.benchmarks.pages import make_experiment
from workbench.pipeline.files import write_json
from workbench.pipeline.index import write_index
from workbench.pipeline.overview import write_overview
from workbench.pipeline.share import Settings, share

EVIL = '<img src=x onerror="pwned=1"><script>pwned=1</script>"\'`&\x00\x07\u202e</title></style>'


def go(tab, path):
    """Open a page, all of it: what is folded and what is loaded when it comes into sight."""
    tab.goto(path.as_uri())
    tab.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    tab.evaluate("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
    tab.wait_for_function("[...document.images].every(image => image.complete)")


def broken(tab):
    return tab.evaluate(
        "[...document.images].filter(image => !image.naturalWidth).map(image => image.src.slice(0, 200))"
    )


def test_a_report_needs_no_network(offline_tab, executed):
    go(offline_tab, executed / "gen_001/show/report.html")
    assert offline_tab.title() == "One of everything"
    assert broken(offline_tab) == []
    assert offline_tab.locator(".output img").count() == 2
    text = offline_tab.inner_text("main")
    for said in (
        'a <b>bold</b> & "quoted" policy', "3 of 4", "which", "second", "line 299", "60 lines left out",
        "<script>pwned = 1</script>", "bold and code", "where this comes from", "0.5 [0.4, 0.6]",
    ):  # fmt: skip
        assert said in text, said
    colours = [
        cell.evaluate("cell => getComputedStyle(cell).backgroundColor")
        for cell in offline_tab.locator("td[title^='#']").all()
    ]
    assert colours == ["rgb(255, 0, 0)", "rgb(0, 255, 0)"]
    assert offline_tab.asked == []
    assert offline_tab.said == []
    assert offline_tab.evaluate("document.documentElement.scrollWidth") <= 1366  # nothing to scroll sideways for


def test_the_index_leads_to_everything(offline_tab, executed):
    go(offline_tab, executed / "index.html")
    assert broken(offline_tab) == []
    assert offline_tab.locator(".lineage rect").count() == 1
    offline_tab.locator(".card").first.click()
    assert offline_tab.title() == "One of everything"
    offline_tab.locator(".crumbs a").first.click()
    assert "shown" in offline_tab.title()
    offline_tab.locator(".crumbs a").first.click()
    assert offline_tab.title() == "Experiments"
    assert offline_tab.asked == []
    assert offline_tab.said == []


def test_the_page_of_a_night_opens(offline_tab, tmp_path):
    """Says how long that took; what it may take is a benchmark's matter."""
    begun = time.perf_counter()
    page = write_index(make_experiment(tmp_path, stages=100))
    written = time.perf_counter() - begun
    begun = time.perf_counter()
    offline_tab.goto(page.as_uri())
    opened = time.perf_counter() - begun
    print(f"100 stages: made and written in {written:.2f} s, opened in Chromium in {opened:.2f} s")
    go(offline_tab, page)
    assert offline_tab.locator(".card").count() == 100
    assert offline_tab.locator(".trends figure").count() >= 4
    assert broken(offline_tab) == []
    assert offline_tab.asked == []
    assert offline_tab.said == []


@pytest.mark.parametrize("zipped", [False, True])
def test_what_was_shared_opens_elsewhere(offline_tab, executed, tmp_path, zipped):
    given = share(executed, tmp_path / ("given.zip" if zipped else "given"), Settings(policies=True, zipped=zipped))
    folder = tmp_path / "elsewhere"
    if zipped:
        with zipfile.ZipFile(given) as archive:
            archive.extractall(folder)
        folder = folder / "given"
    else:
        given.rename(folder)
    waiting, seen = [(folder / "index.html").as_uri()], set()
    while waiting:
        address = waiting.pop()
        if address in seen or not address.endswith(".html"):
            continue
        seen.add(address)
        offline_tab.goto(address)
        offline_tab.evaluate("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
        offline_tab.wait_for_function("[...document.images].every(image => image.complete)")
        assert broken(offline_tab) == []
        links = offline_tab.evaluate(
            "[...document.querySelectorAll('a[href]')].map(link => link.href.baseVal ?? link.href)"
        )
        waiting += [offline_tab.evaluate("link => new URL(link, document.baseURI).href", link) for link in links]
    assert len(seen) == 2  # the index and the report
    assert offline_tab.asked == []
    assert offline_tab.said == []


def test_names_from_others_do_nothing(offline_tab, tmp_path):
    """Every text of an experiment's files is somebody's attack."""
    entry = {
        "chain": EVIL, "generation": 1, "stage": EVIL, "folder": "gen_001/a", "state": "failed", "why": EVIL, "seconds": 1.0,
        "error": EVIL, "attempt": 2,
    }  # fmt: skip
    second = {**entry, "generation": 2, "folder": "gen_002/a", "state": "finished"}
    for one in (entry, second):
        folder = tmp_path / "x" / one["folder"]
        artifacts = {"policy": {"path": f"{one['folder']}/policy", "hash": EVIL}}
        metrics = {
            EVIL: 1.0,
            "text": EVIL,
            "win_rate": [0.5, 0.4, 0.6],
            f"rating/{EVIL}": [1, 0, 2],
            "rating/b": [1, 0, 2],
        }
        write_json(folder / "result.json", {"metrics": metrics, "artifacts": artifacts, "provenance": {}})
        write_json(folder / "policy/policy.json", {"id": EVIL, "lineage": {"parent": EVIL, "trained_by": EVIL}})
        write_json(
            folder / "request.json",
            {"parameters": {EVIL: EVIL, "policy": EVIL}, "inputs": {f"${{{EVIL}.{EVIL}}}@1": "h"}},
        )
        cell = {"index": 0, "of": 1, "title": EVIL}
        write_json(
            folder / "status.json", {"state": one["state"], "message": EVIL, "error": {"tail": EVIL}, "cell": cell}
        )
        picture = io.BytesIO()
        Image.new("RGB", (4, 4)).save(picture, "PNG")
        (folder / "thumbnail.png").write_bytes(picture.getvalue())
        (folder / "report.html").write_text("x")
    about = {
        "name": EVIL,
        "description": EVIL,
        "file": EVIL,
        "overrides": [EVIL],
        "message": EVIL,
        "updated": EVIL,
        "started": EVIL,
    }
    write_json(tmp_path / "x/experiment.json", {**about, "state": "failed", "stages": [entry, second]})
    write_json(tmp_path / "s/sweep.json", {"name": EVIL, "state": EVIL, "message": EVIL, "updated": EVIL})
    write_json(tmp_path / "manual/a/status.json", {"state": EVIL, "message": EVIL, "updated": EVIL})
    for page in (write_index(tmp_path / "x"), write_overview(tmp_path)):
        go(offline_tab, page)
        assert offline_tab.evaluate("typeof pwned") == "undefined"
        assert "<script>pwned=1</script>" in offline_tab.inner_text("body")  # shown, not run
        assert broken(offline_tab) == []
    assert offline_tab.asked == []
    assert offline_tab.said == []
