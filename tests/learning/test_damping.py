"""Damping: its figures by hand, each known way to get it wrong, and resuming."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench import envs
from workbench.arena import play
from workbench.data import Dataset, Recorder
from workbench.learning.damping import PRESETS, Damping, DampingSettings, reverse_kl
from workbench.learning.imitation import Imitation, ImitationSettings
from workbench.learning.ppo import PPO, PPOSettings
from workbench.pipeline.plain_yaml import load_text, resolve
from workbench.policies.core import Policy
from workbench.policies.registry import load_policy
from workbench.policies.settings import PolicySettings

HEAD = np.array([0, 2])
EXPERIMENTS = Path(__file__).resolve().parents[2] / "params"


def grid(*rows) -> np.ndarray:
    return np.array([rows], np.float32)


def policy_for(env, seed=0, **settings) -> Policy:
    return Policy.create(env.spec, PolicySettings(**{"hidden": (16,), **settings}), seed, device="cpu")


def damped_ppo(name="kuhn", games=32, damping=None, reference=None, seed=0, policy=None, **settings) -> PPO:
    env = envs.make(name, games)
    learner = policy_for(env, seed, **(policy or {}))
    held = None if damping is None else Damping(learner, damping, reference)
    return PPO(env, learner, PPOSettings(**{"steps": 8, "minibatches": 2, **settings}), seed=seed, damping=held)


# the divergence


def test_the_divergence_by_hand():
    # p = (.75, .25) against r = (.5, .5): .75 ln 1.5 + .25 ln .5 = .1308; its slope p_k (ln p_k / r_k - KL)
    found = reverse_kl(grid([np.log(3), 0]), grid([0, 0]), None, HEAD)
    assert found.kl == pytest.approx(np.array([[0.13081204]]), abs=1e-6)
    assert found.by_logits[0, 0] == pytest.approx([0.75 * (0.4054651 - 0.1308120), 0.25 * (-0.6931472 - 0.1308120)])


def test_illegal_options_count_nothing_whatever_their_logits():
    legal = np.array([[[True, True, False], [False, False, False]]])
    logits = np.array([[[np.log(3), 0, 50], [1, 2, 3]]], np.float32)
    found = reverse_kl(logits, np.zeros_like(logits), legal, np.array([0, 3]))
    assert found.kl == pytest.approx(np.array([[0.13081204, 0.0]]), abs=1e-6)
    assert found.by_logits[0, 0, 2] == 0 and (found.by_logits[0, 1] == 0).all()


def test_several_heads_agree_with_torch():
    rng = np.random.default_rng(0)
    starts = np.array([0, 3, 5, 9])
    logits, reference = (rng.normal(size=(4, 5, 9)).astype(np.float32) * 3 for _ in range(2))
    legal = rng.random((4, 5, 9)) < 0.7
    legal[..., starts[:-1]] = True
    mine = torch.tensor(logits, requires_grad=True)
    total = 0.0
    for first, end in itertools.pairwise(starts):
        allowed = torch.from_numpy(legal[..., first:end])
        logs, others = (
            torch.log_softmax(part[..., first:end].masked_fill(~allowed, -1e30), dim=-1)
            for part in (mine, torch.from_numpy(reference))
        )
        total = total + (logs.exp() * (logs - others) * allowed).sum(-1)
    total.sum().backward()
    found = reverse_kl(logits, reference, legal, starts)
    assert found.kl == pytest.approx(total.detach().numpy(), abs=1e-5) and (found.kl >= 0).all()
    assert found.by_logits == pytest.approx(mine.grad.numpy(), abs=1e-5)


# the controller and the schedules


def test_schedules_by_hand():
    env = envs.make("kuhn", 2)
    damping = Damping(policy_for(env), DampingSettings(kl=0.05, kl_power=0.5, kl_scale=1e6))
    damping.updated(3_000_000)  # (1 + 3) ** -.5 = .5, (1 + 3) ** -.7 = .3789
    assert damping.kl_coefficient == pytest.approx(0.025)
    assert damping.entropy_coefficient(9.0) == pytest.approx(0.01 * 4**-0.7)
    damping.updated(10**12)
    assert damping.entropy_coefficient(9.0) == 0.001  # its floor
    assert Damping(policy_for(env), DampingSettings(entropy=None)).entropy_coefficient(9.0) == 9.0


def test_what_the_controller_adapted_stays_whatever_the_schedules_do():
    """Too large a KL: the coefficient times 1.5, the learning rate halved; both go on from there as schedules fall."""
    env = envs.make("kuhn", 2)
    damping = Damping(policy_for(env), DampingSettings(interval=2))
    for kl in (0.02, 0.02):  # mean .02 > 1.5 * .01
        damping.stepped(kl, scheduled=1e-4)
    assert damping.kl_coefficient == pytest.approx(0.075) and damping.learning_rate(1e-4) == pytest.approx(5e-5)
    damping.updated(3_000_000)
    assert damping.kl_coefficient == pytest.approx(0.0375) and damping.learning_rate(5e-5) == pytest.approx(2.5e-5)
    damping.stepped(0.002, 5e-5)
    assert damping.kl_coefficient == pytest.approx(0.0375)  # looks every second step
    damping.stepped(0.002, 5e-5)  # mean .002 < .01 / 1.5
    assert damping.kl_coefficient == pytest.approx(0.03375) and damping.learning_rate(5e-5) == pytest.approx(2.75e-5)


def test_within_the_band_nothing_changes_and_before_the_warmup_ends_neither():
    env = envs.make("kuhn", 2)
    damping = Damping(policy_for(env), DampingSettings(interval=1, warmup=100))
    damping.stepped(1.0, 1e-4)
    assert damping.kl_multiplier == 1 and damping.learning_rate_multiplier == 1
    damping.updated(100)
    damping.stepped(0.0101, 1e-4)
    assert damping.kl_multiplier == 1 and damping.learning_rate_multiplier == 1


def test_multipliers_do_not_run_away_beyond_the_clamps():
    env = envs.make("kuhn", 2)
    damping = Damping(policy_for(env), DampingSettings(interval=1, kl_power=0, entropy_power=0))
    for _ in range(50):
        damping.stepped(1.0, 1e-4)
    assert damping.kl_coefficient == pytest.approx(0.5) and damping.learning_rate(1e-4) == pytest.approx(1e-6)
    damping.stepped(0.0, 1e-4)  # one step back has an effect at once
    assert damping.kl_coefficient == pytest.approx(0.45) and damping.learning_rate(1e-4) == pytest.approx(1.1e-6)


def test_presets_have_the_known_figures():
    assert PRESETS["baseline"] is None
    assert (PRESETS["damped"].kl, PRESETS["damped"].kl_max, PRESETS["damped"].target) == (0.05, 0.5, 0.01)
    assert (PRESETS["conservative"].kl, PRESETS["conservative"].tolerance) == (0.3, 1.25)
    assert (PRESETS["schedule"].growth, PRESETS["schedule"].entropy_min) == (2.0, 0.005)


# in training


def test_the_first_step_is_at_the_reference():
    """The reference is the policy as it was, not other weights: the KL begins at 0."""
    learner = damped_ppo(damping=DampingSettings(interval=1000), epochs=1, minibatches=1)
    assert learner.update()["damping/kl"] == pytest.approx(0.0, abs=1e-9)
    assert learner.update()["damping/kl"] > 0


def test_the_reference_stays_while_the_policy_learns():
    learner = damped_ppo(damping=DampingSettings(), policy={"backbone": "gru", "memory": 8})
    before = learner.damping.reference.arrays()
    assert all((before[name] == weights).all() for name, weights in learner.policy.arrays().items())
    for _ in range(3):
        learner.update()
    assert all((before[name] == weights).all() for name, weights in learner.damping.reference.arrays().items())
    assert any((before[name] != weights).any() for name, weights in learner.policy.arrays().items())


def test_the_reference_remembers_by_itself_and_is_in_step_with_the_decisions():
    """Its logits along two rollouts are those of a copy that lived through the games step by step."""
    learner = damped_ppo(games=4, damping=DampingSettings(kl=0.0), policy={"backbone": "gru", "memory": 8})
    reference = learner.damping.reference
    alone, found, expected = reference.frozen_copy("alone"), [], []
    state = alone.initial_state(8)
    for _ in range(2):
        rollout = learner.collector.collect()
        found.append(learner._reference(rollout).copy())
        for t in range(len(rollout.deciding)):
            state[rollout.reset[t]] = 0
            rows = np.flatnonzero(rollout.deciding[t])
            with torch.inference_mode():
                features, _, after = alone._step(
                    type(rollout.inputs)(*(part[t, rows] for part in rollout.inputs)), state[rows]
                )
                logits = alone.heads.evaluate(features, None, torch.zeros((1, len(rows), 1), dtype=torch.int64))[2]
            state[rows] = after
            expected.append((rollout.deciding[t].copy(), logits.numpy().copy()))
    for logits, (rows, alone_logits) in zip(np.concatenate(found), expected, strict=True):
        assert logits[rows] == pytest.approx(alone_logits, abs=1e-5)


def test_a_reference_of_another_architecture_has_its_own_memory():
    env = envs.make("kuhn", 8)
    reference = policy_for(env, seed=5, backbone="gru", memory=4)
    learner = damped_ppo(games=8, damping=DampingSettings(), reference=reference)
    assert learner.update()["damping/kl"] > 0
    with pytest.raises(ValueError, match="another architecture"):
        damped_ppo(damping=DampingSettings(reference="moving"), reference=reference)
    with pytest.raises(ValueError, match="leduc"):
        damped_ppo(damping=DampingSettings(), reference=policy_for(envs.make("leduc", 2)))


def test_entropy_and_divergence_are_really_in_the_loss():
    """One step from the same weights on the same games: each term changes it, and in its direction."""

    def after(**damping):
        learner = damped_ppo(damping=DampingSettings(target=None, **damping), seed=3, learning_rate=3e-2)
        for _ in range(4):
            metrics = learner.update()
        return metrics["losses/entropy"], metrics["damping/kl"]

    free = after(kl=0.0, entropy=0.0, entropy_min=0.0)
    wide = after(kl=0.0, entropy=1.0)
    held = after(kl=50.0, kl_max=50.0, entropy=0.0, entropy_min=0.0)
    assert wide[0] > free[0] + 0.05
    assert held[1] < free[1] / 5


def test_a_moving_reference_follows_and_a_refreshed_one_jumps():
    learner = damped_ppo(damping=DampingSettings(reference="moving", reference_step=0.25))
    start = learner.policy.arrays()
    learner.update()
    for name, weights in learner.damping.reference.arrays().items():
        assert weights == pytest.approx(0.75 * start[name] + 0.25 * learner.policy.arrays()[name], abs=1e-6)
    learner = damped_ppo(damping=DampingSettings(reference="refreshed", refresh=2))
    learner.update()
    start = learner.damping.reference.arrays()
    learner.update()
    reference = learner.damping.reference.arrays()
    assert any((start[name] != weights).any() for name, weights in reference.items())
    assert all((reference[name] == weights).all() for name, weights in learner.policy.arrays().items())


@pytest.mark.parametrize("backbone", ["mlp", "gru"])
def test_going_on_from_a_checkpoint_ends_the_same(tmp_path, backbone):
    damping = DampingSettings(interval=3, reference="moving", target=1e-4)
    make = lambda: damped_ppo(games=8, damping=damping, policy={"backbone": backbone, "memory": 8})  # noqa: E731
    whole, first, second = make(), make(), make()
    for _ in range(6):
        whole.update()
    for _ in range(3):
        first.update()
    first.save(tmp_path)
    second.restore(tmp_path)
    for _ in range(3):
        second.update()
    assert whole.damping.kl_multiplier == second.damping.kl_multiplier != 1
    for mine, theirs in ((whole.policy, second.policy), (whole.damping.reference, second.damping.reference)):
        assert all((mine.arrays()[name] == weights).all() for name, weights in theirs.arrays().items())


def test_a_checkpoint_with_damping_needs_damping(tmp_path):
    damped_ppo(damping=DampingSettings()).save(tmp_path)
    with pytest.raises(ValueError, match="saved with damping"):
        damped_ppo().restore(tmp_path)
    with pytest.raises(ValueError, match="settings"):
        damped_ppo(damping=DampingSettings(kl=0.1)).restore(tmp_path)


# learning from recorded games


@pytest.fixture(scope="module")
def games(tmp_path_factory):
    folder = tmp_path_factory.mktemp("games")
    with envs.make("memory", 16, delay=3) as env, Recorder(env, folder, ("memory/perfect",) * 2) as recorder:
        player = load_policy("memory/perfect")
        play(env, player, player, games=64, seed=1, recorder=recorder)
        return folder, env.spec


def damped_imitation(games, damping, reference=None, backbone="gru", **settings) -> Imitation:
    folder, spec = games
    learner = Policy.create(spec, PolicySettings(backbone=backbone, hidden=(16,), memory=8), device="cpu")
    held = None if damping is None else Damping(learner, damping, reference)
    return Imitation(
        learner,
        Dataset(folder, spec=spec),
        ImitationSettings(batch_size=16, learning_rate=1e-2, **settings),
        damping=held,
    )


@pytest.mark.parametrize("backbone", ["mlp", "gru"])
def test_imitation_is_held_by_the_same_component(games, backbone):
    free = damped_imitation(games, DampingSettings(kl=0.0, target=None, entropy=None), backbone=backbone)
    held = damped_imitation(games, DampingSettings(kl=20.0, kl_max=20.0, target=None, entropy=None), backbone=backbone)
    assert free.update()["damping/kl"] == held.update()["damping/kl"] == pytest.approx(0.0, abs=1e-6)
    for _ in range(40):
        far, near = free.update()["damping/kl"], held.update()["damping/kl"]
    assert near < far / 5
    assert held.damping.frames == held.decisions


def test_a_recurrent_reference_judges_a_policy_without_memory(games):
    _, spec = games
    reference = Policy.create(spec, PolicySettings(backbone="gru", memory=4), seed=9, device="cpu")
    learner = damped_imitation(games, DampingSettings(), reference, backbone="mlp")
    assert learner.update()["damping/kl"] > 0


def test_imitation_goes_on_the_same_with_its_damping(games, tmp_path):
    how = DampingSettings(interval=3, reference="moving", target=1e-5)
    whole, first, second = (damped_imitation(games, how, unroll=2) for _ in range(3))
    for _ in range(6):
        whole.update()
    for _ in range(3):
        first.update()
    first.save(tmp_path)
    second.restore(tmp_path)
    for _ in range(3):
        second.update()
    assert whole.damping.kl_multiplier == second.damping.kl_multiplier != 1
    assert all((whole.policy.arrays()[name] == weights).all() for name, weights in second.policy.arrays().items())
    with pytest.raises(ValueError, match="saved with damping"):
        damped_imitation(games, None).restore(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"reference": "none"}, "expected one of fixed"),
        ({"kl": 1.0}, "kl <= kl_max"),
        ({"target": 0.0}, "target > 0"),
        ({"decay": 1.1}, "decay"),
        ({"learning_rate_min": 1.0}, "min <= max"),
        ({"interval": 0}, "interval=0"),
    ],
)
def test_bad_figures_are_told(wrong, words):
    with pytest.raises(ValueError, match=words):
        DampingSettings(**wrong)


def test_presets_by_name():
    env = envs.make("kuhn", 2)
    assert Damping.named("baseline", policy_for(env)) is None
    assert Damping.named("schedule", policy_for(env)).settings == PRESETS["schedule"]
    with pytest.raises(KeyError, match="expected one of baseline, damped"):
        Damping.named("dynamic", policy_for(env))


def test_presets_are_changed_by_name():
    policy = policy_for(envs.make("kuhn", 2))
    assert Damping.named("damped", policy, kl=0.2, target=None).settings == DampingSettings(kl=0.2, target=None)
    with pytest.raises(ValueError, match="damping has no kl_coefficient; expected some of kl, kl_max"):
        Damping.named("damped", policy, kl_coefficient=0.2)
    with pytest.raises(ValueError, match="'baseline' is none at all: it has no kl to change"):
        Damping.named("baseline", policy, kl=0.2)


def test_the_presets_written_out_among_the_experiments_are_these():
    stages = resolve(load_text((EXPERIMENTS / "damping_presets.yaml").read_text(encoding="utf-8")))["stages"]
    policy = policy_for(envs.make("kuhn", 2))
    for name in ("damped", "conservative", "schedule"):
        written = stages[name]["parameters"]
        assert written["damping"] == name
        options = written["damping_options"]
        assert DampingSettings(**options) == PRESETS[name] == Damping.named(name, policy, **options).settings
        assert {"kl", "kl_max", "kl_power", "target", "tolerance", "growth", "decay", "entropy"} <= options.keys()
        assert PRESETS[name].learning_rate_min < written["learning_rate"] < PRESETS[name].learning_rate_max
