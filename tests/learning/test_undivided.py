"""What the stop button may and may not cut in two."""

import signal
import threading

import numpy as np
import pytest

from workbench import envs
from workbench.learning.ppo import PPO, PPOSettings
from workbench.learning.undivided import undivided
from workbench.policies.core import Policy
from workbench.policies.settings import PolicySettings


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_waits_until_all_is_done_and_a_second_does_not():
    done = []

    @undivided
    def work(*steps):
        for step in steps:
            press() if step == "stop" else done.append(step)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        work(1, "stop", 2)
    assert done == [1, 2] and signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        work("stop", 3, "stop", 4)
    assert done == [1, 2, 3] and signal.getsignal(signal.SIGINT) is before


def test_the_outer_one_waits_for_all_that_is_within_it():
    done = []

    @undivided
    def part():
        press() if not done else None
        done.append("part")

    @undivided
    def whole():
        part()
        part()

    with pytest.raises(KeyboardInterrupt):
        whole()
    assert done == ["part", "part"]


def test_other_threads_are_never_interrupted():
    done = []
    thread = threading.Thread(target=undivided(done.append), args=(1,))
    thread.start()
    thread.join()
    assert done == [1]


def test_training_that_is_stopped_amid_a_step_goes_on_to_the_same_end(monkeypatch):
    def trainer() -> PPO:
        env = envs.make("kuhn", 8)
        policy = Policy.create(env.spec, PolicySettings(hidden=(8,)), 0, device="cpu")
        return PPO(env, policy, PPOSettings(steps=8, minibatches=2, epochs=2, total_frames=256), seed=0)

    undisturbed, stopped = trainer(), trainer()
    undisturbed.update(), undisturbed.update()
    step = stopped.env.step

    def interrupted(actions):
        monkeypatch.setattr(stopped.env, "step", step)
        press()
        return step(actions)

    monkeypatch.setattr(stopped.env, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stopped.update()
    stopped.update()
    assert stopped.frames == undisturbed.frames
    weights = [trained.policy.state_dict() for trained in (undisturbed, stopped)]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
