"""Learning from games played for the purpose: a mixture made one policy, a best response by what went well."""

from dataclasses import replace

import pytest

from workbench import metagame
from workbench.arena import SerialExecutor, collect
from workbench.data.datasets import Dataset
from workbench.data.trajectories import held_out
from workbench.envs import env_spec
from workbench.metagame.exploitability import GameTree, expected_value, policy_table
from workbench.metagame.offline import PRESETS
from workbench.metagame.sequences import SequenceForm
from workbench.policies import Policy, PolicySettings, load_policy
from workbench.policies.mixture import Mixture

OPTIONS = {"batch_size": 8, "executor": SerialExecutor()}


def fresh(seed: int = 0) -> Policy:
    policy = Policy.create(env_spec("kuhn"), PolicySettings(hidden=(16,)), seed, device="cpu")
    policy.id = "learner"
    return policy


def earned(policy: Policy, opponent: str) -> float:
    """What it wins a game on average, exactly, half of the games in either seat."""
    game = SequenceForm.of("kuhn")
    mine, theirs = (policy_table(player, game.tree) for player in (policy, load_policy(opponent)))
    both = (
        expected_value(game.tree, game.joint(mine, theirs)),
        -expected_value(game.tree, game.joint(theirs, mine)),
    )
    return sum(both) / 2


def test_presets_are_those_that_users_of_psro_know():
    standard = metagame.offline_settings("standard")
    assert (standard.games, standard.epochs, standard.learning_rate, standard.replay_share) == (500, 3, 3e-5, 0.5)
    assert metagame.offline_settings("thorough").epochs == 5
    assert metagame.offline_settings("standard", {"games": 40}) == replace(PRESETS["standard"], games=40)
    with pytest.raises(KeyError, match="no preset 'slow'; expected one of standard"):
        metagame.offline_settings("slow")
    with pytest.raises(TypeError, match="no setting 'speed'"):
        metagame.offline_settings("standard", {"speed": 1})
    with pytest.raises(ValueError, match=r"replay_share=1\.0"):
        metagame.offline_settings("standard", {"replay_share": 1.0})


def test_a_distilled_policy_mixes_as_its_teacher_does(tmp_path):
    teacher = Mixture("half", [load_policy("kuhn/bet"), load_policy("kuhn/pass")], [0.5, 0.5])
    pupil = fresh()
    settings = metagame.offline_settings("distillation", {"games": 300, "epochs": 8, "learning_rate": 0.03})
    history = metagame.distil("kuhn", pupil, teacher, ["random"], settings, folder=tmp_path, **OPTIONS)
    tree = GameTree.of("kuhn")
    table = policy_table(pupil, tree)
    opening = tree.previous < 0
    assert table[opening][:, 1] == pytest.approx(0.5, abs=0.15)
    assert (table[~opening][:, 0] > 0.8).all()  # asked again after passing, the one who passes folds
    assert history[-1]["validation/loss"] < history[0]["validation/loss"]


def test_an_offline_response_learns_to_beat_whom_it_met_and_goes_on_after_a_stop(tmp_path):
    settings = metagame.offline_settings("standard", {"games": 300, "epochs": 6, "learning_rate": 0.03})
    learner = fresh()
    metagame.respond_offline("kuhn", learner, "kuhn/pass", settings, folder=tmp_path / "a", **OPTIONS)
    assert earned(fresh(), "kuhn/pass") < 0.6 and earned(learner, "kuhn/pass") > 0.8  # 1 by always betting

    class Stopped(Exception):
        pass

    def stop(done, total, what):
        if what == "learning from them" and done > total / 2:
            raise Stopped

    other = fresh()
    with pytest.raises(Stopped):
        metagame.respond_offline("kuhn", other, "kuhn/pass", settings, folder=tmp_path / "b", progress=stop, **OPTIONS)
    other = fresh()
    metagame.respond_offline("kuhn", other, "kuhn/pass", settings, folder=tmp_path / "b", **OPTIONS)
    assert all((learner.arrays()[name] == array).all() for name, array in other.arrays().items())


def test_replays_take_their_share_and_a_collector_plays_in_its_place(tmp_path):
    replays = collect("kuhn", "kuhn/pass", ["kuhn/bet"], games=40, folder=tmp_path / "replays", **OPTIONS).folder
    settings = metagame.offline_settings("standard", {"games": 40, "epochs": 2, "batch_size": 1})
    steps = {}
    for name, given in {"alone": {}, "mixed": {"replays": replays}}.items():
        history = metagame.respond_offline(
            "kuhn", fresh(), "random", settings, folder=tmp_path / name, collector=load_policy("kuhn/nash"), **given,
            **OPTIONS,
        )  # fmt: skip
        steps[name] = history[-1]["step"]
    # an epoch goes once through what was collected, so half of it from replays takes twice as many batches
    assert steps["mixed"] == 2 * steps["alone"] > 0


def test_an_epoch_goes_through_all_of_a_long_game(tmp_path):
    """Games of one or two decisions, cut into stretches of one: an update for each decision."""
    settings = metagame.offline_settings("distillation", {"games": 40, "epochs": 1, "batch_size": 1, "length": 1})
    teacher = Mixture("passes", [load_policy("kuhn/pass")], [1.0])
    history = metagame.distil("kuhn", fresh(), teacher, ["random"], settings, folder=tmp_path, **OPTIONS)
    learned = Dataset(tmp_path / "games", split="train", seen_from=["passes"]).folders[0].entries
    assert history[-1]["step"] == sum(entry.decisions for entry in learned) > len(learned)


def test_of_few_games_some_are_held_out_whatever_chance_says(tmp_path):
    unlucky = 0
    for seed in range(8):
        settings = metagame.offline_settings("distillation", {"games": 10, "epochs": 1})
        folder = tmp_path / str(seed)
        teacher = Mixture("bets", [load_policy("kuhn/bet")], [1.0])
        history = metagame.distil("kuhn", fresh(), teacher, [], settings, folder=folder, seed=seed, **OPTIONS)
        assert "validation/loss" in history[0]
        ids = {entry.game.match_id for part in Dataset(folder / "games").folders for entry in part.entries}
        unlucky += not any(held_out(id, 0.1, 0) for id in ids)
    assert unlucky  # a tenth of these would have been nothing
