"""The recorder: what is written equals what was seen, decision by decision, in small games and in real battles."""

from datetime import UTC, datetime

import numpy as np
import pytest

from workbench.arena.play import play
from workbench.data import games, metamon
from workbench.data.datasets import Dataset
from workbench.data.filters import filter_folder
from workbench.data.folders import open_folder, read_entries, rewards
from workbench.data.recorder import Recorder, share_of_numbers
from workbench.envs import make, scripted_player
from workbench.envs.players import RandomPlayer
from workbench.policies import load_policy

STARTED = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


class Witness(Recorder):
    """Also keeps its own copies of all that is played, game by game, in the plainest way."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.open, self.seen = {}, {}

    def before_step(self, timestep, actions, log_probs):
        for slot, seat in np.argwhere(timestep.acting).tolist():
            rows = self.open.setdefault((slot, seat, int(timestep.game_seed[slot])), [])
            if rows:
                rows[-1]["reward"] = timestep.reward[slot, seat]
            rows.append(
                {
                    "observation": {name: values[slot, seat].copy() for name, values in timestep.observation.items()},
                    "legal": [allowed[slot, seat].copy() for allowed in timestep.legal],
                    "action": actions[slot, seat].copy(),
                    "log_prob": log_probs[slot, seat],
                }
            )
        self.before = timestep.game_seed.copy()
        super().before_step(timestep, actions, log_probs)

    def after_step(self, timestep):
        for slot in np.flatnonzero(timestep.done).tolist():
            for seat in (0, 1):
                rows = self.open.pop((slot, seat, int(self.before[slot])))
                rows[-1]["reward"] = timestep.reward[slot, seat]
                last = {name: values[slot, seat].copy() for name, values in timestep.final_observation.items()}
                outcome = int(timestep.outcome[slot]) * (1 if seat == 0 else -1)
                self.seen[int(self.before[slot]), seat] = (rows, last, outcome, int(timestep.length[slot]))
        super().after_step(timestep)


def assert_same(one, seen):
    rows, last, outcome, length = seen
    assert len(one) == len(rows) and (one.game.outcome, one.game.length) == (outcome, length)
    for name, values in one.observation.items():
        np.testing.assert_array_equal(values[:-1], np.stack([row["observation"][name] for row in rows]))
        np.testing.assert_array_equal(values[-1], last[name])
    for head, allowed in enumerate(one.legal):
        np.testing.assert_array_equal(allowed, np.stack([row["legal"][head] for row in rows]))
    np.testing.assert_array_equal(one.action, np.stack([row["action"] for row in rows]))
    np.testing.assert_array_equal(one.reward, np.array([row["reward"] for row in rows], np.float32))
    np.testing.assert_array_equal(one.log_prob, np.array([row["log_prob"] for row in rows], np.float32))


@pytest.mark.parametrize("name", ["kuhn", "leduc", "rps"])
def test_small_games_come_back_as_they_were_seen(name, tmp_path):
    player = RandomPlayer("random")
    with make(name, batch_size=8) as env, Witness(env, tmp_path, ("random", "random"), chunk_decisions=64) as recorder:
        matches = play(env, player, player, games=50, seed=3, recorder=recorder)
        spec = env.spec
    assert recorder.games == 50 == len(matches) and len(recorder.files) > 1
    dataset = Dataset(tmp_path, spec=spec)
    assert (len(dataset), dataset.games) == (100, 50)
    read = list(dataset)
    assert sum(map(len, read)) == recorder.decisions
    for one in read:
        assert (one.game.env, one.game.fingerprint) == (name, spec.fingerprint)
        assert_same(one, recorder.seen[one.game.seed, one.game.seat])
        assert np.isfinite(one.log_prob).all()
    assert sorted(one.game.seed for one in read if one.game.seat == 0) == sorted(matches.table["seed"].tolist())


def test_players_are_named_as_they_sit(tmp_path):
    first, second = RandomPlayer("first"), RandomPlayer("second")
    for slots in (1, 4):
        with (
            make("kuhn", batch_size=slots) as env,
            Recorder(env, tmp_path / f"{slots}", ("first", "second")) as recorder,
        ):
            table = play(env, first, second, games=9, seed=1, recorder=recorder).table
        read = {(one.game.seed, one.game.seat): one.game for one in Dataset(tmp_path / f"{slots}")}
        assert len(read) == 18
        for row in table.itertuples():
            assert (read[row.seed, 0].policy, read[row.seed, 1].policy) == (row.policy_0, row.policy_1)
            assert (read[row.seed, 0].opponent, read[row.seed, 1].opponent) == (row.policy_1, row.policy_0)
            assert (read[row.seed, 0].outcome, read[row.seed, 1].outcome) == (row.outcome, -row.outcome)
            assert read[row.seed, 0].match_id == read[row.seed, 1].match_id


def test_seating_may_be_told_game_by_game(tmp_path):
    player = RandomPlayer("random")
    told = []

    def seating(slot, game):
        told.append((slot, game))
        return f"seat0-{slot}-{game}", "other"

    with make("rps", batch_size=2) as env, Recorder(env, tmp_path, seating) as recorder:
        play(env, player, player, games=4, recorder=recorder)
    assert sorted(told) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {one.game.policy for one in Dataset(tmp_path) if one.game.seat == 0} == {
        f"seat0-{slot}-{game}" for slot, game in told
    }


def test_same_run_same_files_and_two_recorders_share_a_folder(tmp_path):
    player = RandomPlayer("random")

    def record(folder, seed):
        with make("leduc", batch_size=4) as env, Recorder(env, folder, ("a", "b"), started=STARTED) as recorder:
            play(env, player, player, games=20, seed=seed, recorder=recorder)
        return recorder.files

    (first,), (again,) = record(tmp_path / "1", 1), record(tmp_path / "2", 1)
    assert first.name == again.name and first.read_bytes() == again.read_bytes()
    record(tmp_path / "1", 2)
    assert Dataset(tmp_path / "1").games == 40


def test_recorders_with_numbers_of_their_own_never_share_an_id(tmp_path):
    player = RandomPlayer("random")
    for part in range(3):  # the same games each time: all three would have the same ids
        with make("leduc", batch_size=4) as env:
            numbers = share_of_numbers(part, 3)
            with Recorder(env, tmp_path, ("a", "b"), started=STARTED, numbers=numbers) as recorder:
                play(env, player, player, games=20, seed=1, recorder=recorder)
        assert Dataset(tmp_path).games == 20 * (part + 1)
    assert [share_of_numbers(part, 3)[0] for part in range(3)] == [0, 3333333333, 6666666666]
    with make("leduc", batch_size=4) as env, Recorder(env, tmp_path / "few", ("a", "b"), numbers=range(7, 9)) as few:
        with pytest.raises(RuntimeError, match="all 2 match ids are taken"):
            play(env, player, player, games=20, recorder=few)
        with pytest.raises(ValueError, match="ten digits"):
            Recorder(env, tmp_path, ("a", "b"), numbers=range(10**10, 10**10 + 1))
    with pytest.raises(ValueError, match="part 3 of 3"):
        share_of_numbers(3, 3)


def test_games_cut_by_a_limit_keep_the_outcome_that_the_table_has(tmp_path):
    with make("melee-mock", batch_size=4, frame_limit=600) as env:
        first, second = load_policy("melee-mock/cpu3"), RandomPlayer("random")
        with Witness(env, tmp_path, (first.id, second.id)) as recorder:
            table = play(env, first, second, games=8, seed=1, recorder=recorder).table
        spec = env.spec
    dataset = Dataset(tmp_path, spec=spec)
    read = {(one.game.seed, one.game.seat): one for one in dataset}
    for row in table.itertuples():
        views = read[row.seed, 0], read[row.seed, 1]
        assert [one.game.outcome for one in views] == [row.outcome, -row.outcome]
        assert all(one.game.truncated for one in views)
    assert (table["outcome"] != 0).sum() == 8  # somebody leads after ten seconds
    assert not next(dataset.batches(16)).ended.any()
    assert len(Dataset(tmp_path, won_only=True)) == 8
    stats = filter_folder(tmp_path, tmp_path.parent / f"{tmp_path.name} balanced")
    assert stats["outcomes"]["output"] == {"won": 8, "lost": 8, "drawn": 0}


def test_running_games_leave_nothing_and_a_missed_step_is_noticed(tmp_path):
    player = RandomPlayer("random")
    with make("leduc", batch_size=4) as env:
        recorder = Recorder(env, tmp_path, ("a", "b"))
        timestep = env.reset(1)
        with pytest.raises(RuntimeError, match="without before_step"):
            recorder.after_step(timestep)
        decision = player.act(
            {name: values[:, 0] for name, values in timestep.observation.items()},
            tuple(allowed[:, 0] for allowed in timestep.legal),
            np.zeros((4, 0), np.float32),
            generator=np.random.default_rng(0),
        )
        actions = np.stack([decision.action] * 2, axis=1)
        recorder.before_step(timestep, actions, np.zeros((4, 2), np.float32))
        recorder.close()
    assert recorder.games == 0 and list((tmp_path / "leduc").iterdir()) == []


@pytest.fixture(scope="module")
def battles(tmp_path_factory):
    """Four real battles: a folder and the witness who recorded them."""
    folder = tmp_path_factory.mktemp("battles")
    first, second = scripted_player("random"), RandomPlayer("another_random/player")
    with make("gen1ou", batch_size=4) as env:
        with Witness(env, folder, (first.id, second.id), started=STARTED) as recorder:
            matches = play(env, first, second, games=4, seed=11, recorder=recorder)
        return folder, recorder, matches, env.spec


@pytest.mark.showdown
def test_battles_come_back_bit_for_bit(battles):
    folder, recorder, matches, spec = battles
    read = list(Dataset(folder, spec=spec))
    assert len(read) == 8 and len(matches) == 4
    for one in read:
        assert_same(one, recorder.seen[one.game.seed, one.game.seat])
    assert {one.game.policy for one in read} == {"random", "another_random/player"}


@pytest.mark.showdown
def test_battles_files_are_metamons(battles):
    folder = battles[0]
    files = sorted((folder / "gen1ou").glob("*.json.lz4"))
    assert len(files) == 8
    by_battle = {}
    for file in files:
        parts = metamon.parse_name(file.name)
        by_battle.setdefault(parts.battle, []).append(parts)
        assert parts.rating == "Unrated" and parts.date == "02-03-2026-04:05:06"
        states, actions = metamon.read_battle(file)
        assert actions[-1] == -1 and len(states) == len(actions) and set(actions[:-1]) <= set(range(9))
        assert (states[-1]["battle_won"], states[-1]["battle_lost"]) in ((True, False), (False, True), (False, False))
        assert (parts.result == "WIN") == states[-1]["battle_won"]
        for state, action in zip(states, actions[:-1], strict=False):
            assert state["format"] == "gen1ou" and len(state["available_switches"]) <= 5
            if action < 4:
                assert not state["forced_switch"]
            else:
                assert action - 4 < len(state["available_switches"])
    assert len(by_battle) == 4
    for views in by_battle.values():
        assert len(views) == 2 and {views[0].player, views[0].opponent} == {views[1].player, views[1].opponent}


@pytest.mark.showdown
def test_battles_cut_by_a_limit_are_no_wins_in_any_form(tmp_path):
    first, second = scripted_player("random"), RandomPlayer("another")
    with make("gen1ou", batch_size=2, turn_limit=3) as env:
        with Recorder(env, tmp_path, (first.id, second.id)) as recorder:
            table = play(env, first, second, games=2, seed=11, recorder=recorder).table
        spec = env.spec
    assert table["outcome"].tolist() == [0, 0]
    assert [(one.game.outcome, one.game.truncated) for one in Dataset(tmp_path, spec=spec)] == [(0, True)] * 4
    files = list((tmp_path / "gen1ou").glob("*.json.lz4"))
    assert len(files) == 4 and {metamon.parse_name(file.name).result for file in files} == {"LOSS"}
    for file in (tmp_path / "gen1ou").glob("*.parquet"):
        file.unlink()
    assert [one.game.outcome for one in Dataset(tmp_path, spec=spec)] == [0] * 4


@pytest.mark.showdown
def test_battles_can_be_read_without_the_sidecar(battles, tmp_path):
    folder, _, _, spec = battles
    full = {one.game.match_id + one.game.policy: one for one in read_entries(open_folder(folder).entries)}
    bare = tmp_path / "gen1ou"
    bare.mkdir()
    for file in (folder / "gen1ou").glob("*.json.lz4"):
        (bare / file.name).write_bytes(file.read_bytes())
    dataset = Dataset(tmp_path, spec=spec)
    assert len(dataset) == 8 and dataset.games == 4
    names = {metamon.player_name(policy): policy for policy in ("random", "another_random/player")}
    for one in dataset:
        whole = full[one.game.match_id + names[one.game.policy]]
        assert len(one) == len(whole) and one.game.outcome == whole.game.outcome
        assert np.isnan(one.log_prob).all() and one.illegal == 0
        # what a state tells is told again: own hp, species and status of all that can fight, the active moves and PP
        fights = one.observation["pokemon_numbers"][:, :6, 2] > 0
        np.testing.assert_array_equal(fights, whole.observation["pokemon_numbers"][:, :6, 2] > 0)
        mine, theirs = (
            one.observation["pokemon_numbers"][:, :6][fights],
            whole.observation["pokemon_numbers"][:, :6][fights],
        )
        np.testing.assert_allclose(mine[:, [0, 1, 4, 5, 6, 7]], theirs[:, [0, 1, 4, 5, 6, 7]], atol=1e-6)
        same = one.observation["pokemon"][:, :6][fights] == whole.observation["pokemon"][:, :6][fights]
        assert same[:, [0, 1, 4, 5, 6, 7]].all()
        foe, real = one.observation["pokemon"][:, 6], whole.observation["pokemon"][:, 6]
        np.testing.assert_array_equal(foe[:, 0], real[:, 0])
        np.testing.assert_array_equal(
            one.observation["pokemon_numbers"][:, 6, 0], whole.observation["pokemon_numbers"][:, 6, 0]
        )


@pytest.mark.showdown
def test_rewards_can_be_chosen_again(battles):
    folder, _, _, spec = battles
    recorded = list(Dataset(folder, spec=spec))
    for again, one in zip(Dataset(folder, spec=spec, reward="shaped"), recorded, strict=True):
        np.testing.assert_array_equal(again.reward, one.reward)  # the env played with its default, "shaped"
    for binary in Dataset(folder, spec=spec, reward="binary"):
        assert not binary.reward[:-1].any() and binary.reward[-1] == binary.game.outcome
    (path,) = (folder / "gen1ou").glob("*.parquet")
    view = games.read_chunk(path)[0].view
    assert rewards(view, "binary").shape == (len(view) - 1,)


@pytest.mark.showdown
def test_a_battle_whose_file_was_removed_is_gone(battles, tmp_path):
    folder, _, _, spec = battles
    for file in (folder / "gen1ou").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    removed = sorted(tmp_path.glob("*.json.lz4"))[0]
    removed.unlink()
    assert len(Dataset(tmp_path, spec=spec)) == 7


@pytest.mark.showdown
def test_battles_outlive_a_damaged_sidecar(battles, scramble, tmp_path):
    folder, _, _, spec = battles
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in (folder / "gen1ou").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (chunk,) = copy.glob("*.parquet")
    broken = sorted(copy.glob("*.json.lz4"))[0]
    broken.write_bytes(broken.read_bytes()[:-9])
    for damage in (scramble, lambda path: path.write_bytes(path.read_bytes()[:-9])):
        damage(chunk)
        dataset = Dataset(copy, spec=spec)
        assert len(dataset) == 8
        assert sum(1 for _ in dataset) == 7
        assert {path for path, _ in dataset.skipped} == {chunk, broken}
    stats = filter_folder(copy, tmp_path / "kept", min_turns=1, balance_outcomes=False)
    assert stats["failed_reasons"] == {"load_error": 1} and stats["output_count"] == 7
    assert {one["file"] for one in stats["damaged_files"]} == {chunk.name, broken.name}
    assert len(Dataset(tmp_path / "kept", spec=spec)) == 7
