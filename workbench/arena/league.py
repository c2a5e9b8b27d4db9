"""A league: main agents, and exploiters that look for their weaknesses, learn from games with each other and their past.

>>> agents = {id: (role, wb.Policy.create(spec, seed=n)) for n, (id, role) in enumerate(agent_names(main=1).items())}
>>> league = League(lambda: wb.make("kuhn", 256), agents, wb.PPOSettings(total_frames=600_000), scripted=["kuhn/bet"])
>>> while league.frames < 600_000:
...     print(league.update()["league/main/elo"])

Source: Vinyals et al. 2019, Nature 575 (AlphaStar), Methods, "Multi-agent learning".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.arena.league_opponents import LeagueOpponents
from workbench.arena.league_roles import MAIN, ROLES, Role, league_roles
from workbench.arena.league_roster import AGENT, COPY, Entry, Roster
from workbench.arena.members import scripted_members
from workbench.arena.parallel import pair_seed
from workbench.envs.core import Env
from workbench.learning.checkpoint import beneath, load_checkpoint, save_checkpoint, under
from workbench.learning.damping import Damping
from workbench.learning.ppo import PPO, PPOSettings
from workbench.learning.undivided import undivided
from workbench.markup import Cell, table_html
from workbench.policies.core import Policy

PRUNE = ("oldest", "weakest")


@dataclass(frozen=True, kw_only=True)
class LeagueSettings:
    """What holds for all of a league.

    Args:
        keep: how many copies of agents stay, beside those of what the agents began as, which always do.
        prune: who leaves when there are more: the `"oldest"`, or the `"weakest"` by Elo; never the one that has just joined.
        memory: over about how many games a win rate is measured, so that it follows an agent that improves.
        k, initial: Elo's K factor and first rating.
    """

    keep: int = 30
    prune: str = "oldest"
    memory: int = 200
    k: float = 16.0
    initial: float = 1500.0

    def __post_init__(self):
        if self.prune not in PRUNE:
            raise ValueError(f"prune={self.prune!r}; expected one of {', '.join(PRUNE)}")
        if self.keep < 1 or self.memory < 1:
            raise ValueError(f"keep={self.keep}, memory={self.memory}; expected at least 1")


@dataclass
class Agent:
    """One learner of a league.

    Args:
        id, role: its own, and its role's name.
        rule: what the role says.
        policy: changes as it learns.
        start: id of the entry that holds the weights it began with.
        opponents: whom it meets, and how it has fared.
        ppo: its trainer, with an env, an optimizer and a source of chance of its own.
        copies, resets: how often it was copied into the league and went back to its start.
        copied_at: its own env steps when it was copied last.
    """

    id: str
    role: str
    rule: Role
    policy: Policy
    start: str
    opponents: LeagueOpponents
    ppo: PPO
    copies: int = 0
    resets: int = 0
    copied_at: int = 0


def agent_names(**counts: int) -> dict[str, str]:
    """Ids of so many agents of each role, with the role's name.

    >>> agent_names(main=1, main_exploiter=2)
    {'main': 'main', 'main-exploiter-1': 'main_exploiter', 'main-exploiter-2': 'main_exploiter'}
    """
    found = {}
    for role, count in counts.items():
        name = role.replace("_", "-")
        found |= {name if count == 1 else f"{name}-{number}": role for number in range(1, count + 1)}
    return found


class League:
    """Agents of several roles that learn in turns; has the face of a trainer: `update`, `frames`, `policy`, `save`, `restore`.

    Frozen copies of agents join the league by their role's rule and never change: `save` compares their weights with
    what was frozen.

    Args:
        make: makes an env; each agent has one of its own.
        agents: by id, the role's name and the policy it begins as, which is trained in place. The first main agent is the
            one the league is for.
        settings: hyper-parameters of every agent's PPO; `total_frames` are those of the whole league.
        roles: by name; by default AlphaStar's.
        league: what holds for all.
        scripted, random: players that are in the league from the beginning, see `Population`.
        damping: preset by which every agent is held to the policy that it begins as; `"baseline"`: not at all.
        seed: of everything.
        device: for copies that `restore` builds.

    Raises:
        ValueError: no main agent, an unknown role, main agents that would be reset, or games that win rates forget before
            there are enough.
    """

    def __init__(
        self,
        make: Callable[[], Env],
        agents: Mapping[str, tuple[str, Policy]],
        settings: PPOSettings | None = None,
        *,
        roles: Mapping[str, Role] | None = None,
        league: LeagueSettings | None = None,
        scripted: Sequence[str] = (),
        random: str | None = None,
        damping: str = "baseline",
        seed: int = 0,
        device: str = "auto",
    ):
        self.settings, self.league = settings or PPOSettings(), league or LeagueSettings()
        self.seed, self.device, self.damping = seed, device, damping
        self.roles = dict(roles or league_roles())
        _check(agents, self.roles, self.league)
        self.generator = np.random.default_rng(pair_seed(seed, "league", "resets"))
        self.roster, self.updates = Roster(), 0
        self.agents: dict[str, Agent] = {}
        self._found(agents, scripted, random)
        total = sum(self.roles[role].pace for role, _ in agents.values())
        for id, (role, policy) in agents.items():
            rule, some = self.roles[role], self.league
            opponents = LeagueOpponents(id, rule, self.roster, memory=some.memory, k=some.k, initial=some.initial)
            for other in [*self.roster.agents(MAIN), *self.roster.founders]:
                if other != id:
                    opponents.join(other)
            own = replace(self.settings, total_frames=max(1, round(self.settings.total_frames * rule.pace / total)))
            ppo = self._trainer(id, 0, make(), policy, own, opponents)
            self.agents[id] = Agent(id, role, rule, policy, self.roster.copy_of(policy), opponents, ppo)

    # training

    @property
    def frames(self) -> int:
        """Env steps of all agents together, summed over games."""
        return sum(agent.ppo.frames for agent in self.agents.values())

    @property
    def policy(self) -> Policy:
        """The first main agent's."""
        return self.first.policy

    @property
    def first(self) -> Agent:
        return next(agent for agent in self.agents.values() if agent.role == MAIN)

    @undivided
    def update(self) -> dict[str, float]:
        """One update of the agent that is furthest behind its pace; a copy of it joins the league if it is time.

        Returns:
            What its `PPO.update` gives, of the first main agent under its own names, of others beneath `league/<agent>/`;
            how it stands (see `LeagueOpponents.metrics`); `league/size`, the copies that may be met; `league/joined`;
            `league/<agent>/frames`, `/copies` and `/resets`.
        """
        agent = min(self.agents.values(), key=lambda one: one.ppo.frames / one.rule.pace)
        learned = agent.ppo.update()
        self.updates += 1
        if self._is_due(agent):
            self._copy(agent)
        self._prune()
        own = f"league/{agent.id}"
        return {
            **(learned if agent is self.first else {f"{own}/{name}": value for name, value in learned.items()}),
            **agent.opponents.metrics(),
            "league/size": len(self.roster.copies),
            "league/joined": sum(one["kind"] == COPY for one in self.roster.joined),
            f"{own}/frames": agent.ppo.frames,
            f"{own}/copies": agent.copies,
            f"{own}/resets": agent.resets,
        }

    def _is_due(self, agent: Agent) -> bool:
        rule, since = agent.rule, agent.ppo.frames - agent.copied_at
        if since >= rule.every:
            return True
        if rule.beats is None or since < rule.earliest:
            return False
        standing = agent.opponents.standing()
        targets = standing.league if rule.targets == "league" else [id for id in standing.mains if id != agent.id]
        return agent.opponents.beats(targets, rule.beats, rule.games)

    def _copy(self, agent: Agent) -> None:
        """Freeze the agent into the league, and perhaps send it back to its start."""
        agent.copies += 1
        agent.copied_at = agent.ppo.frames
        id, rating = f"{agent.id}@{agent.copies}", self.roster[agent.id].rating
        self.roster.freeze(agent.policy, id, role=agent.role, parent=agent.id, frames=self.frames, rating=rating)
        for one in self.agents.values():
            one.opponents.join(id)
        if self.generator.random() < agent.rule.reset:
            self._reset(agent)

    def _reset(self, agent: Agent) -> None:
        """Back to the weights it began with, in games that begin anew; only its counts go on."""
        start = self.roster[agent.start]
        agent.resets += 1
        agent.policy.load_arrays(start.player.arrays())
        agent.opponents.begin_anew()
        self.roster[agent.id].rating = start.rating
        old = agent.ppo
        agent.ppo = self._trainer(agent.id, agent.resets, old.env, agent.policy, old.settings, agent.opponents)
        agent.ppo.frames, agent.ppo.decisions, agent.ppo.updates = old.frames, old.decisions, old.updates

    def _trainer(self, id: str, resets: int, env: Env, policy: Policy, settings: PPOSettings, opponents) -> PPO:
        seed, damping = pair_seed(self.seed, "league", id, resets), Damping.named(self.damping, policy)
        return PPO(env, policy, settings, opponents=opponents, seed=seed, damping=damping)

    def _prune(self) -> None:
        """Retire copies beyond `keep`, and let go of retired ones that nobody plays any more."""
        kept = [id for id in self.roster.copies if id not in self.roster.founders]
        while len(kept) > self.league.keep:
            weakest = min(kept[:-1], key=lambda id: self.roster[id].rating)
            leaves = kept[0] if self.league.prune == "oldest" else weakest
            kept.remove(leaves)
            self.roster.retire(leaves, self.frames)
            for one in self.agents.values():
                one.opponents.retire(leaves)
        self.roster.sweep(lambda id: any(one.opponents.holds(id) for one in self.agents.values()))

    def _found(self, agents: Mapping[str, tuple[str, Policy]], scripted: Sequence[str], random: str | None) -> None:
        """Enter agents, what they begin as (alike ones once), and the scripted players."""
        initial = self.league.initial
        for id, (role, policy) in agents.items():
            policy.id = id
            self.roster.add(Entry(policy, AGENT, role, "", 0, "", initial))
        for id, (role, policy) in agents.items():
            if self.roster.copy_of(policy) is None:
                self.roster.freeze(policy, f"{id}@0", role=role, parent=id, frames=0, rating=initial)
        spec = next(policy.spec for _, policy in agents.values())
        for member in scripted_members(scripted, random, spec, initial):
            self.roster.add(Entry(member.player, member.kind, "", "", 0, member.content, initial))
        self.roster.found()

    # looking at it

    def players(self) -> dict[str, Policy]:
        """The frozen copies that may be met, and the agents as they are, by id."""
        learning = {id: agent.policy for id, agent in self.agents.items()}
        return {id: self.roster[id].player for id in self.roster.copies} | learning

    def save_players(self, folder: str | Path) -> dict[str, Path]:
        """Write each of `players` into a folder of its own beneath `folder`; returns them by id."""
        joined = {one["id"]: one for one in self.roster.joined}
        places = {}
        for id, policy in self.players().items():
            role, parent = joined[id]["role"], joined[id]["parent"] or None
            lineage = {"trained_by": f"PPO in a league, as {role}", "parent": parent}
            frames = joined[id]["frames"] if parent else self.frames
            places[id] = policy.save(Path(folder) / id, lineage=lineage, training={"frames of the league": frames})
        return places

    def met(self) -> pd.DataFrame:
        """Who met whom over the whole training, a row an agent and opponent, `"current"` being itself.

        Columns: agent, opponent, begun (games), share (of the agent's), wins, draws, losses, win_rate (nan without games
        that ended, and against itself), probability (of being drawn now; 0 of who has left).
        """
        rows = []
        for id, agent in self.agents.items():
            now, begun = agent.opponents.probabilities(), sum(counts[0] for counts in agent.opponents.met.values())
            for opponent, (drawn, wins, draws, losses) in agent.opponents.met.items():
                games = wins + draws + losses
                rate = (wins + draws / 2) / games if games else np.nan
                rows.append((id, opponent, drawn, drawn / begun, wins, draws, losses, rate, now.get(opponent, 0.0)))
        names = ["agent", "opponent", "begun", "share", "wins", "draws", "losses", "win_rate", "probability"]
        return pd.DataFrame(rows, columns=names)

    def table(self) -> pd.DataFrame:
        """Everybody in the league by Elo: id, kind, role, parent, frames (of the league when it joined), elo."""
        names = ["id", "kind", "role", "parent", "frames", "elo"]
        rows = [
            (id, entry.kind, entry.role, entry.parent, entry.frames, entry.rating)
            for id, entry in self.roster.entries.items()
            if not entry.retired
        ]
        return pd.DataFrame(rows, columns=names).sort_values("elo", ascending=False, kind="stable", ignore_index=True)

    def _repr_html_(self) -> str:
        met = self.met().set_index(["agent", "opponent"])
        rows = []
        for row in self.table().itertuples():
            learns = row.kind == AGENT
            what = row.role.replace("_", " ") + ", learns" * learns or row.kind
            about = (Cell(row.id, row.id), what, "" if learns else f"{row.frames:,}", f"{row.elo:.0f}")
            rows.append((*about, *(_faced(met, one, row.id) for one in self.agents)))
        return table_html(
            ("", "role", "joined at frame", "Elo", *(f"{id} against it" for id in self.agents)),
            rows,
            left=(0, 1),
            caption=f"League: {len(self.agents)} agents, {len(self.roster.copies)} frozen copies, {self.frames:,} frames",
            note="Win rates over all games, and in brackets how likely a game is against it now.",
        )

    # keeping

    def save(self, folder: str | Path) -> None:
        """Write everything `restore` needs to end where an undisturbed league would, bit for bit on a CPU.

        Raises:
            RuntimeError: a frozen copy has changed; it is named.
        """
        save_checkpoint(folder, "league", *self.state())

    def state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """What `save` writes."""
        roster, arrays = self.roster.state()
        arrays, agents = under("roster", arrays), {}
        for number, (id, agent) in enumerate(self.agents.items()):
            described, held = agent.ppo.state()
            agents[id] = {name: getattr(agent, name) for name in ("role", "start", "copies", "resets", "copied_at")}
            agents[id] |= {"ppo": described}
            arrays |= under(f"agent-{number}", held)
        random = self.generator.bit_generator.state
        return {"agents": agents, "roster": roster, "updates": self.updates, "random": random}, arrays

    def restore(self, folder: str | Path) -> None:
        """Go on from a `save`, of a league made with the same arguments.

        Raises:
            FileNotFoundError: no checkpoint there.
            CorruptFileError: a damaged or half-written file, named.
            ValueError: a checkpoint of another league.
        """
        described, arrays = load_checkpoint(folder, "league")
        theirs = [(id, about["role"]) for id, about in described["agents"].items()]
        mine = [(id, agent.role) for id, agent in self.agents.items()]
        if theirs != mine:
            raise ValueError(f"{folder}: saved with the agents {dict(theirs)}, this league has {dict(mine)}")
        self.roster.restore(described["roster"], beneath("roster", arrays), self.device)
        for number, (id, about) in enumerate(described["agents"].items()):
            agent = self.agents[id]
            agent.ppo.take_state(about["ppo"], beneath(f"agent-{number}", arrays), folder)
            agent.copies, agent.resets, agent.copied_at = about["copies"], about["resets"], about["copied_at"]
        self.updates = described["updates"]
        self.generator.bit_generator.state = described["random"]

    def close(self) -> None:
        """Let go of all agents' envs."""
        for agent in self.agents.values():
            agent.ppo.env.close()


def _check(agents: Mapping[str, tuple[str, Policy]], roles: Mapping[str, Role], league: LeagueSettings) -> None:
    unknown = sorted({role for role, _ in agents.values()} - set(roles))
    if unknown or set(roles) - set(ROLES):
        raise ValueError(f"roles of agents {unknown}, rules for {sorted(roles)}; expected {', '.join(ROLES)}")
    if not any(role == MAIN for role, _ in agents.values()):
        raise ValueError(f"agents are {', '.join(agents) or 'nobody'}; a league needs a main agent")
    if roles[MAIN].reset:
        raise ValueError(
            f"main agents with reset={roles[MAIN].reset}; they are met as they are and never begin anew: 0"
        )
    for name, role in roles.items():
        if role.beats is not None and role.games >= league.memory:
            raise ValueError(
                f"{name}: games={role.games} with memory={league.memory}; win rates rest on fewer games than their memory"
            )


def _faced(met: pd.DataFrame, agent: str, opponent: str) -> str:
    """An agent's win rate against somebody, and how likely it meets it now."""
    opponent = "current" if agent == opponent else opponent
    if (agent, opponent) not in met.index:
        return ""
    row = met.loc[(agent, opponent)]
    rate = "" if np.isnan(row.win_rate) else f"{row.win_rate:.0%} "
    return f"{rate}({row.probability:.0%})"
