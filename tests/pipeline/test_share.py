"""What is handed out opens anywhere, leads nowhere outside, and tells nobody who made it."""

import base64
import io
import json
import re
import socket
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from workbench.pipeline.files import read_json, write_json
from workbench.pipeline.index import write_index
from workbench.pipeline.notebook_io import nbformat
from workbench.pipeline.page import loads_from_outside
from workbench.pipeline.report import write_report
from workbench.pipeline.scrub import Identity, scrubbed, traces, without_text_fields
from workbench.pipeline.share import Settings, ShareError, share

HOME, USER, HOST = "/home/zaphodbeeblebrox", "zaphodbeeblebrox", "heartofgold-17"
SECRETS = [HOME, USER, HOST]


@pytest.fixture
def somebody(monkeypatch, tmp_path):
    """A user of whom much must not be told."""
    monkeypatch.setenv("HOME", HOME)
    for name in ("USER", "LOGNAME"):
        monkeypatch.setenv(name, USER)
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr(socket, "gethostname", lambda: f"{HOST}.example.org")
    monkeypatch.chdir(tmp_path)


def picture(kind="PNG"):
    buffer = io.BytesIO()
    image = Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(20, 20, 3))
    if kind == "PNG":
        about = PngInfo()
        about.add_text("Author", USER)
        about.add_itxt("Where", HOME, zip=True)
        image.save(buffer, "PNG", pnginfo=about)
    else:
        exif = Image.Exif()
        exif[0x013B] = USER
        image.save(buffer, "JPEG", exif=exif, comment=HOST.encode())
    return buffer.getvalue()


def encoded(content):
    return base64.b64encode(content).decode()


SAID = f"saved to {HOME}/runs/x by {USER}@{HOST}: see file://{HOME}/a and /Users/{USER}/b, {USER.upper()}\n"


def make_stage(folder, name="judge"):
    folder.mkdir(parents=True)
    page = f'<b>{SAID}</b><img src="data:image/png;base64,{encoded(picture())}">'
    drawing = f"<svg xmlns='http://www.w3.org/2000/svg'><text>{SAID}</text></svg>"
    outputs = [
        new_output("stream", text=SAID * 3),
        new_output("display_data", data={"image/png": encoded(picture()), "text/plain": SAID}),
        new_output("display_data", data={"image/jpeg": encoded(picture("JPEG"))}),
        new_output("display_data", data={"text/html": page}),
        new_output("display_data", data={"image/svg+xml": drawing}),
        new_output("error", ename="E", evalue=SAID, traceback=[SAID]),
    ]
    cells = [
        new_markdown_cell(f"# Title\n\n[other](../elsewhere.ipynb) [out](../../../../x.html) [web](https://example.org) {SAID}"),
        new_code_cell("games: int = 3", metadata={"tags": ["parameters"]}),
        new_code_cell(f"# {SAID}show()", outputs=outputs),
    ]  # fmt: skip
    request = {
        "stage": name,
        "experiment": "x",
        "generation": 1,
        "experiment_folder": "../..",
        "parameters": {"path": f"{HOME}/data"},
    }
    nbformat.write(new_notebook(cells=cells, metadata={"workbench": {"request": request}}), folder / "notebook.ipynb")
    write_json(folder / "request.json", request)
    write_json(folder / "status.json", {"state": "finished", "message": ""})
    artifacts = {"policy": {"path": f"gen_001/{name}/policy", "hash": "h"}}
    write_json(
        folder / "result.json",
        {"metrics": {f"win against {USER}": 0.5}, "artifacts": artifacts, "provenance": {"host": HOST}},
    )
    (folder / "metrics.jsonl").write_text(
        json.dumps({"step": 1, "note": SAID, "loss": 0.5}) + "\n" + '{"torn": "' + SAID
    )
    (folder / "figures").mkdir()
    (folder / "figures/a.png").write_bytes(picture())
    (folder / "figures/b.svg").write_text(drawing)
    (folder / f"of-{USER}.csv").write_text("a,b\n1," + SAID)
    write_json(folder / "policy/policy.json", {"id": "p", "lineage": {"parent": f"{HOME}/p"}})
    (folder / "policy/policy.safetensors").write_bytes(b"\0" * 64)
    (folder / "dataset").mkdir()
    (folder / "dataset/games.bin").write_bytes(b"\1" * 64)
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint/state.json").write_text("{}")
    (folder / "link.csv").symlink_to("/etc/hostname")


def make_experiment(folder):
    for name in ("judge", "again"):
        make_stage(folder / "gen_001" / name, name)
        write_report(folder / "gen_001" / name)
    common = {"chain": "", "generation": 1, "seconds": 1.0, "why": f"because of {HOME}", "state": "finished"}
    entries = [{**common, "stage": name, "folder": f"gen_001/{name}"} for name in ("judge", "again")]
    entries.append({**common, "stage": "later", "folder": "gen_001/later", "state": "pending"})
    write_json(
        folder / "experiment.json",
        {"name": "x", "file": f"{HOME}/x.yaml", "overrides": [f"a.b={HOME}"], "state": "running", "message": SAID,
         "process": {"pid": 1, "started": 0.0}, "started": "2026-11-20T04:00", "updated": "2026-11-20T05:00", "stages": entries},
    )  # fmt: skip
    write_index(folder)
    return folder


def unpacked(folder):
    """Every byte of a folder, and of what is encoded in its notebooks and pages."""
    for file in sorted(folder.rglob("*")):
        yield file.name, file.name.encode()
        if file.is_file():
            content = file.read_bytes()
            yield file.name, content
            for found in re.findall(rb"[A-Za-z0-9+/]{40,}={0,2}", content.replace(b"\\n", b"")):
                yield file.name, base64.b64decode(found + b"=" * (-len(found) % 4))


def told(folder):
    return {
        (name, secret) for name, content in unpacked(folder) for secret in SECRETS if secret.encode() in content.lower()
    }


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("href", "src") and value]


def links(page):
    reader = Links()
    reader.feed(page.read_text())
    return [link for link in reader.found if not link.startswith(("data:", "https://", "#"))]


def test_the_experiment_itself_does_tell(somebody, tmp_path):
    folder = make_experiment(tmp_path / "outputs/x")
    assert len({name for name, _ in told(folder)}) > 6  # else the next tests would prove nothing


def test_a_shared_experiment_tells_nobody_and_leads_nowhere_outside(somebody, tmp_path):
    folder = share(make_experiment(tmp_path / "outputs/x"), tmp_path / "given")
    assert told(folder) == set()
    names = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert {
        "index.html",
        "gen_001/judge/report.html",
        "gen_001/judge/notebook.ipynb",
        "gen_001/judge/result.json",
    } <= names
    assert {"gen_001/judge/metrics.jsonl", "gen_001/judge/figures/a.png", "gen_001/judge/of-user.csv"} <= names
    assert "gen_001/judge/policy/policy.json" in names  # the pages' lineages are read from it
    assert not any(word in name for name in names for word in ("safetensors", "dataset", "checkpoint", "link.csv"))
    for page in folder.rglob("*.html"):
        assert loads_from_outside(page.read_text()) == []
        for link in links(page):
            found = (page.parent / unquote(link)).resolve()
            assert found.is_file() and found.is_relative_to(folder), (page, link)
    index = (folder / "index.html").read_text()
    assert "all experiments" not in index
    assert "http-equiv" not in index  # a page that was handed out does not wait for news
    assert "its runner ended without a word" in index
    for said in ("executed notebooks", "left out", "policies", "gen_001/judge/report.html"):
        assert said in index, said


def test_what_remains_is_whole(somebody, tmp_path):
    folder = share(make_experiment(tmp_path / "outputs/x"), tmp_path / "given", Settings(policies=True, data=True))
    stage = folder / "gen_001/judge"
    notebook = nbformat.read(stage / "notebook.ipynb", as_version=4)
    nbformat.validate(notebook)
    data = notebook.cells[2].outputs[1].data["image/png"]
    with Image.open(io.BytesIO(base64.b64decode(data))) as image, Image.open(io.BytesIO(picture())) as before:
        assert np.array_equal(np.asarray(image), np.asarray(before))
        assert image.info == {}
    assert "saved to ~/runs/x by user@host: see file://~/a and /Users/user/b, user" in notebook.cells[2].outputs[0].text
    assert read_json(stage / "result.json")["metrics"] == {"win against user": 0.5}
    assert json.loads((stage / "metrics.jsonl").read_text().splitlines()[0])["loss"] == 0.5
    assert (stage / "policy/policy.safetensors").read_bytes() == b"\0" * 64
    assert (stage / "dataset/games.bin").exists()
    assert not (stage / "checkpoint").exists()


def test_a_zip_says_no_more_than_its_files(somebody, tmp_path):
    archive = share(make_experiment(tmp_path / "outputs/x"), tmp_path / "given", Settings(zipped=True))
    assert archive == tmp_path / "given.zip"
    raw = archive.read_bytes().lower()
    assert not any(secret.encode() in raw for secret in SECRETS)
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        assert {about.date_time for about in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert all(not about.extra and not about.comment for about in opened.infolist())
        assert {Path(name).parts[0] for name in opened.namelist()} == {"given"}
        opened.extractall(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere/given/index.html").is_file()
    assert told(tmp_path / "elsewhere") == set()


def test_one_stage_and_a_sweep(somebody, tmp_path):
    make_experiment(tmp_path / "outputs/x-sweep/a=1")
    write_json(tmp_path / "outputs/x-sweep/sweep.json", {"name": "x", "state": "finished"})
    (tmp_path / "outputs/x-sweep/index.html").write_text(
        f'<a href="a=1/index.html">a</a> <a href="../index.html">up</a> <a class="c" href="{HOME}/z.html">{USER}</a>'
    )
    sweep = share(tmp_path / "outputs/x-sweep")
    assert sweep == Path("x-sweep-shared")
    assert links(sweep / "index.html") == ["a=1/index.html"]
    assert 'href="../index.html">the sweep' in (sweep / "a=1/index.html").read_text()
    assert told(sweep) == set()

    stage = share(tmp_path / "outputs/x-sweep/a=1/gen_001/judge", tmp_path / "stage")
    assert links(stage / "index.html") == ["notebook.ipynb", "result.json", "metrics.jsonl"]
    assert told(stage) == set()


def test_nothing_is_overwritten_and_nothing_half_done_is_left(somebody, tmp_path):
    folder = make_experiment(tmp_path / "outputs/x")
    (tmp_path / "given").mkdir()
    with pytest.raises(FileExistsError, match="--output"):
        share(folder, tmp_path / "given")
    with pytest.raises(FileNotFoundError, match="neither"):
        share(tmp_path / "given", tmp_path / "other")
    (folder / "gen_001/judge/dataset/games.bin").write_bytes(b"\0\0" + HOME.encode())
    with pytest.raises(ShareError, match=r"games\.bin"):
        share(folder, tmp_path / "other", Settings(data=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given", "outputs"]


def test_an_experiment_that_points_elsewhere_takes_nothing_along(somebody, tmp_path):
    folder = make_experiment(tmp_path / "outputs/x")
    make_stage(tmp_path / "private")
    (folder / "linked").symlink_to(tmp_path / "private")
    found = read_json(folder / "experiment.json")
    found["stages"][0]["folder"], found["stages"][1]["folder"] = "../../private", "linked"
    write_json(folder / "experiment.json", found)
    given = share(folder, tmp_path / "given")
    assert not list(given.rglob("*.csv"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given", "outputs", "private"]


def test_folders_called_after_their_maker_are_called_otherwise(somebody, tmp_path):
    folder = make_experiment(tmp_path / f"outputs/by-{USER}")
    (folder / "gen_001/judge").rename(folder / f"gen_001/{USER}")
    found = read_json(folder / "experiment.json")
    found["stages"][0]["folder"] = f"gen_001/{USER}"
    write_json(folder / "experiment.json", found)
    given = share(folder)
    assert given == Path("by-user-shared")
    assert "gen_001/user/report.html" in links(given / "index.html")
    assert (given / "gen_001/user/report.html").is_file()
    assert told(given) == set()


def test_further_names_are_hidden(somebody, tmp_path):
    (tmp_path / "a.txt").write_text("by Arthur, not arthurs, zaphodbeeblebrox2")
    assert scrubbed(tmp_path / "a.txt", Identity.here(("arthur",))) == b"by hidden, not arthurs, user2"


def test_short_names_go_where_names_stand_and_common_ones_stay():
    identity = Identity((("/home/vm", "~"),), (("vm", "host"),))
    assert identity.scrub("vmap, me@vm, /home/vm/x, /home/vmx, vm") == "vmap, me@host, ~/x, /home/vmx, vm"


def test_root_is_nobody(monkeypatch, somebody):
    monkeypatch.setenv("HOME", "/root")
    for name in ("USER", "LOGNAME"):
        monkeypatch.setenv(name, "root")
    assert "the square root of /root_x" in Identity.here().scrub("the square root of /root_x in /root/y")
    assert "~/y" in Identity.here().scrub("in /root/y")


def test_pictures_keep_their_pixels(tmp_path):
    for kind in ("PNG", "JPEG"):
        before, after = picture(kind), without_text_fields(picture(kind))
        assert USER.encode() not in after and len(after) < len(before)
        with Image.open(io.BytesIO(before)) as old, Image.open(io.BytesIO(after)) as new:
            assert np.array_equal(np.asarray(old), np.asarray(new))
    assert without_text_fields(b"GIF89a") == b"GIF89a"
    assert without_text_fields(picture()[:50]) == picture()[:33]  # a torn one: no worse than before


def test_traces_are_found_where_they_hide(tmp_path):
    import lz4.frame
    import pandas as pd

    identity = Identity(((HOME, "~"),), ((USER, "user"),))
    (tmp_path / "a.json.lz4").write_bytes(lz4.frame.compress(USER.encode() * 100))
    pd.DataFrame({"who": [USER] * 9, "n": range(9)}).to_parquet(tmp_path / "b.parquet")
    (tmp_path / "c.html").write_text(encoded(b"x" * 50 + USER.encode() + b" "))
    (tmp_path / "d.bin").write_bytes(b"\0" + HOME.encode() + b"\0")
    (tmp_path / "clean.bin").write_bytes(b"\0" * 99)
    assert {name: bool(traces(tmp_path / name, identity)) for name in ("a.json.lz4", "b.parquet", "c.html", "d.bin", "clean.bin")} == {
        "a.json.lz4": True, "b.parquet": True, "c.html": True, "d.bin": True, "clean.bin": False,
    }  # fmt: skip
