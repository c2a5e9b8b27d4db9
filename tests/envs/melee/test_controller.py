"""Heads, quantisation, mirroring."""

import numpy as np
import pytest

from workbench.envs.melee.controller import ACTION_SPEC, C_STICK, MAIN_STICK, mirrored, quantise, quantise_sequence


def test_the_heads_are_few_and_small():
    assert [head.name for head in ACTION_SPEC.heads] == ["button", "main_stick", "c_stick", "shoulder"]
    assert sum(ACTION_SPEC.sizes) <= 60
    for head in ACTION_SPEC.heads:
        assert len(set(head.options)) == head.size


def test_every_stick_position_quantises_to_itself():
    n = len(MAIN_STICK)
    pressed = np.zeros((n, 5), bool)
    actions = quantise(MAIN_STICK, np.zeros((n, 2)), np.zeros(n), pressed)
    assert actions[:, 1].tolist() == list(range(n))
    actions = quantise(np.zeros((5, 2)), C_STICK, np.array([0, 0.1, 0.35, 0.8, 1.0]), np.eye(5, dtype=bool))
    assert actions[:, 2].tolist() == [0, 1, 2, 3, 4]
    assert actions[:, 3].tolist() == [0, 0, 1, 2, 2]
    assert [ACTION_SPEC.heads[0].options[k] for k in actions[:, 0]] == ["A", "B", "X", "Z", "L"]


def test_a_human_stick_is_at_most_11_degrees_and_a_quarter_away():
    angles = np.linspace(0, 2 * np.pi, 721)
    full = np.stack([np.cos(angles), np.sin(angles)], 1)
    chosen = MAIN_STICK[quantise(full, 0 * full, 0 * angles, np.zeros((721, 5), bool))[:, 1]]
    assert np.degrees(np.arccos(np.clip((full * chosen).sum(1), -1, 1))).max() < 11.26
    inside = full * np.random.default_rng(0).random((721, 1))
    chosen = MAIN_STICK[quantise(inside, 0 * full, 0 * angles, np.zeros((721, 5), bool))[:, 1]]
    assert np.linalg.norm(inside - chosen, axis=1).max() < 0.3


def test_the_last_button_to_go_down_is_kept():
    A, X, L = 0, 2, 4
    down = [[], [X], [X], [X, L], [X, L], [X], [X], [], [X], [A, X], [A]]
    buttons = np.zeros((len(down), 5), bool)
    for frame, held in enumerate(down):
        buttons[frame, held] = True
    still = np.zeros((len(down), 2))
    names = [ACTION_SPEC.heads[0].options[k] for k in quantise_sequence(still, still, still[:, 0], buttons)[:, 0]]
    assert names == ["none", "X", "X", "L", "L", "none", "none", "none", "X", "A", "A"]


def test_wrong_button_shape_is_refused():
    with pytest.raises(ValueError, match=r"A, B, X or Y, Z, L or R"):
        quantise(np.zeros(2), np.zeros(2), 0.0, np.zeros(12, bool))


def test_mirroring_twice_is_nothing():
    generator = np.random.default_rng(0)
    actions = np.stack([generator.integers(0, size, 200) for size in ACTION_SPEC.sizes], -1)
    image = mirrored(actions)
    assert (mirrored(image) == actions).all()
    assert np.allclose(MAIN_STICK[image[:, 1]], MAIN_STICK[actions[:, 1]] * [-1, 1], atol=1e-6)
    assert np.allclose(C_STICK[image[:, 2]], C_STICK[actions[:, 2]] * [-1, 1], atol=1e-6)
