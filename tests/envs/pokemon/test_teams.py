"""Teams: every shipped one is legal by Showdown's own validator; illegal ones are refused in its words."""

import pytest

from workbench.envs.pokemon import showdown, teams

pytestmark = pytest.mark.showdown

TAUROS = "Tauros\nAbility: No Ability\n- Body Slam\n- Earthquake\n"


def members(team):
    """(species, moves) of a packed team."""
    fields = [member.split("|") for member in team.packed.split("]")]
    return [(member[1] or member[0], member[4].split(",")) for member in fields]


@pytest.mark.parametrize("name", sorted(teams.team_sets()))
def test_every_team_of_every_set_is_legal(name):
    loaded = teams.load(name)
    assert teams.validate(loaded) == [[]] * len(loaded)
    assert len({team.packed for team in loaded}) == len({team.name for team in loaded}) == len(loaded)
    for team in loaded:
        assert len({species for species, _ in members(team)}) == 6, team.source
        assert "|100|" not in team.packed and team.packed.count("|N|") == 6  # level 100 is packed as nothing


def test_competitive_is_standard_and_complete():
    loaded = teams.load("competitive")
    assert len(loaded) >= 20
    assert all(len(moves) == 4 for team in loaded for _, moves in members(team))
    species = {species for team in loaded for species, _ in members(team)}
    assert {"Tauros", "Chansey", "Snorlax", "Exeggutor", "Starmie", "Alakazam", "Zapdos", "Lapras"} <= species


def test_generated_teams_depend_on_the_seed_alone():
    long, short, other = teams.generate(30, seed=7), teams.generate(10, seed=7), teams.generate(10, seed=8)
    assert long[:10] == short
    assert not {team.packed for team in short} & {team.packed for team in other}
    assert len({team.packed for team in long}) == 30
    with pytest.raises(ValueError, match="count is 0"):
        teams.generate(0, seed=7)


def test_kept_answers_survive_damage(monkeypatch, tmp_path):
    monkeypatch.setenv(showdown.LOCATION_VARIABLE, str(showdown.install_folder()))
    monkeypatch.setattr(showdown, "cache_folder", lambda: tmp_path)
    teams._ask.cache_clear()
    fresh = teams.generate(3, seed=1)
    (kept,) = (tmp_path / "teams").iterdir()
    kept.write_text(kept.read_text()[:50])
    teams._ask.cache_clear()
    assert teams.generate(3, seed=1) == fresh
    teams._ask.cache_clear()


def test_validate_quotes_the_validator():
    legal, banned, untaught = teams.validate([TAUROS, "Mewtwo\n- Psychic\n", "Tauros\n- Surf\n- Double Team\n"])
    assert legal == []
    assert banned == ["Mewtwo is tagged Uber, which is banned."]
    assert untaught == [
        "Tauros's move Double Team is banned by Evasion Moves Clause.",
        "Tauros's move Surf can't be transferred from Gen 2 to 1.",
    ]
    assert teams.validate([]) == []


def test_user_folder(tmp_path):
    (tmp_path / "bulls.gen1ou_team").write_text(TAUROS)
    (tmp_path / "notes.txt").write_text("not a team")
    (team,) = teams.load(tmp_path)
    assert (team.name, team.source) == ("bulls", str(tmp_path / "bulls.gen1ou_team"))
    assert "252,252,252,252,252,252" in team.packed  # a text without EVs means full ones, as in the team builder
    assert teams.load(tmp_path / "bulls.gen1ou_team") == (team,)


def test_illegal_file_is_named_with_the_validators_words(tmp_path):
    (tmp_path / "fine.gen1ou_team").write_text(TAUROS)
    (tmp_path / "uber.gen1ou_team").write_text("Mewtwo\n- Psychic\n")
    (tmp_path / "empty.gen1ou_team").write_text("")
    with pytest.raises(teams.IllegalTeam) as refused:
        teams.load(tmp_path)
    message = str(refused.value)
    assert "uber.gen1ou_team: Mewtwo is tagged Uber, which is banned." in message
    assert "empty.gen1ou_team" in message and "fine.gen1ou_team" not in message


def test_unknown_set_and_empty_folder(tmp_path):
    with pytest.raises(KeyError, match="did you mean competitive"):
        teams.load("competitiv")
    with pytest.raises(FileNotFoundError, match=r"gen1ou_team"):
        teams.load(tmp_path)
