"""Learning from games that are played for the purpose: a best response without PPO, and a mixture made into one policy.

Both collect, and then imitate: the response what went better than expected, of its own games against the mixture; the
distilled policy whatever the mixture did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from workbench.arena.collect import collect
from workbench.arena.entrants import Source
from workbench.data.datasets import Dataset, EmptyDataset
from workbench.envs.players import Player
from workbench.learning.damping import Damping
from workbench.learning.imitation import Imitation, ImitationSettings
from workbench.learning.trial import run_imitation
from workbench.policies.core import Policy
from workbench.policies.mixture import Mixture

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class OfflineSettings:
    """What is collected and how it is learned from.

    Args:
        games: collected, in all.
        epochs: times that the collected games are gone through, on average.
        learning_rate: of AdamW, falling to 0 as a cosine.
        replay_share: of what is learned from, the share that comes from other recorded games, where there are any.
        weighting: which decisions count, see `ImitationSettings`.
        batch_size: stretches of games a batch.
        length: decisions in a stretch.
        discount: gamma, per decision.
        validation_fraction: of the collected games held out.
    """

    games: int = 500
    epochs: int = 3
    learning_rate: float = 3e-5
    replay_share: float = 0.5
    weighting: str = "advantage"
    batch_size: int = 16
    length: int = 128
    discount: float = 0.99
    validation_fraction: float = 0.1

    def __post_init__(self):
        if self.games < 2 or self.epochs < 1:
            raise ValueError(f"games={self.games}, epochs={self.epochs}: expected at least 2 games and 1 epoch")
        if not 0 <= self.replay_share < 1:
            raise ValueError(f"replay_share={self.replay_share}: expected at least 0 and below 1")


PRESETS = {
    # as users of PSRO on gen1ou know them: half collected and half replay data; 5 epochs and 1000 games where responses
    # are too weak; 0.3 and 0.7 of collected data for a slower and a faster oracle
    "standard": OfflineSettings(),
    "thorough": OfflineSettings(games=1000, epochs=5),
    "conservative": OfflineSettings(replay_share=0.7),
    "aggressive": OfflineSettings(replay_share=0.3),
    # not a response: all that the mixture did, until it is known
    "distillation": OfflineSettings(
        games=2000, epochs=20, learning_rate=3e-3, replay_share=0.0, weighting="all", batch_size=128
    ),
}


def offline_settings(preset: str, changes: Mapping | None = None) -> OfflineSettings:
    """A preset's settings, with some of them changed.

    Raises:
        KeyError: no such preset.
        TypeError, ValueError: a setting that does not exist, or a value that makes no sense.
    """
    if preset not in PRESETS:
        raise KeyError(f"no preset {preset!r}; expected one of {', '.join(PRESETS)}")
    known = [field.name for field in fields(OfflineSettings)]
    for name in changes or {}:
        if name not in known:
            raise TypeError(f"no setting {name!r} of learning offline; expected some of {', '.join(known)}")
    return replace(PRESETS[preset], **(changes or {}))


def respond_offline(
    env_name: str,
    learner: Policy,
    opponent: Source,
    settings: OfflineSettings | None = None,
    *,
    folder: str | Path,
    collector: Player | None = None,
    replays: str | Path | None = None,
    damping: Damping | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **options,
) -> list[dict]:
    """Train a best response without playing while it learns: collect games against the opponent, then learn from them.

    Args:
        env_name, options: for `workbench.arena.collect`.
        learner: trained in place, from what it is now; it collects the games, unless `collector` is given.
        opponent: a mixture, or one player.
        settings: see `OfflineSettings`.
        folder: gets `games/`, a checkpoint and `policy/`; a call that was stopped goes on there and ends with the same.
        collector: who plays the opponent instead, such as the population in equal shares.
        replays: a folder of recorded games, of which everybody's views are learned from.
        damping: holds the learner to what it was.
        progress: called with (done, in all, of what).

    Returns:
        The history of learning, as `run_imitation`.
    """
    settings = settings or OfflineSettings()
    player = learner.frozen_copy(f"{learner.id}-before") if collector is None else collector
    games = _collected(env_name, player, [opponent], settings, folder, seed, progress, options)
    sources = {games: player.id} | ({} if replays is None else {Path(replays): None})
    return _learned(learner, sources, settings, folder, damping, seed, progress)


def distil(
    env_name: str,
    learner: Policy,
    teacher: Mixture,
    others: Sequence[Source] = (),
    settings: OfflineSettings | None = None,
    *,
    folder: str | Path,
    seed: int = 0,
    progress: Progress | None = None,
    **options,
) -> list[dict]:
    """Make one policy that plays as a mixture does, by imitating its games.

    A policy cannot draw a member before the game. Where it remembers its own decisions, or observes them, it can do as
    well: at each decision it takes each option as often as the members that would have come so far (Kuhn's theorem).

    Args:
        env_name, options: for `workbench.arena.collect`.
        learner: trained in place.
        teacher: it plays itself and the others in equal shares; only its own decisions are learned from.
        others: so that it is seen, and imitated, where it would not lead the game itself.
        settings: by default the preset `distillation`.
        folder, progress: as of `respond_offline`.
    """
    settings = settings or PRESETS["distillation"]
    games = _collected(env_name, teacher, [teacher, *others], settings, folder, seed, progress, options)
    return _learned(learner, {games: teacher.id}, settings, folder, None, seed, progress)


def _collected(env_name, player, opponents, settings, folder, seed, progress, options) -> Path:
    return collect(
        env_name,
        player,
        opponents,
        games=settings.games,
        folder=Path(folder) / "games",
        seed=seed,
        progress=_named(progress, "collecting games"),
        **options,
    ).folder


def _learned(learner, sources: dict[Path, str | None], settings, folder, damping, seed, progress) -> list[dict]:
    """Learn from the first folder, and from the second, if there is one, by its share."""
    collected, player = next(iter(sources.items()))
    chosen = {"spec": learner.spec, "length": settings.length, "seed": seed}
    chosen["validation_fraction"] = _fraction(collected, player, settings.validation_fraction)
    held_out = Dataset(collected, split="validation", seen_from=[player], **chosen)
    own = 1.0 if len(sources) == 1 else 1 - settings.replay_share
    weights = [own, 1 - own][: len(sources)]
    training = Dataset(list(sources), weights, split="train", seen_from=list(sources.values()), **chosen)
    stretches = sum(max(1, -(-entry.decisions // settings.length)) for entry in training.folders[0].entries)
    an_epoch = max(1, round(stretches / (settings.batch_size * own)))
    imitation = Imitation(
        learner,
        training,
        ImitationSettings(
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            learning_rate_schedule="cosine",
            total_updates=settings.epochs * an_epoch,
            weighting=settings.weighting,
            discount=settings.discount,
        ),
        held_out.in_batches(settings.batch_size),
        damping,
    )
    return run_imitation(imitation, folder, validate_every=an_epoch, progress=_named(progress, "learning from them"))


def _fraction(folder: Path, player: str | None, fraction: float) -> float:
    """The share of games to hold out, doubled while chance would have it that none of few games is."""
    while fraction <= 0.25:
        try:
            Dataset(folder, split="validation", seen_from=[player], validation_fraction=fraction)
            return fraction
        except EmptyDataset:
            fraction *= 2
    return fraction


def _named(progress: Progress | None, what: str):
    return None if progress is None else lambda done, total: progress(done, total, what)
