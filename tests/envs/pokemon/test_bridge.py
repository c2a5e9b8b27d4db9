"""Node processes: same battles as Showdown's own, deterministic, and not to be stopped by a dead process."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from workbench.envs.conformance import random_actions
from workbench.envs.core import game_seed
from workbench.envs.pokemon import reference, teams
from workbench.envs.pokemon.bridge import Simulators
from workbench.envs.pokemon.env import Gen1OUEnv
from workbench.envs.pokemon.node_process import SimulatorDied

pytestmark = pytest.mark.showdown


def competitive():
    return [team.packed for team in teams.load("competitive")]


def played(env, steps, disturb=None, seed=3):
    """Everything a run shows: views, rewards, ends, step by step."""
    timestep = env.reset(seed)
    frames = []
    for step in range(steps):
        if disturb is not None:
            disturb(env, step, "before")
        env.step_begin(random_actions(timestep, 11, step))
        if disturb is not None:
            disturb(env, step, "during")
        timestep = env.step_end()
        ends = (timestep.terminated, timestep.truncated, timestep.game_seed)
        frames.append([array.copy() for array in (env.view, timestep.reward, timestep.legal[0], *ends)])
    return frames


def assert_same(ours, theirs):
    for step, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"step {step}")


def test_battles_are_showdowns_own_to_the_last_random_number():
    report = reference.compare(competitive(), games=15, seed=4)
    assert report["difference"] is None
    assert report["games"] == 15 and report["steps"] > 500


def test_so_are_battles_of_odd_teams_with_every_shape_of_request(odd_teams):
    report = reference.compare(odd_teams, games=50, seed=1)
    assert report["difference"] is None
    expected = {
        "list", "wait", "force", "fight", "struggle", "recharge trapped", "some disabled", "wrap", "clamp",
        "firespin", "bind", "bide", "rage trapped", "thrash trapped", "petaldance trapped", "fly trapped", "dig trapped",
        "list maybeLocked",
    }  # fmt: skip
    assert expected <= report["requests"].keys()


def test_a_slot_plays_the_same_games_whatever_the_processes_and_the_batch():
    with Gen1OUEnv(6, processes=1) as one, Gen1OUEnv(6, processes=3) as three:
        assert len(three.pids) == 3
        assert_same(played(one, 60), played(three, 60))


def test_first_slot_splits_a_batch():
    with Gen1OUEnv(4) as whole, Gen1OUEnv(2, first_slot=2) as half:
        timestep, part = whole.reset(9), half.reset(9)
        for step in range(30):
            np.testing.assert_array_equal(whole.view[2:], half.view)
            actions = random_actions(timestep, 1, step)
            timestep, part = whole.step(actions), half.step(actions[2:])
        assert part.game_seed.tolist() == timestep.game_seed[2:].tolist()


def test_teams_are_drawn_from_the_games_seed_as_node_draws_them():
    with Simulators(np.arange(5), (competitive(), competitive())) as simulators:
        simulators.reset(21)
        drawn = simulators.teams()
        seeds = game_seed(21, np.arange(5), 0)
        assert simulators.head["seed"].tolist() == seeds.tolist()
        for slot, pair in enumerate(drawn):
            for side, packed in zip(simulators.describe(slot)["sides"], pair, strict=True):
                species = sorted(member.split("|")[1] or member.split("|")[0] for member in packed.split("]"))
                assert sorted(pokemon["name"] for pokemon in side["pokemon"]) == species
        assert len({pair[0] for pair in drawn} | {pair[1] for pair in drawn}) > 3


@pytest.mark.parametrize("moment", ["before", "during"])
def test_a_killed_process_is_replaced_and_nothing_changes(moment, caplog):
    def kill(env, step, phase):
        if step in (7, 8, 40) and phase == moment:
            os.kill(env.pids[step % 2], signal.SIGKILL)

    with Gen1OUEnv(4, processes=2, turn_limit=25) as calm, Gen1OUEnv(4, processes=2, turn_limit=25) as troubled:
        expected = played(calm, 60)
        assert any(frame[4].any() for frame in expected)  # games ended before and after the crashes
        assert_same(expected, played(troubled, 60, kill))
        assert calm.crashes == 0 and troubled.crashes == 3
    assert "is replaced and its 2 battles are replayed" in caplog.text


def test_a_process_that_hangs_is_replaced():
    def stop(env, step, phase):
        if step == 5 and phase == "before":
            os.kill(env.pids[0], signal.SIGSTOP)

    with Gen1OUEnv(2) as calm, Gen1OUEnv(2, timeout=1.0) as troubled:
        assert_same(played(calm, 10), played(troubled, 10, stop))
        assert troubled.crashes == 1


def test_reset_and_restore_survive_a_dead_process():
    with Gen1OUEnv(2) as env:
        first = played(env, 12)
        state = env.state()
        view = env.view.copy()
        os.kill(env.pids[0], signal.SIGKILL)
        env.restore(state)
        np.testing.assert_array_equal(env.view, view)
        os.kill(env.pids[0], signal.SIGKILL)
        assert_same(first, played(env, 12))
        assert env.crashes == 2


@pytest.mark.parametrize("stopped", [0, 1])
def test_an_interrupted_step_can_be_gone_on_from(stopped):
    """Ctrl-C in the middle of a step: nothing is lost, and the answers that came late confuse nobody."""

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with Gen1OUEnv(4, processes=2) as env, Gen1OUEnv(4, processes=2) as calm:
            timestep, expected = env.reset(2), calm.reset(2)
            for step in range(12):
                actions = random_actions(expected, 1, step)
                if step == 6:
                    os.kill(env.pids[stopped], signal.SIGSTOP)
                env.step_begin(actions)
                if step == 6:
                    signal.setitimer(signal.ITIMER_REAL, 0.2)
                    with pytest.raises(KeyboardInterrupt):
                        env.step_end()
                timestep, expected = env.step_end(), calm.step(actions)
                np.testing.assert_array_equal(env.view, calm.view)
                np.testing.assert_array_equal(timestep.reward, expected.reward)
            assert env.crashes == 1
            env.step_begin(random_actions(expected, 1, 12))
            np.testing.assert_array_equal(env.reset(2).legal[0], calm.reset(2).legal[0])  # the step is given up
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_process_that_keeps_dying_is_an_error_with_its_last_words():
    with Simulators(np.arange(2), (competitive(), competitive())) as simulators:
        simulators.reset(0)
        with pytest.raises(SimulatorDied, match=r"3 times in the same step.*(?s:.)*Can't switch"):
            simulators.begin_step(np.array([[-1, -1], [1, 1]]))  # nobody switches to the Pokémon that is out
            simulators.end_step()
        simulators.reset(0)
        simulators.begin_step(np.array([[1, 1], [1, 1]]))
        assert simulators.end_step() == 0


def test_the_first_failure_names_a_broken_installation(tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.envs.pokemon.showdown.showdown_folder", lambda: tmp_path)
    with pytest.raises(SimulatorDied, match="Cannot find module"):
        Simulators(np.arange(1), (["Tauros"], ["Tauros"]))


def test_no_process_is_left_when_python_dies():
    script = (
        "import os, signal\nfrom workbench.envs.pokemon.env import Gen1OUEnv\n"
        "env = Gen1OUEnv(2, processes=2)\nenv.reset(0)\nprint(*env.pids, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    dead = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    pids = [int(pid) for pid in dead.stdout.split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
        assert time.monotonic() < deadline, f"{pids} still run"
        time.sleep(0.05)


def test_close_ends_the_processes_and_may_be_called_twice():
    env = Gen1OUEnv(2, processes=2)
    pids = env.pids
    env.close()
    env.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_the_bare_loop_can_be_measured_here():
    report = reference.bare_loop(competitive(), battles=4, seconds=0.3)
    assert report["steps"] > 20 and report["cpu_seconds"] > 0


def test_impossible_numbers_are_refused():
    with pytest.raises(ValueError, match="processes is 3; expected 1 to 2"):
        Simulators(np.arange(2), (competitive(), competitive()), processes=3)
    with Simulators(np.arange(1), (competitive(), competitive())) as simulators:
        with pytest.raises(RuntimeError, match="without begin_step"):
            simulators.end_step()
        with pytest.raises(IndexError, match="slot 1 of 1"):
            simulators.describe(1)
