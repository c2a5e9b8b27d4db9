"""Which paths the parameters of an experiment may name; with stages that are only pretended."""

import os
from pathlib import Path

import pytest

from workbench.pipeline.experiment import ExperimentError
from workbench.pipeline.files import hash_path, read_json, write_json

LOOP = {
    "collect": {"parameters": {"policy": "${previous.train.policy}"}, "initial": {"policy": "random"}},
    "train": {"parameters": {"dataset": "${collect.dataset}"}},
    "judge": {},
}


@pytest.fixture
def elsewhere(project, tmp_path_factory):
    """An experiment's YAML in a folder of its own; a secret beside, and a link to it inside."""
    place = tmp_path_factory.mktemp("elsewhere")
    (place / "secret.txt").write_text("42")
    (project / "params/data").mkdir(parents=True)
    (project / "params/data/own.txt").write_text("1")
    (project / "params/data/link.txt").symlink_to(place / "secret.txt")
    (project / "data").mkdir()
    (project / "data/games.txt").write_text("1")

    def _write(value):
        file = project / "params/x.yaml"
        file.write_text(f'name: x\nstages: {{collect: {{parameters: {{policy: "{value}"}}}}}}\n')
        return file

    return place, _write


@pytest.mark.parametrize(
    "value", ["random", "gen1ou/max-power", "params/data/own.txt", "outputs/x/later", "1.5", "a.b"]
)
def test_names_and_paths_inside_are_let_through(go, elsewhere, value):
    assert go(elsewhere[1](value))[0] == 0


@pytest.mark.parametrize(
    "value", ["/etc/passwd", "~/.ssh/id_rsa", "~nobody-at-all/x", "../x", "params/../../x", "params/data/link.txt", "data/games.txt"]
)  # fmt: skip
def test_paths_that_lead_outside_are_refused(go, elsewhere, value):
    with pytest.raises(
        ExperimentError, match=r"policy: .* lies outside .* --allow-path .*, or collect.policy="
    ) as refused:
        go(elsewhere[1](value))
    assert value in str(refused.value)
    assert not Path("outputs").exists()


def test_what_the_command_line_names_is_allowed(go, elsewhere):
    place, write = elsewhere
    secret = (place / "secret.txt").as_posix()
    file = write(secret)
    assert go(file, allow_paths=(place,))[0] == 0
    assert go(write("random"), overrides=[f"collect.policy={secret}"])[0] == 0
    with pytest.raises(ExperimentError, match="lies outside"):
        go(write(secret))


def test_a_result_from_others_cannot_lead_outside(go, write, tmp_path_factory):
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    secret.write_text("42")
    file = write(LOOP)
    go(file)
    result = Path("outputs/x/gen_001/01_collect/result.json")
    described = read_json(result)
    described["artifacts"]["dataset"] = {"path": os.path.relpath(secret, "outputs/x"), "hash": hash_path(secret)}
    write_json(result, described)
    with pytest.raises(ExperimentError, match=r"collect\.dataset.*leads out of outputs/x"):
        go(file)
