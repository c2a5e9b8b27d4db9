"""Neural fictitious self-play: a best response that never stops learning, and the average of all that it has been.

The best response learns by PPO against a mixture: itself, and the average policy. The average policy imitates a uniform
sample of every decision the best response ever made, kept in a reservoir. In two-player zero-sum games it is the average
that approaches an equilibrium; the best response, like plain self-play, goes round it.

>>> nfsp = NFSP(env, best_response, average, NFSPSettings())
>>> while nfsp.frames < 1_000_000:
...     nfsp.update()
>>> nfsp.average.save("outputs/mine")

Source: Heinrich and Silver 2016, "Deep reinforcement learning from self-play in imperfect-information games", arXiv
1603.01121, algorithm 1; there the best response learns by Q-learning from a replay buffer. One pair of networks serves
both seats here, as observations say which seat it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from workbench.envs.core import Env
from workbench.envs.players import Player
from workbench.learning import PPO, Imitation, ImitationSettings, PPOSettings
from workbench.learning.checkpoint import beneath, load_checkpoint, save_checkpoint, under
from workbench.learning.exploration import towards_uniform
from workbench.learning.reservoir import OpenGames, Reservoir, decisions_of
from workbench.learning.rollout import CURRENT
from workbench.learning.schedules import Schedule
from workbench.learning.undivided import undivided
from workbench.policies.core import Policy, check_spec

AVERAGE = "average"


@dataclass(frozen=True, kw_only=True)
class NFSPSettings:
    """Hyper-parameters of neural fictitious self-play.

    Args:
        anticipation: eta: how likely a seat of a game is to be played by the best response, in [0, 1]; at 1 the best
            response is plain self-play.
        capacity: decisions that the reservoir has room for.
        longest_game: decisions kept of a player's game, its first ones, for average policies with memory: they learn
            from whole games, of which `capacity // longest_game` fit. Others learn from single decisions.
        replacement: least chance that a new decision takes another's place in a full reservoir. 0 averages evenly over all
            that the best response has been; above 0 its earliest play fades, for games that it takes long to learn at all.
        average_updates: batches that the average policy learns from after each rollout.
        exploration: weight of what keeps the best response's given-up options alive (see
            `learning.exploration.towards_uniform`), in place of the paper's epsilon-greedy play.
    """

    anticipation: float = 0.1
    capacity: int = 200_000
    longest_game: int = 256
    replacement: float = 0.0
    average_updates: int = 8
    exploration: float = 0.02

    def __post_init__(self):
        if not 0 <= self.anticipation <= 1:
            raise ValueError(f"anticipation={self.anticipation}: expected a probability")
        for name in ("capacity", "longest_game", "average_updates"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least 1")


def average_imitation(updates: int = 1000, **options) -> ImitationSettings:
    """Imitation as an average policy needs it: no values, no decay of weights, and over so many batches a learning rate
    that falls to a twentieth, so that at last it settles.

    Args:
        options: other fields of `ImitationSettings`.
    """
    falling = Schedule(kind="linear", floor=0.05)
    defaults = {"batch_size": 512, "learning_rate": 3e-3, "learning_rate_schedule": falling, "total_updates": updates}
    return ImitationSettings(**{**defaults, "value_weight": 0.0, "weight_decay": 0.0, **options})


class Anticipated:
    """Whom the best response meets: itself or the average policy; implements `workbench.learning.rollout.Opponents`.

    Before a game each seat draws whether the best response plays it, with chance eta, or the average; so it stays to the
    game's end. Games that the average would play alone teach neither policy anything and are drawn anew, which leaves
    the others as they are: both seats are the best response's in eta / (2 - eta) of them.

    Args:
        average: plays as it stands, while it learns.
        anticipation: eta.
    """

    def __init__(self, average: Player, anticipation: float):
        self.average, self.anticipation = average, anticipation

    def draw(self, count: int, generator: np.random.Generator) -> list[str]:
        both = generator.random(count) < self.anticipation / (2 - self.anticipation)
        return [CURRENT if alone else AVERAGE for alone in both]

    def player(self, member_id: str) -> Player:
        if member_id != AVERAGE:
            raise KeyError(f"no opponent {member_id!r}: the best response meets itself and {AVERAGE!r}")
        return self.average

    def record(self, member_id: str, score: float) -> None:
        pass

    def state(self) -> tuple[dict, dict[str, np.ndarray]]:
        return {"anticipation": self.anticipation}, {}

    def restore(self, described: dict, arrays: dict[str, np.ndarray]) -> None:
        if described["anticipation"] != self.anticipation:
            raise ValueError(f"saved with anticipation={described['anticipation']}, this one has {self.anticipation}")


class NFSP:
    """Trains a best response and an average policy on an env, by rollouts.

    Args:
        env: reset here.
        best_response, average: trained in place; two policies for this env, of any architectures.
        settings: hyper-parameters.
        ppo: the best response's.
        imitation: the average policy's; it learns no values.
        seed: of games, draws, minibatches, and what the reservoir keeps.

    Raises:
        ValueError: a policy of another env; or one policy given twice.
    """

    def __init__(
        self,
        env: Env,
        best_response: Policy,
        average: Policy,
        settings: NFSPSettings | None = None,
        *,
        ppo: PPOSettings | None = None,
        imitation: ImitationSettings | None = None,
        seed: int = 0,
    ):
        check_spec(average.spec, env.spec, average.id)
        if best_response is average:
            raise ValueError("best_response and average are one policy; expected two that share no weights")
        self.settings = settings = settings or NFSPSettings()
        imitation = imitation or average_imitation()
        if imitation.value_weight or imitation.weighting != "all":
            raise ValueError(
                f"imitation has value_weight={imitation.value_weight}, weighting={imitation.weighting!r}: the reservoir "
                "keeps no rewards; expected 0 and 'all'"
            )
        remembers = average.state_size > 0
        longest = settings.longest_game if remembers else 1
        if longest > settings.capacity:
            raise ValueError(f"longest_game={longest}, capacity={settings.capacity}: not one game would fit")
        self.reservoir = Reservoir(
            env.spec, slots=settings.capacity // longest, longest=longest, replacement=settings.replacement, seed=seed
        )
        exploration = (
            towards_uniform(best_response.layout.starts, settings.exploration) if settings.exploration else None
        )
        self.ppo = PPO(env, best_response, ppo, Anticipated(average, settings.anticipation), seed, exploration)
        self.imitation = Imitation(average, self.reservoir, imitation)
        rows = env.batch_size * len(self.ppo.collector.seats)
        self.games = OpenGames(average.layout, rows, longest) if remembers else None

    @property
    def best_response(self) -> Policy:
        return self.ppo.policy

    @property
    def average(self) -> Policy:
        return self.imitation.policy

    @property
    def policies(self) -> dict[str, Policy]:
        """Both, by what they are: `average` and `best_response`."""
        return {AVERAGE: self.average, "best_response": self.best_response}

    @property
    def frames(self) -> int:
        """Env steps so far, summed over games."""
        return self.ppo.frames

    @property
    def updates(self) -> int:
        """Rollouts so far."""
        return self.ppo.updates

    @undivided
    def update(self) -> dict[str, float]:
        """One rollout: the best response learns from it, its decisions go by the reservoir, the average learns.

        Returns:
            PPO's metrics; the average policy's under `average/`, and how full the reservoir is.
        """
        metrics = self.ppo.update()
        self._keep()
        metrics |= {"reservoir/seen": self.reservoir.seen, "reservoir/held": len(self.reservoir)}
        if self.games is not None:
            metrics["reservoir/left_out"] = self.games.left_out
        learned: dict[str, list[float]] = defaultdict(list)
        for _ in range(self.settings.average_updates if len(self.reservoir) else 0):
            found = self.imitation.update()
            for ours, theirs in _AVERAGE_METRICS.items():
                learned[ours].append(found[theirs])
        return metrics | {name: float(np.mean(values)) for name, values in learned.items()}

    def _keep(self) -> None:
        """Offer the reservoir what the best response decided."""
        if self.games is None:
            self.reservoir.add(decisions_of(self.ppo.rollout, self.reservoir.layout))
        else:
            self.reservoir.add(*self.games.take(self.ppo.rollout))

    def save_policies(self, folders: Mapping[str, str | Path], parent: str | None = None) -> dict[str, Path]:
        """Write both as ordinary policies, each into its folder; their lineage says how they came about."""
        training = {"frames": self.frames, "updates": self.updates, "decisions averaged": self.reservoir.seen}
        lineage = {"parent": parent, "trained_by": "NFSP", "anticipation": self.settings.anticipation}
        return {
            role: policy.save(folders[role], lineage | {"role": role}, training)
            for role, policy in self.policies.items()
        }

    def save(self, folder: str | Path) -> None:
        """Write one checkpoint with everything `restore` needs to end where an uninterrupted run would."""
        save_checkpoint(folder, "nfsp", *self.state())

    def state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """What `save` writes."""
        described, arrays = {"settings": asdict(self.settings)}, under("reservoir", self.reservoir.arrays())
        parts = {"ppo": self.ppo, "imitation": self.imitation} | ({} if self.games is None else {"games": self.games})
        for name, part in parts.items():
            described[name], held = part.state()
            arrays |= under(name, held)
        return described, arrays

    def restore(self, folder: str | Path) -> None:
        """Go on from a `save`.

        Raises:
            FileNotFoundError: no checkpoint there.
            CorruptFileError: a damaged or half-written file, named.
            ValueError: a checkpoint of another env, architecture, or settings.
        """
        described, arrays = load_checkpoint(folder, "nfsp")
        if described["settings"] != asdict(self.settings):
            raise ValueError(f"{folder}: saved with {described['settings']}, this trainer has {asdict(self.settings)}")
        self.ppo.take_state(described["ppo"], beneath("ppo", arrays), folder)
        self.imitation.take_state(described["imitation"], beneath("imitation", arrays), folder)
        self.reservoir.take_arrays(beneath("reservoir", arrays))
        if self.games is not None:
            self.games.restore(described["games"], beneath("games", arrays))


_AVERAGE_METRICS = {
    "average/loss": "losses/policy_loss",
    "average/entropy": "losses/entropy",
    "average/gradient_norm": "losses/gradient_norm",
    "average/learning_rate": "charts/learning_rate",
}
