"""Collecting: chunks that are kept, never lost and never there twice."""

import shutil
from contextlib import nullcontext

import pandas as pd
import pytest
import torch

from workbench.arena import SerialExecutor
from workbench.arena.collect import collect
from workbench.data.datasets import Dataset
from workbench.envs import env_spec
from workbench.files import PARTIAL
from workbench.policies import Policy


def gather(folder, **changes):
    asked = {"games": 50, "games_per_chunk": 10, "batch_size": 8, "seed": 3, "executor": SerialExecutor()} | changes
    return collect("kuhn", "random", ["kuhn/nash"], folder=folder, **asked)


def seeds(matches) -> list:
    return matches.table[["match_id", "seed", "outcome"]].to_numpy().tolist()


def test_every_game_is_recorded_from_both_sides_once(tmp_path):
    collected = gather(tmp_path / "a")
    dataset = Dataset(collected.folder)
    assert len(collected.matches) == collected.played == dataset.games == 50
    assert len(dataset) == 100
    wins = sum(one.game.outcome > 0 for one in dataset if one.game.policy == "random")
    assert wins == collected.matches.score("random").wins


def test_a_second_call_plays_only_what_is_missing_and_ends_with_the_same_games(tmp_path):
    whole, cut = gather(tmp_path / "whole"), gather(tmp_path / "cut")
    for chunk in ("00001", "00003"):  # as if the call had died before these two were done, their files moved or not
        shutil.rmtree(cut.folder / "chunks" / chunk)
    again = gather(tmp_path / "cut")
    assert again.played == 20
    assert seeds(again.matches) == seeds(whole.matches)
    assert Dataset(again.folder).games == 50
    assert len(list((again.folder / "kuhn").glob("*.parquet"))) == 5
    assert not (again.folder / ".parts").exists()


def test_chunks_never_give_two_games_one_id(tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.data.recorder.NUMBERS", range(50))  # as many as there are games
    collected = gather(tmp_path)
    dataset = Dataset(collected.folder)
    assert (len(dataset), dataset.games) == (100, 50)
    numbers = {int(one.game.match_id.rsplit("-", 1)[1]) for one in dataset}
    assert numbers == set(range(50))


@pytest.mark.parametrize("left", ["an empty folder", "only the text", "a torn table"])
def test_a_chunk_that_was_being_saved_when_the_call_was_killed_is_played_again(tmp_path, left):
    whole, cut = gather(tmp_path / "whole"), gather(tmp_path / "cut")
    chunk = cut.folder / "chunks" / "00002"
    table = (chunk / "matches.parquet").read_bytes()
    (chunk / "matches.parquet").unlink()
    if left == "an empty folder":
        (chunk / "matches.csv").unlink()
    elif left == "only the text":
        (chunk / f".matches.parquet.1{PARTIAL}").write_bytes(table[:100])
    else:
        (chunk / "matches.parquet").write_bytes(table[:100])
    with pytest.warns(UserWarning, match="played again") if left == "a torn table" else nullcontext():
        again = gather(tmp_path / "cut")
    assert again.played == 10
    assert seeds(again.matches) == seeds(whole.matches)
    assert Dataset(again.folder).games == 50
    assert not list(again.folder.rglob(f".*{PARTIAL}"))


@pytest.mark.slow
def test_a_worker_that_dies_while_it_records_costs_no_game(tmp_path, killer_once):
    asked = {"games": 20, "games_per_chunk": 10, "batch_size": 4, "seed": 3}
    collected = collect(
        "kuhn", killer_once(tmp_path / "killed"), ["kuhn/nash"], folder=tmp_path / "a", workers=2, **asked
    )
    assert (tmp_path / "killed").exists()
    assert Dataset(collected.folder).games == len(collected.matches) == 20
    assert not (collected.folder / ".parts").exists()


def test_games_do_not_depend_on_how_opponents_share_them(tmp_path):
    two = collect(
        "kuhn", "kuhn/nash", ["random", "kuhn/nash"], games=21, games_per_chunk=6, folder=tmp_path, seed=1,
        executor=SerialExecutor(),
    )  # fmt: skip
    against = two.matches.table.apply(lambda row: "random" in (row.policy_0, row.policy_1), axis=1)
    assert against.value_counts().to_dict() == {True: 11, False: 10}


def test_a_folder_of_another_collection_is_refused(tmp_path):
    first = gather(tmp_path)
    before = pd.read_csv(first.folder / "matches.csv")
    with pytest.raises(ValueError, match="other parameters"):
        gather(tmp_path, seed=4)
    pd.testing.assert_frame_equal(before, pd.read_csv(first.folder / "matches.csv"))


def test_a_policy_that_learned_on_under_the_same_name_is_another_collection(tmp_path):
    policy = Policy.create(env_spec("kuhn"), seed=0)
    asked = {"games": 8, "batch_size": 4, "folder": tmp_path, "executor": SerialExecutor()}
    collect("kuhn", policy, ["kuhn/nash"], **asked)
    with torch.no_grad():
        policy.value_layer.bias += 1
    with pytest.raises(ValueError, match="other parameters"):
        collect("kuhn", policy, ["kuhn/nash"], **asked)


def test_fewer_games_than_opponents_are_refused(tmp_path):
    with pytest.raises(ValueError, match="games=1"):
        collect("kuhn", "random", ["kuhn/nash", "random"], games=1, folder=tmp_path)


def test_progress_counts_against_all_games_also_when_it_goes_on(tmp_path):
    told = []
    options = {"games": 12, "folder": tmp_path, "batch_size": 2, "games_per_chunk": 4, "executor": SerialExecutor()}
    for _ in range(2):
        collect("rps", "random", progress=lambda *now: told.append(now), **options)
    assert told == [(0, 12), (4, 12), (8, 12), (12, 12), (12, 12)]
