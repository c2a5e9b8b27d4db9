import numpy as np
import pyspiel
import pytest

from workbench.envs import make, scripted_player
from workbench.envs.poker import KuhnNash

GAMES = {"kuhn": "kuhn_poker", "leduc": "leduc_poker"}
PASS, BET = 0, 1
FOLD, CALL, RAISE = 0, 1, 2


def deal(env, cards):
    """Begin new games with the given cards, the same in every slot."""
    env.reset(0)
    state = env.state()
    state["game/deal"][:] = cards
    return env.restore(state)


def play(env, step, moves):
    for move in moves:
        assert not step.done.any()
        actions = np.full((env.batch_size, 2, 1), -1)
        actions[:, step.acting[0].argmax()] = move
        step = env.step(actions)
    return step


@pytest.mark.parametrize(
    ("cards", "moves", "gain"),
    [
        ((0, 1), (PASS, PASS), -1),
        ((2, 1), (PASS, PASS), 1),
        ((0, 2), (BET, PASS), 1),
        ((2, 0), (PASS, BET, PASS), -1),
        ((1, 0), (PASS, BET, BET), 2),
        ((1, 2), (BET, BET), -2),
    ],
)
def test_kuhn_payoffs_by_hand(cards, moves, gain):
    env = make("kuhn", 2)
    step = play(env, deal(env, cards), moves)
    assert step.terminated.all()
    np.testing.assert_array_equal(step.reward, [[gain, -gain]] * 2)
    np.testing.assert_array_equal(step.outcome, np.sign(gain))
    np.testing.assert_array_equal(step.length, len(moves))


@pytest.mark.parametrize(
    ("cards", "moves", "gain"),
    [
        ((0, 4, 2), (RAISE, FOLD), 1),
        ((0, 4, 2), (CALL, RAISE, RAISE, FOLD), 3),
        # antes, 2 and 2 more in the first round; nothing in the second; king beats jack
        ((4, 0, 2), (RAISE, RAISE, CALL, CALL, CALL), 5),
        # a pair of jacks beats a king, at the highest stake: 1 + 4 + 8
        ((0, 4, 1), (RAISE, RAISE, CALL, RAISE, RAISE, CALL), 13),
        # queens of two suits, no pair: a draw
        ((2, 3, 5), (CALL, CALL, RAISE, CALL), 0),
        ((2, 5, 4), (CALL, CALL, CALL, RAISE, FOLD), -1),
    ],
)
def test_leduc_payoffs_by_hand(cards, moves, gain):
    env = make("leduc", 2)
    step = play(env, deal(env, cards), moves)
    assert step.terminated.all()
    np.testing.assert_array_equal(step.reward, [[gain, -gain]] * 2)
    np.testing.assert_array_equal(step.outcome, np.sign(gain))


def histories(state):
    if state.is_chance_node():
        for action, _ in state.chance_outcomes():
            yield from histories(state.child(action))
        return
    yield state
    for action in state.legal_actions():
        yield from histories(state.child(action))


@pytest.mark.parametrize("name", GAMES)
def test_every_history_agrees_with_openspiel(name):
    """Infostates (partition, names, tensors), who acts, legal actions and returns of all histories of the game."""
    env = make(name, 1)
    step = env.reset(0)
    observations: dict[tuple, bytes] = {}
    infostates: dict[bytes, tuple] = {}
    ends = 0
    for state in histories(pyspiel.load_game(GAMES[name]).new_initial_state()):
        history = state.full_history()
        cards = [move.action for move in history if move.player < 0]
        # cards that OpenSpiel has not dealt yet: any that are left, which nobody may see
        left = [card for card in range(len(env.cards)) if card not in cards]
        cards = (cards + left)[: env.deals.shape[1]]
        step = play(env, deal(env, cards), [move.action for move in history if move.player >= 0])
        assert step.terminated[0] == state.is_terminal()
        if state.is_terminal():
            ends += 1
            np.testing.assert_array_equal(step.reward[0], state.returns())
            continue
        acts = state.current_player()
        assert step.acting[0].tolist() == [acts == 0, acts == 1]
        assert np.flatnonzero(step.legal[0][0, acts]).tolist() == state.legal_actions()
        for seat in range(2):
            row = np.concatenate([array[0, seat] for array in step.observation.values()])
            np.testing.assert_array_equal(row, state.information_state_tensor(seat))
            # OpenSpiel's Kuhn strings do not name the seat
            infostate = (seat, state.information_state_string(seat))
            assert env.infostates()[0][seat] == infostate[1]
            assert observations.setdefault(infostate, row.tobytes()) == row.tobytes()
            assert infostates.setdefault(row.tobytes(), infostate) == infostate
    assert ends == {"kuhn": 30, "leduc": 5520}[name]


@pytest.mark.parametrize("name", GAMES)
def test_all_deals_are_equally_likely(name):
    env = make(name, 12000)
    env.reset(1)
    dealt = env.state()["game/deal"]
    found, counts = np.unique(dealt, axis=0, return_counts=True)
    np.testing.assert_array_equal(found, np.unique(env.deals, axis=0))
    expected = len(dealt) / len(env.deals)
    chi_square = ((counts - expected) ** 2 / expected).sum()
    freedom = len(env.deals) - 1
    assert chi_square < freedom + 4 * np.sqrt(2 * freedom)


def average_gain(first, second, games=20000):
    env, generator = make("kuhn", 500), np.random.default_rng(0)
    step, total, ended = env.reset(3), 0.0, 0
    while ended < games:
        actions = np.zeros((500, 2, 1), np.int64)
        for seat, player in enumerate((first, second)):
            rows = step.acting[:, seat]
            observation = {name: array[rows, seat] for name, array in step.observation.items()}
            legal = (step.legal[0][rows, seat],)
            decision = player.act(observation, legal, player.initial_state(rows.sum()), generator=generator)
            actions[rows, seat] = decision.action
        step = env.step(actions)
        total += step.reward[step.done, 0].sum()
        ended += step.done.sum()
    return total / ended


def test_nash_earns_the_value_of_the_game():
    nash = scripted_player("kuhn/nash")
    # rewards have a standard deviation near 1.3, so the mean of 20000 games is known to 0.01
    assert average_gain(nash, nash) == pytest.approx(-1 / 18, abs=0.03)
    assert average_gain(nash, scripted_player("kuhn/bet")) > -1 / 18 - 0.03
    assert average_gain(scripted_player("kuhn/pass"), nash) < -0.1


def test_nash_follows_kuhns_table():
    nash = KuhnNash(alpha=0.2)
    env = make("kuhn", 1)

    def bets(cards, moves):
        step = play(env, deal(env, cards), moves)
        seat = step.acting[0].argmax()
        observation = {name: array[:, seat] for name, array in step.observation.items()}
        return nash.probabilities(observation, (step.legal[0][:, seat],))[0, BET]

    assert [bets((card, (card + 1) % 3), ()) for card in range(3)] == pytest.approx([0.2, 0, 0.6])
    assert [bets((card, (card + 1) % 3), (PASS, BET)) for card in range(3)] == pytest.approx([0, 0.2 + 1 / 3, 1])
    assert [bets(((card + 1) % 3, card), (PASS,)) for card in range(3)] == pytest.approx([1 / 3, 0, 1])
    assert [bets(((card + 1) % 3, card), (BET,)) for card in range(3)] == pytest.approx([0, 1 / 3, 1])
    with pytest.raises(ValueError, match=r"alpha is 0\.5"):
        KuhnNash(alpha=0.5)


def test_scripted_preferences_stay_legal():
    env, generator = make("leduc", 32), np.random.default_rng(0)
    for name in ("leduc/call", "leduc/raise", "leduc/fold"):
        player, step = scripted_player(name), env.reset(0)
        for _ in range(40):
            rows, seats = np.nonzero(step.acting)
            observation = {field: array[rows, seats] for field, array in step.observation.items()}
            legal = (step.legal[0][rows, seats],)
            actions = np.zeros((32, 2, 1), np.int64)
            actions[rows, seats] = player.act(observation, legal, player.initial_state(32), generator=generator).action
            assert legal[0][np.arange(len(rows)), actions[rows, seats, 0]].all()
            step = env.step(actions)
