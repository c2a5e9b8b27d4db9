"""A trial that was stopped goes on and ends with the same history."""

import pytest

from workbench import envs
from workbench.arena import SerialExecutor, collect
from workbench.data.datasets import Dataset
from workbench.learning.damping import Damping, DampingSettings
from workbench.learning.imitation import Imitation, ImitationSettings
from workbench.learning.ppo import PPO, PPOSettings
from workbench.learning.trial import run_imitation, run_trial
from workbench.policies import Policy, PolicySettings, load_policy

FRAMES = 32 * 8 * 10  # ten updates
TIMES = {"charts/SPS", "charts/seconds", "charts/collect_seconds"}


def trainer() -> PPO:
    env = envs.make("kuhn", 32)
    policy = Policy.create(env.spec, PolicySettings(hidden=(8,)), device="cpu")
    damping = Damping(policy, DampingSettings(reference="moving"))
    return PPO(env, policy, PPOSettings(steps=8, total_frames=FRAMES), damping=damping)


def without_times(history: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name not in TIMES} for row in history]


class Stopped(Exception):
    pass


def test_stopped_and_gone_on_with_it_is_the_same(tmp_path):
    whole = run_trial(trainer(), FRAMES, tmp_path / "whole", measure=lambda policy: {"width": 8.0}, measurements=5)

    def stop_at_seven(done, total):
        if done >= 7 * 256:
            raise Stopped

    with pytest.raises(Stopped):
        run_trial(trainer(), FRAMES, tmp_path / "cut", measurements=5, save_every=3, measure=lambda policy: {"width": 8.0},
                  progress=stop_at_seven)  # fmt: skip
    rest = run_trial(trainer(), FRAMES, tmp_path / "cut", measurements=5, measure=lambda policy: {"width": 8.0})
    assert without_times(rest) == without_times(whole) and len(whole) == 10
    assert [row["step"] for row in whole if "width" in row] == [512, 1024, 1536, 2048, 2560]
    one, other = (load_policy(tmp_path / name / "policy").arrays() for name in ("whole", "cut"))
    assert all((one[name] == other[name]).all() for name in one)


def test_a_finished_trial_trains_no_further(tmp_path):
    first = run_trial(trainer(), FRAMES, tmp_path)
    again = run_trial(trainer(), FRAMES, tmp_path)
    assert again == first


def test_an_imitation_stopped_and_gone_on_with_is_the_same(tmp_path):
    games = collect("kuhn", "kuhn/bet", games=40, folder=tmp_path / "games", executor=SerialExecutor()).folder

    def pupil() -> Imitation:
        policy = Policy.create(envs.env_spec("kuhn"), PolicySettings(hidden=(8,)), device="cpu")
        held_out = Dataset(games, split="validation", validation_fraction=0.3)
        settings = ImitationSettings(batch_size=8, total_updates=10, learning_rate=1e-2)
        training = Dataset(games, split="train", validation_fraction=0.3)
        return Imitation(policy, training, settings, held_out.in_batches(8))

    def stop_at_seven(done, total):
        if done >= 7:
            raise Stopped

    whole = run_imitation(pupil(), tmp_path / "whole", validate_every=3)
    with pytest.raises(Stopped):
        run_imitation(pupil(), tmp_path / "cut", validate_every=3, progress=stop_at_seven)
    rest = run_imitation(pupil(), tmp_path / "cut", validate_every=3)
    again = run_imitation(pupil(), tmp_path / "cut", validate_every=3)
    assert without_times(rest) == without_times(whole) == without_times(again)
    assert [row["step"] for row in whole if "validation/loss" in row] == [0, 3, 6, 9, 10]
    assert whole[-1]["validation/loss"] < whole[0]["validation/loss"]
    one, other = (load_policy(tmp_path / name / "policy").arrays() for name in ("whole", "cut"))
    assert all((one[name] == other[name]).all() for name in one)
