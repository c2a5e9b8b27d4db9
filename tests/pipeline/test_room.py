"""Disk and memory: before a run, before a stage, while it runs; with stages that are only pretended."""

from pathlib import Path

import pytest

from workbench.pipeline import room
from workbench.pipeline import status as states
from workbench.pipeline.files import write_json
from workbench.pipeline.room import NoRoom, Room, free_memory, parse_size, size

LOOP = {
    "collect": {"parameters": {"policy": "${previous.train.policy}"}, "initial": {"policy": "random"}},
    "train": {"parameters": {"dataset": "${collect.dataset}"}},
    "judge": {},
}


def test_sizes_are_read_and_said():
    sizes = ["500M", "2 GB", "1.5g", "0", "7kb"]
    assert [parse_size(text) for text in sizes] == [500_000_000, 2_000_000_000, 1_500_000_000, 0, 7000]
    assert [size(count) for count in (12, 640_000, 1_234_000_000)] == ["12 bytes", "640 kB", "1.23 GB"]
    with pytest.raises(ValueError, match="such as 500M"):
        parse_size("much")


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_memory_counts(tmp_path, version):
    names = {
        1: ("memory/", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_", "4:memory:/box/one\n"),
        2: ("", "memory.max", "memory.current", "", "0::/box/one\n"),
    }[version]
    base, limit, used, prefix, line = names
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("9:cpu:/box\n" + line)
    inner, outer = tmp_path / f"sys/fs/cgroup/{base}box/one", tmp_path / f"sys/fs/cgroup/{base}box"
    inner.mkdir(parents=True)
    for group, most, taken in ((inner, "max", 70_000), (outer, "100000", 90_000)):
        (group / limit).write_text(f"{most}\n")
        (group / used).write_text(f"{taken}\n")
        (group / "memory.stat").write_text(f"rss 1\n{prefix}inactive_file 4000\n{prefix}active_file 1000\n")
    assert free_memory(tmp_path) == 15_000
    assert free_memory(tmp_path / "nowhere") > 15_000


def test_a_run_does_not_begin_without_room(go, write, monkeypatch):
    file = write(LOOP)
    with pytest.raises(NoRoom, match=r"not started: .* are free on the disk .*--min-disk"):
        go(file, min_disk=10**18)
    monkeypatch.setattr(room, "_PATIENCE", 0.1)
    with pytest.raises(NoRoom, match=r"of memory are free.*--min-memory"):
        go(file, min_memory=10**18)
    assert not Path("outputs/x/experiment.json").exists()
    assert go(file, min_disk=0, min_memory=0)[0] == 0
    assert go.found()["stages"][0]["bytes"] > 0


def test_what_stages_took_before_is_asked_for(go, write):
    file = write(LOOP, generations=2)
    go(file)
    document = go.found()
    for entry in document["stages"]:
        entry.update(bytes=10**17, state="pending")
    write_json("outputs/x/experiment.json", document)
    with pytest.raises(NoRoom, match=r"about 6e[+]05 TB are needed as measured before"):
        go(file)


def test_a_stage_is_stopped_before_memory_runs_out(go, write, monkeypatch):
    monkeypatch.setattr(room, "_LOOK_EVERY", 0.0)

    def grows(folder, tick):
        monkeypatch.setattr(room, "free_memory", lambda: 1000)
        for _ in range(9):
            tick({})

    code, entries, _, said = go(write(LOOP), {"collect": [grows]})
    assert code == states.EXIT_CODES["out of room"] == 7
    assert (entries["collect 1"]["state"], entries["train 1"]["state"]) == ("interrupted", "pending")
    assert go.found()["message"].startswith("stopped: 1 kB of memory are free, and 250 MB have to stay free")
    assert "stopping: 1 kB of memory" in said


def test_low_memory_has_to_last_and_a_full_disk_has_not(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_LOOK_EVERY", 0.0)
    monkeypatch.setattr(room, "free_memory", iter([5, 900, 5, 5]).__next__)
    watched = Room(tmp_path, disk=0, memory=100)
    assert [bool(watched.runs_out()) for _ in range(4)] == [False, False, False, True]
    assert "on the disk of" in Room(tmp_path, disk=10**18, memory=0).runs_out()


def test_memory_that_is_being_given_back_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "free_memory", iter([5, 5, 900]).__next__)
    monkeypatch.setattr(room.time, "sleep", lambda seconds: None)
    assert Room(tmp_path, disk=0, memory=100).still_lacks(memory=700) == ""
    monkeypatch.setattr(room, "free_memory", lambda: 5)
    monkeypatch.setattr(room, "_PATIENCE", 0.0)
    assert "about 700 bytes are needed as measured before" in Room(tmp_path, disk=0, memory=100).still_lacks(memory=700)
