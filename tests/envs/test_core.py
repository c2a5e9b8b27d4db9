import numpy as np
import pytest

from workbench.envs import ActionSpec, EnvSpec, Field, Head, env_names, game_seed, make
from workbench.envs.core import _splitmix
from workbench.envs.vectorised import uniforms


def spec(**changes) -> EnvSpec:
    parts = {
        "name": "coins",
        "version": 1,
        "observation": {"pile": Field((3,)), "last": Field((2,), "int16", 5, ("own", "other"))},
        "action": ActionSpec((Head("take", ("one", "two")), Head("say", ("yes", "no", "nothing")))),
    }
    return EnvSpec(**(parts | changes))


def test_splitmix_gives_the_published_first_outputs():
    # the first output of SplitMix64 from seed 0; its state moves by the golden ratio before each output
    assert _splitmix(np.uint64(0)) == 0xE220A8397B1DCDAF
    assert _splitmix(np.uint64(0x9E3779B97F4A7C15)) == 0x6E789E6AA1B965F4


def test_game_seeds_do_not_collide_and_do_not_depend_on_the_batch():
    slots, games = np.meshgrid(np.arange(50), np.arange(50), indexing="ij")
    seeds = np.concatenate([game_seed(seed, slots, games).ravel() for seed in range(4)])
    assert seeds.dtype == np.uint64
    assert len(np.unique(seeds)) == len(seeds)
    assert game_seed(3, 7, 9) == game_seed(3, slots, games)[7, 9]
    assert game_seed(-1, 0, 0) == game_seed(2**64 - 1, 0, 0)


def test_uniforms_fill_the_unit_interval():
    drawn = uniforms(game_seed(0, np.arange(4000), 0), 3)
    assert drawn.shape == (4000, 3)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    # standard error of a mean of 4000 uniforms is 0.0046
    np.testing.assert_allclose(drawn.mean(axis=0), 0.5, atol=0.02)
    assert abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 0.06


def test_spec_survives_json():
    again = EnvSpec.from_json(spec().to_json())
    assert again == spec()
    assert again.fingerprint == spec().fingerprint
    assert len(spec().fingerprint) == 16


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": "stones"}, "name: 'coins' here, 'stones' there"),
        ({"version": 2}, "version: 1 here, 2 there"),
        ({"observation": {"pile": Field((4,)), "last": spec().observation["last"]}}, "'pile': shape (3,) here, (4,)"),
        ({"observation": {"pile": Field((3,))}}, "observation field 'last': only here"),
        ({"action": ActionSpec(spec().action.heads[:1])}, "action head 'say': only here"),
        ({"action": ActionSpec(spec().action.heads[::-1])}, "the order of"),
    ],
)
def test_specs_that_differ_say_how(changed, words):
    other = spec(**changed)
    assert other.fingerprint != spec().fingerprint
    (difference,) = spec().differences(other)
    assert words in difference


def test_end_reasons_do_not_make_a_policy_unfit():
    other = spec(end_reasons=("rules", "time limit", "crash"))
    assert other.fingerprint == spec().fingerprint
    assert spec().differences(other) == []


def test_make_names_the_nearest_env():
    with pytest.raises(KeyError, match="no env named 'khun'; did you mean kuhn"):
        make("khun")
    assert {"matrix", "rps", "kuhn", "leduc", "memory", "cartpole"} <= set(env_names())


def test_step_refuses_what_is_not_an_action():
    env = make("leduc", 3)
    with pytest.raises(RuntimeError, match="before reset"):
        env.step(np.zeros((3, 2, 1), int))
    env.reset(0)
    with pytest.raises(ValueError, match=r"int64 \(3, 1\), expected integers \(3, 2, 1\)"):
        env.step(np.zeros((3, 1), int))
    with pytest.raises(ValueError, match="float64"):
        env.step(np.zeros((3, 2, 1)))
    with pytest.raises(ValueError, match=r"game 0, seat 0: option 0 of head 'move' is not legal; legal are \[1, 2\]"):
        env.step(np.zeros((3, 2, 1), int))
    with pytest.raises(ValueError, match="option -1"):
        env.step(np.full((3, 2, 1), -1))
    with pytest.raises(ValueError, match="batch_size is 0"):
        make("kuhn", 0)


def test_restore_refuses_a_foreign_state_and_changes_nothing():
    env = make("kuhn", 3)
    before = env.reset(5).observation["private"].copy()
    state = env.state()
    with pytest.raises(ValueError, match=r"lacks \['bank'\] and has unknown \['bonk'\]"):
        env.restore({"bonk" if name == "bank" else name: array for name, array in state.items()})
    with pytest.raises(ValueError, match=r"int64 \(2, 2\), expected int64 \(3, 2\)"):
        env.restore(state | {"game/deal": state["game/deal"][:2]})
    np.testing.assert_array_equal(env.restore(env.state()).observation["private"], before)
