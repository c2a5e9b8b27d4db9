"""Policies: acting equals evaluating, saving, refusing."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.envs import env_spec
from workbench.envs.core import Field
from workbench.envs.players import Player
from workbench.policies import CorruptFileError, Policy, PolicySettings, backbone_names, storage

STEPS, ROWS = 9, 5


def randomised(policy: Policy, seed: int = 1) -> Policy:
    """Fresh heads are nearly uniform and choices' embeddings zero: make every weight matter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return policy


@pytest.mark.parametrize("separate", [False, True], ids=["shared", "separate"])
@pytest.mark.parametrize("head", ["independent", "autoregressive"])
@pytest.mark.parametrize("backbone", backbone_names())
def test_acting_step_by_step_equals_evaluating_the_sequence(spec, play, backbone, head, separate):
    settings = PolicySettings(
        backbone=backbone, head=head, separate_critic=separate, hidden=(16, 12), memory=10, layers=2, embedding=4,
        normalise=True, projection=20,
    )  # fmt: skip
    policy = randomised(Policy.create(spec, settings, seed=3, device="cpu"))
    observation, legal = play(spec, STEPS, ROWS)
    generator = np.random.default_rng(0)
    reset, acting = generator.random((STEPS, ROWS)) < 0.2, generator.random((STEPS, ROWS)) < 0.7
    acting[:, 3] = False  # a row that never acts
    start = state = generator.normal(size=(ROWS, policy.state_size)).astype(np.float32)
    action = np.zeros((STEPS, ROWS, 3), np.int64)
    log_prob, value = np.zeros((2, STEPS, ROWS), np.float32)
    for t in range(STEPS):
        state = np.where(reset[t][:, None], 0, state).astype(np.float32)
        who = np.flatnonzero(acting[t])
        decision = policy.act(
            {name: array[t, who] for name, array in observation.items()},
            tuple(allowed[t, who] for allowed in legal),
            state[who],
            generator=generator,
        )
        action[t, who], log_prob[t, who], value[t, who] = decision[:3]
        state[who] = decision.state
    with torch.no_grad():
        evaluation = policy.evaluate(policy.sequence(observation, legal, action, start, reset, acting))
    assert np.allclose(evaluation.log_prob.numpy()[acting], log_prob[acting], atol=1e-5)
    assert np.allclose(evaluation.value.numpy()[acting], value[acting], atol=1e-5)
    assert np.allclose(evaluation.state.numpy(), state, atol=1e-5)
    assert log_prob[acting].std() > 0.1  # the comparison says something
    assert (evaluation.entropy.numpy()[acting] >= 0).all()


@pytest.mark.parametrize("head", ["independent", "autoregressive"])
def test_actions_follow_the_probabilities_and_are_legal(spec, play, head):
    policy = randomised(Policy.create(spec, PolicySettings(head=head), device="cpu"))
    observation, legal = play(spec, 1)
    many = 20_000
    repeated = {name: np.repeat(array, many, axis=0) for name, array in observation.items()}
    masks = tuple(np.repeat(allowed, many, axis=0) for allowed in legal)
    decision = policy.act(repeated, masks, policy.initial_state(many), generator=np.random.default_rng(0))
    for head_index, allowed in enumerate(masks):
        assert allowed[np.arange(many), decision.action[:, head_index]].all()
    combined = decision.action @ np.array([100, 10, 1])
    for code in np.unique(combined):
        row = np.flatnonzero(combined == code)
        assert len(row) / many == pytest.approx(np.exp(decision.log_prob[row[0]]), abs=0.015)


def test_greedy_needs_no_generator_and_drawing_does(spec, play):
    policy = Policy.create(spec, device="cpu")
    observation, legal = play(spec, 4)
    again = [policy.act(observation, legal, policy.initial_state(4), temperature=0).action for _ in range(2)]
    assert (again[0] == again[1]).all()
    with pytest.raises(ValueError, match="give act a numpy Generator"):
        policy.act(observation, legal, policy.initial_state(4))


def test_a_policy_is_a_player_and_seeds_decide_its_weights(spec):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, same, other = (Policy.create(spec, seed=seed, device="cpu") for seed in (0, 0, 1))
    assert isinstance(first, Player)
    assert torch.equal(torch.rand(1), expected)  # creating leaves torch's generator alone
    weights = [policy.arrays()["heads.layer.weight"] for policy in (first, same, other)]
    assert (weights[0] == weights[1]).all() and (weights[0] != weights[2]).any()


def test_fields_with_vocabularies_of_one_size_share_a_table(spec):
    policy = Policy.create(spec, PolicySettings(embedding=4), device="cpu")
    assert policy.encoder.table.weight.shape == (7 + 50, 4)
    assert policy.encoder.offsets.tolist() == [0] * 4 + [7] * 2 + [0] * 3
    assert policy.encoder.width == 7 + 9 * 4
    assert Policy.create(spec, PolicySettings(embedding=4, pool="mean"), device="cpu").encoder.width == 7 + 3 * 4


def test_frozen_copy_keeps_its_weights_when_the_original_learns(spec):
    policy = Policy.create(spec, device="cpu")
    copy = policy.frozen_copy("v1")
    before = {name: array.copy() for name, array in copy.arrays().items()}
    randomised(policy)
    assert copy.id == "v1" and not any(parameter.requires_grad for parameter in copy.parameters())
    assert all((array == before[name]).all() for name, array in copy.arrays().items())


def test_saved_and_loaded_policy_is_the_same(spec, play, tmp_path):
    policy = randomised(Policy.create(spec, PolicySettings(backbone="gru"), device="cpu"))
    policy.id = "champion"
    policy.save(tmp_path / "policy", lineage={"parent": "v3"}, training={"frames": 100})
    loaded = Policy.load(tmp_path / "policy", spec, device="cpu")
    assert (loaded.id, loaded.lineage, loaded.training_figures) == ("champion", {"parent": "v3"}, {"frames": 100})
    assert loaded.settings == policy.settings
    observation, legal = play(spec, 4)
    decisions = [
        one.act(observation, legal, one.initial_state(4), generator=np.random.default_rng(0))
        for one in (policy, loaded)
    ]
    assert all((mine == theirs).all() for mine, theirs in zip(*decisions, strict=True))
    assert sorted(file.name for file in (tmp_path / "policy").iterdir()) == ["policy.json", "policy.safetensors"]


def test_policy_for_another_env_is_refused_with_the_differences(spec, tmp_path):
    Policy.create(spec, device="cpu").save(tmp_path)
    wider = dataclasses.replace(spec, observation=spec.observation | {"speed": Field((2,))})
    with pytest.raises(ValueError, match=r"observation field 'speed': shape \(1,\) here, \(2,\) there"):
        Policy.load(tmp_path, wider)


@pytest.mark.parametrize("file", ["policy.json", "policy.safetensors"])
def test_half_written_file_is_refused_by_name(spec, tmp_path, file):
    Policy.create(spec, device="cpu").save(tmp_path)
    data = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(data[: len(data) // 2])
    with pytest.raises(CorruptFileError, match=file):
        Policy.load(tmp_path)


def test_flipped_bit_and_foreign_json_are_refused(spec, tmp_path):
    Policy.create(spec, device="cpu").save(tmp_path)
    weights = bytearray((tmp_path / "policy.safetensors").read_bytes())
    weights[-3] ^= 1
    (tmp_path / "policy.safetensors").write_bytes(weights)
    with pytest.raises(CorruptFileError, match=r"policy\.safetensors: damaged"):
        Policy.load(tmp_path)
    (tmp_path / "policy.json").write_text(json.dumps({"id": "x"}))
    with pytest.raises(CorruptFileError, match=r"policy\.json"):
        Policy.load(tmp_path)


def test_a_save_interrupted_anywhere_leaves_the_old_policy_or_the_new(spec, tmp_path, monkeypatch):
    old, new = (randomised(Policy.create(spec, device="cpu"), seed) for seed in (1, 2))
    weights = [policy.arrays()["value_layer.weight"] for policy in (old, new)]
    real = Path.replace
    for survives, expected in ((0, weights[0]), (1, weights[1])):
        old.save(tmp_path)
        calls = iter(range(10))

        def replace(self, target, calls=calls, survives=survives):
            if next(calls) >= survives:
                raise KeyboardInterrupt
            return real(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            new.save(tmp_path)
        monkeypatch.setattr(Path, "replace", real)
        assert (Policy.load(tmp_path, device="cpu").arrays()["value_layer.weight"] == expected).all()


def test_two_saves_interrupted_in_a_row_leave_a_whole_policy(spec, tmp_path, monkeypatch):
    first, second, third = (randomised(Policy.create(spec, device="cpu"), seed) for seed in (1, 2, 3))
    first.save(tmp_path)
    real_replace, real_write = Path.replace, storage._write

    def refuse_arrays(self, target):  # the first crash: the JSON is in place, its arrays are not yet
        if self.name == "policy.safetensors.new":
            raise KeyboardInterrupt
        return real_replace(self, target)

    def write_half(path, data):  # the second: in the midst of writing the next arrays
        real_write(path, data[: len(data) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", refuse_arrays)
        second.save(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(storage, "_write", write_half)
        third.save(tmp_path)
    kept = Policy.load(tmp_path, device="cpu").arrays()["value_layer.weight"]
    assert (kept == second.arrays()["value_layer.weight"]).all()


def test_copying_and_loading_leave_torchs_generator_alone(spec, tmp_path):
    policy = Policy.create(spec, device="cpu")
    policy.save(tmp_path)
    before = torch.get_rng_state()
    policy.frozen_copy("v1")
    Policy.load(tmp_path, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_unknown_architecture_is_refused(spec):
    with pytest.raises(ValueError, match="did you mean gru"):
        Policy.create(spec, PolicySettings(backbone="grru"))
    with pytest.raises(ValueError, match="head='both'"):
        PolicySettings(head="both")
    with pytest.raises(ValueError, match="colour"):
        PolicySettings.from_json({"colour": 1})


def test_a_policy_says_what_it_is_and_escapes_what_others_wrote():
    policy = Policy.create(env_spec("kuhn"), PolicySettings(hidden=(8, 4)), seed=0, device="cpu")
    policy.id, policy.lineage = "<b>mine</b>", {"parent": "<script>"}
    shown = policy._repr_html_()
    assert "8 × 4" in shown and "kuhn" in shown
    assert "<script>" not in shown and "<b>mine" not in shown
