"""What may go wrong with a meta-game: a clear word each, and nothing lost."""

import shutil

import numpy as np
import pytest

from tests.metagame.test_analysis import won
from tests.metagame.test_payoffs import played
from workbench import metagame
from workbench.arena import SerialExecutor
from workbench.arena.tournament import TournamentIncomplete
from workbench.envs import env_spec, make
from workbench.learning.ppo import PPO, PPOSettings
from workbench.metagame.iteration import chosen_mixture
from workbench.metagame.responses import Responses, plan_responses
from workbench.policies import CorruptFileError, Policy, PolicySettings, load_policy
from workbench.ui import plots

NETWORK = PolicySettings(hidden=(8,))
OPTIONS = {"games_per_pair": 6, "batch_size": 4, "executor": SerialExecutor()}


def saved(folder, game="kuhn", seed=0):
    policy = Policy.create(env_spec(game), NETWORK, seed, device="cpu")
    policy.id = folder.name
    return policy.save(folder)


def test_a_policy_that_vanished_is_named_and_what_was_played_stays(tmp_path):
    gone, kept = saved(tmp_path / "gone"), saved(tmp_path / "kept", seed=1)
    first = metagame.play_population("kuhn", [kept, "random"], folder=tmp_path / "0", **OPTIONS)
    everybody = metagame.population([gone, kept, "random"])
    mixture = chosen_mixture(None, everybody, env_spec("kuhn"))
    shutil.rmtree(gone)
    with pytest.raises(KeyError, match=r"no policy named .*gone.* and no such folder"):
        metagame.population([gone, "random"])
    with pytest.raises(KeyError, match="gone"):
        metagame.play_population("kuhn", everybody, folder=tmp_path / "1", earlier=tmp_path / "0", **OPTIONS)
    again = metagame.play_population("kuhn", [kept, "random"], folder=tmp_path / "2", earlier=tmp_path / "0", **OPTIONS)
    assert again.table.equals(first.table)  # to the moment they were played
    saved_mixture = mixture.save(tmp_path / "mixture")  # which keeps copies of its own
    shutil.rmtree(next(place for place in (saved_mixture / "members").iterdir() if "gone" in place.name))
    with pytest.raises(CorruptFileError, match="its member 'gone' is gone"):
        load_policy(saved_mixture)


def test_a_policy_of_an_env_that_has_changed_is_refused_and_other_pairs_are_kept(tmp_path):
    other = saved(tmp_path / "other", game="leduc")
    with pytest.raises(TournamentIncomplete, match=r"2 of 3 pairs .* was made for leduc") as error:
        metagame.play_population("kuhn", [other, "kuhn/bet", "random"], folder=tmp_path / "0", **OPTIONS)
    assert len(error.value.failures) == 2
    good = metagame.play_population(
        "kuhn", ["kuhn/bet", "random"], folder=tmp_path / "1", earlier=tmp_path / "0", **OPTIONS
    )
    assert len(good) == 6
    with pytest.raises(ValueError, match="leduc"):
        chosen_mixture(other, {}, env_spec("kuhn"))
    (plan,) = plan_responses("r", good_mixture(), spec=env_spec("kuhn"), starts=[str(other)])
    with pytest.raises(ValueError, match="leduc"):
        plan.learner(NETWORK, env_spec("kuhn"), "cpu")


def good_mixture():
    return chosen_mixture(None, metagame.population(["kuhn/bet", "kuhn/pass"]), env_spec("kuhn"))


def test_further_games_of_an_env_with_other_options_do_not_count(tmp_path):
    asked = {**OPTIONS, "further_games": 10}
    first = metagame.play_population("kuhn", ["kuhn/bet", "random"], folder=tmp_path / "0", temperature=1.0, **asked)
    assert len(first) == 16
    grown = {"folder": tmp_path / "1", "earlier": tmp_path / "0", **OPTIONS}
    assert len(metagame.play_population("kuhn", ["kuhn/bet", "random"], temperature=0.5, **grown)) == 6


def test_games_of_two_envs_are_no_game():
    both = played(*won("a", "b", 1, 0))
    table = both.table.assign(env="another", match_id="z")
    with pytest.raises(ValueError, match="payoffs of several do not add up"):
        metagame.EmpiricalGame.of(type(both).concat([both, type(both)(table)]))


def test_holes_are_an_error_unless_asked_for():
    game = metagame.EmpiricalGame.of(played(*won("a", "b", 5, 5), *won("b", "c", 5, 5)))
    with pytest.raises(metagame.MissingPairs, match="no games of a against c: play them"):
        metagame.equilibrium(game)
    assert game.payoffs(missing=0.0)[0, 2] == 0


def test_what_is_not_a_number_is_named():
    with pytest.raises(ValueError, match=r"payoffs\[0, 1\] is nan: expected a number"):
        metagame.solve(np.array([[0, np.nan], [0, 0]]))


def test_unequal_counts_weigh_as_much_as_they_were_played():
    game = metagame.EmpiricalGame.of(played(*won("a", "b", 300, 100), *won("b", "c", 3, 1), *won("a", "c", 1, 1)))
    assert game.payoffs()[0, 1] == game.payoffs()[1, 2] == 0.5
    low, high = game.intervals()
    assert high[0, 1] - low[0, 1] < 0.2 < 1 < high[1, 2] - low[1, 2]
    found = metagame.equilibrium(game, bootstraps=100)
    assert found.samples.shape == (100, 3) and np.isfinite(found.samples).all()
    spread = metagame.next_games(found, 100)
    assert spread.sum() == 100 and spread[0, 1] == 0  # the pair that is known best is played no more


def test_a_population_of_one_is_its_own_equilibrium(tmp_path):
    matches = metagame.play_population("kuhn", ["kuhn/nash"], folder=tmp_path, further_games=5, **OPTIONS)
    found = metagame.equilibrium(metagame.EmpiricalGame.of(matches, ["kuhn/nash"]), bootstraps=10)
    assert len(matches) == 0 and found.profile.row.tolist() == [1.0] and found.gap == 0
    alone = metagame.mixture("m", metagame.population(["kuhn/nash"]), found, env_spec("kuhn"))
    assert alone.describe() == {"kuhn/nash": "100.0%"}
    metagame.write_iteration(tmp_path, found, {"kuhn/nash": "kuhn/nash"}, iteration=0, method="nash", figures={})
    for draw in (plots.mixture_shares, plots.cycles):
        assert draw(found).axes
    with pytest.raises(ValueError, match="expected at least one, each once"):
        metagame.EmpiricalGame.of(matches)


def test_ties_everywhere_are_shared_alike_and_nothing_is_said_to_be_ranked():
    games = played(*won("a", "b", 5, 5), *won("b", "c", 5, 5), *won("a", "c", 5, 5))
    game = metagame.EmpiricalGame.of(games)
    for method in metagame.solver_names():
        assert metagame.solve(game.payoffs(), method).row == pytest.approx([1 / 3] * 3), method
    shape = metagame.structure(game.payoffs())
    assert (shape.transitive, shape.cyclic) == (0.0, 0.0)
    found = metagame.equilibrium(game)
    assert "All payoffs are even" in plots.cycles(found).get_suptitle()


def test_of_equilibria_that_are_many_one_is_taken_whatever_the_order():
    # two copies of one policy that beats the third: any split of the two is an equilibrium
    payoffs = np.array([[0, 0, 1], [0, 0, 1], [-1, -1, 0]])
    assert metagame.solve(payoffs).row == pytest.approx([0.5, 0.5, 0])
    order = [2, 0, 1]
    assert metagame.solve(payoffs[np.ix_(order, order)]).row == pytest.approx([0, 0.5, 0.5])


def test_an_oracle_that_diverges_says_so_and_its_last_checkpoint_stays(tmp_path):
    (plan,) = plan_responses("r", good_mixture(), spec=env_spec("kuhn"))
    learner = plan.learner(NETWORK, env_spec("kuhn"), "cpu")
    trainer = PPO(make("kuhn", 8), learner, PPOSettings(steps=8), opponents=metagame.opponents(plan.opponents))
    team = Responses([trainer])
    team.update()
    team.save(tmp_path)
    weights = learner.arrays()
    learner.load_arrays({name: np.full_like(array, np.nan) for name, array in weights.items()})
    with pytest.raises(FloatingPointError, match="r: training has diverged, and nothing of it joins the population"):
        team.update()
    team.restore(tmp_path)
    assert all((weights[name] == array).all() for name, array in learner.arrays().items())


def test_a_scripted_player_is_no_start():
    (plan,) = plan_responses("r", good_mixture(), spec=env_spec("kuhn"), starts=["kuhn/bet"])
    with pytest.raises(ValueError, match="kuhn/bet: a Preference, which cannot be trained"):
        plan.learner(NETWORK, env_spec("kuhn"), "cpu")


def test_gains_that_do_not_fit_the_iterations_are_refused():
    with pytest.raises(ValueError, match=r"2 gains .* for 1 iterations"):
        metagame.exploitability_table([{"iteration": 0, "gap": 0.0}], [[0, 0, 0], [0, 0, 0]])
    with pytest.raises(ValueError, match="as mean, low, high"):
        metagame.exploitability_table([{"iteration": 0, "gap": 0.0}], [[0.1]])
