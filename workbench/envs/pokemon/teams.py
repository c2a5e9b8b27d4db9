"""Teams for gen1ou: hand-made sets, generated sets, a user's own folders, all judged by Showdown's own validator.

`load("competitive")` gives the hand-made teams shipped with the package, `load("variety")` 1,000 generated ones, the same
on every machine, `load("~/my-teams")` those of a folder of `*.gen1ou_team` files in Showdown's export or packed format.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from workbench.envs.pokemon import showdown

SUFFIX = ".gen1ou_team"
VARIETY_COUNT = 1000
_SCRIPT = showdown.LOCK_FOLDER / "teams.mjs"
_HAND_MADE = Path(__file__).parent / "data"
_SPARE = 1.3  # about one generated team in seven holds a banned Pokémon


class IllegalTeam(ValueError):
    """A team that Showdown's validator refuses; the message holds its words and the team's source."""


@dataclass(frozen=True)
class Team:
    """Six Pokémon.

    Args:
        name: unique within its set.
        packed: Showdown's one-line format, after the validator filled in what was left out.
        source: the file it came from, or how it was generated.
    """

    name: str
    packed: str
    source: str


def team_sets() -> dict[str, str]:
    """Names that `load` knows, each with one line about the set."""
    return {
        "competitive": f"{len(_team_files(_HAND_MADE / 'competitive'))} hand-made teams of standard Pokémon and moves",
        "variety": f"{VARIETY_COUNT} teams over all species, from Showdown's random-battle generator at level 100",
    }


def load(name: str | Path) -> tuple[Team, ...]:
    """The teams of a set by name, or of a user's folder or file by path, each found legal by Showdown's validator.

    Raises:
        KeyError: neither a known set nor a path that exists.
        IllegalTeam: a file's team is not legal; the message names the file and quotes the validator.
        ShowdownMissing: the validator is not installed.
    """
    if name == "variety":
        return generate(VARIETY_COUNT, seed=0)
    if name == "competitive":
        return _load_files(_team_files(_HAND_MADE / "competitive"))
    path = Path(name).expanduser()
    if path.is_file():
        return _load_files((path,))
    if not path.is_dir():
        near = difflib.get_close_matches(str(name), team_sets(), n=1) or list(team_sets())
        raise KeyError(f"no team set or folder {str(name)!r}; did you mean {' or '.join(near)}?")
    files = _team_files(path)
    if not files:
        raise FileNotFoundError(f"{path} holds no *{SUFFIX} files; write one team a file in Showdown's export format")
    return _load_files(files)


def generate(count: int, seed: int) -> tuple[Team, ...]:
    """`count` different legal teams from Showdown's own random-battle generator, all at level 100.

    The same seed gives the same list, and a shorter list is the beginning of a longer one. Source: Showdown's
    `data/random-battles/gen1` (MIT licence), filtered by its `TeamValidator`.
    """
    if count < 1:
        raise ValueError(f"count is {count}; expected at least 1")
    legal: dict[str, int] = {}
    begin, needed = 0, count
    while needed > 0:
        end = begin + int(needed * _SPARE) + 4
        answers = _ask("generate", seeds=tuple(_generator_seed(seed, index) for index in range(begin, end)))
        for index, (packed, problems) in enumerate(answers, start=begin):
            if not problems:
                legal.setdefault(packed, index)
        begin, needed = end, count - len(legal)
    chosen = sorted(legal.items(), key=lambda item: item[1])[:count]
    return tuple(Team(f"variety-{seed}-{index}", packed, f"generate(seed={seed})") for packed, index in chosen)


def validate(teams: Sequence[Team | str]) -> list[list[str]]:
    """For each team, the problems Showdown's validator finds, in its own words; an empty list where it is legal.

    Args:
        teams: `Team`s, or texts in Showdown's export or packed format.
    """
    texts = tuple(team.packed if isinstance(team, Team) else team for team in teams)
    return [list(problems) for _, problems in _ask("validate", teams=texts)] if texts else []


def _team_files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.glob(f"*{SUFFIX}")))


def _load_files(files: Sequence[Path]) -> tuple[Team, ...]:
    texts = tuple(file.read_text(encoding="utf-8") for file in files)
    answers = _ask("validate", teams=texts)
    illegal = [
        f"{file}: " + " ".join(problems)
        for file, (_, problems) in zip(files, answers, strict=True)
        if problems
    ]  # fmt: skip
    if illegal:
        raise IllegalTeam("Showdown's gen1ou validator refuses:\n" + "\n".join(illegal))
    return tuple(
        Team(file.name.removesuffix(SUFFIX), packed, str(file))
        for file, (packed, _) in zip(files, answers, strict=True)
    )


def _generator_seed(seed: int, index: int) -> str:
    return "gen5," + hashlib.sha256(f"variety {seed} {index}".encode()).hexdigest()[:16]


@cache
def _ask(command: str, **request: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What `teams.mjs` answers, (packed, problems) a team; kept in memory and, since it never changes, on disk."""
    package = showdown.showdown_folder()
    text = json.dumps({"command": command} | request)
    version = showdown.pinned_version().encode() + _SCRIPT.read_bytes()
    kept = showdown.cache_folder() / "teams" / f"{hashlib.sha256(version + text.encode()).hexdigest()[:24]}.json"
    answer = _read(kept)
    if answer is None:
        ran = subprocess.run(
            [showdown.node_executable(), _SCRIPT, package],
            input=text, capture_output=True, text=True, encoding="utf-8", timeout=600, check=False,
        )  # fmt: skip
        if ran.returncode:
            raise RuntimeError(f"{_SCRIPT.name} failed with exit status {ran.returncode}:\n{ran.stderr[-2000:]}")
        answer = json.loads(ran.stdout)
        _keep(kept, answer)
    return tuple((team["packed"], tuple(team["problems"])) for team in answer["teams"])


def _read(kept: Path) -> dict | None:
    """A kept answer, None where there is none or the file is damaged: it can always be asked for again."""
    try:
        return json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _keep(kept: Path, answer: dict) -> None:
    """Write atomically; a cache folder that cannot be written costs a second at the next call, nothing more."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=kept.parent, prefix=kept.name, suffix=".partial", encoding="utf-8", delete=False
        ) as partial:
            json.dump(answer, partial)
        Path(partial.name).replace(kept)
    except OSError:
        return
