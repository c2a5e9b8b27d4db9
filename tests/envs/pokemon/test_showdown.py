"""Finding and installing Node and Showdown; npm itself is replaced by a fake that writes what npm would."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from workbench.envs.pokemon import showdown

LOCK = showdown.LOCK_FOLDER / "package-lock.json"


def write_package(folder, version):
    package = folder / "node_modules" / "pokemon-showdown"
    package.mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"version": version}))


def test_lock_names_no_host_and_pins_every_package_by_hash():
    lock = json.loads(LOCK.read_text())
    assert lock["packages"]["node_modules/pokemon-showdown"]["version"] == "0.11.11" == showdown.pinned_version()
    for name, package in lock["packages"].items():
        assert "resolved" not in package, name
        assert name == "" or package["integrity"].startswith("sha512-"), name


def test_install_folder_follows_the_lock_and_the_variable(monkeypatch, tmp_path):
    monkeypatch.delenv(showdown.LOCATION_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert showdown.install_folder().parent == tmp_path / "workbench"
    assert re.fullmatch("showdown-[0-9a-f]{12}", showdown.install_folder().name)
    monkeypatch.setenv(showdown.LOCATION_VARIABLE, str(tmp_path / "mine"))
    assert showdown.install_folder() == tmp_path / "mine"


def test_missing_showdown_names_the_folder_and_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv(showdown.LOCATION_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(showdown.ShowdownMissing, match=r"0\.11\.11.*none.*workbench setup"):
        showdown.showdown_folder()
    node, missing = showdown.checks()
    assert node.ok and not node.remedy
    assert (missing.name, missing.ok, missing.remedy) == ("Showdown", False, "workbench setup")


def test_another_version_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv(showdown.LOCATION_VARIABLE, str(tmp_path))
    write_package(tmp_path, "0.10.0")
    with pytest.raises(showdown.ShowdownMissing, match=r"holds Pokémon Showdown 0\.10\.0.*needs 0\.11\.11"):
        showdown.showdown_folder()
    with pytest.raises(showdown.ShowdownMissing, match="not empty"):
        showdown.install(tmp_path)


def test_install_is_atomic_and_done_once(monkeypatch, tmp_path):
    calls = []

    def fake_npm(folder):
        calls.append(folder)
        assert not (tmp_path / "showdown").exists()
        write_package(folder, showdown.pinned_version())

    monkeypatch.setattr(showdown, "_npm_ci", fake_npm)
    said = []
    package = showdown.install(tmp_path / "showdown", say=said.append)
    assert package == tmp_path / "showdown" / "node_modules" / "pokemon-showdown"
    assert len(said) == 2
    assert showdown.install(tmp_path / "showdown", say=said.append) == package
    assert len(calls) == 1 and len(said) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["showdown"]


def test_failed_install_leaves_nothing(monkeypatch, tmp_path):
    def broken_npm(folder):
        write_package(folder, showdown.pinned_version())
        raise showdown.ShowdownMissing("disk full")

    monkeypatch.setattr(showdown, "_npm_ci", broken_npm)
    with pytest.raises(showdown.ShowdownMissing, match="disk full"):
        showdown.install(tmp_path / "showdown")
    assert list(tmp_path.iterdir()) == []


def test_two_installs_at_once_do_not_break_each_other(monkeypatch, tmp_path):
    together = threading.Barrier(2)

    def slow_npm(folder):
        write_package(folder, showdown.pinned_version())
        together.wait(timeout=20)

    monkeypatch.setattr(showdown, "_npm_ci", slow_npm)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(showdown.install, [tmp_path / "showdown"] * 2)
    assert first == second
    assert showdown.installed_version(tmp_path / "showdown") == showdown.pinned_version()
    assert [path.name for path in tmp_path.iterdir()] == ["showdown"]


def test_npm_failure_is_reported_in_its_words(monkeypatch, tmp_path):
    monkeypatch.setattr(showdown, "_npm_command", lambda: [str(showdown.node_executable()), "-e", "throw 'no network'"])
    with pytest.raises(showdown.ShowdownMissing, match=r"(?s)exit status 1.*registry.*no network"):
        showdown.install(tmp_path / "showdown")


def test_node_is_new_enough_and_has_npm():
    assert int(showdown.node_version(showdown.node_executable()).lstrip("v").split(".")[0]) >= showdown.OLDEST_NODE
    assert showdown._npm_command()


@pytest.mark.showdown
def test_checks_pass_on_the_installed_showdown():
    found = showdown.checks()
    assert [check.name for check in found] == ["Node", "Showdown", "Showdown's simulator"]
    assert all(check.ok and not check.remedy for check in found)
