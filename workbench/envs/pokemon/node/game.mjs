// One slot's game: seeds, teams, the nine actions, and its end.

const MASK = 0xffffffffffffffffn;
const splitmix = value => {
  value = (value + 0x9e3779b97f4a7c15n) & MASK;
  value = ((value ^ (value >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  value = ((value ^ (value >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return value ^ (value >> 31n);
};

// The same as `workbench.envs.core.game_seed`.
export const gameSeed = (seed, slot, game) =>
  splitmix(splitmix(splitmix(seed & MASK) ^ BigInt(slot)) ^ BigInt(game));

// Each seat's team, drawn by the game's seed from its list of packed teams; `Simulators.teams` draws the same.
export const drawTeams = (seed, lists) =>
  lists.map((list, seat) => list[Number(splitmix(seed ^ BigInt(seat + 1)) % BigInt(list.length))]);

export const DONE = { running: 0, terminated: 1, truncated: 2 };

export class Game {
  constructor(Battle, Shown, seed, teams) {
    this.seed = seed;
    this.steps = 0;
    const battle = new Battle({ formatid: 'gen1ou', seed: `gen5,${seed.toString(16).padStart(16, '0')}` });
    this.battle = battle;
    for (let seat = 0; seat < 2; seat++) {
      // The battle starts with the second player, so the places for facts must be there before.
      if (seat === 1) prepare(battle.sides[0], Shown);
      if (seat === 1) {
        const start = battle.start;
        battle.start = () => { prepare(battle.sides[1], Shown); delete battle.start; start.call(battle); };
      }
      battle.setPlayer(`p${seat + 1}`, { name: `p${seat + 1}`, team: teams[seat] });
    }
  }

  // Play one step; `actions` are two Showdown choices (n > 0 "move n", n < 0 "switch -n", 0 none).
  step(first, second) {
    const { battle } = this;
    this.choose(battle.sides[0], first);
    this.choose(battle.sides[1], second);
    battle.sides[0].stepMove = battle.sides[1].stepMove = 0;
    this.steps++;
    battle.commitChoices();
  }

  choose(side, choice) {
    if (!side.requestState) return;
    side.clearChoice();
    const ok = choice > 0 ? side.chooseMove(choice) : side.chooseSwitch(String(-choice));
    if (!ok) throw new Error(`seed ${this.seed}, turn ${this.battle.turn}, ${side.id}: choice ${choice}: ${side.choice.error}`);
  }

  // +1, -1, 0 for seat 0.
  get outcome() {
    return this.battle.winner === 'p1' ? 1 : this.battle.winner === 'p2' ? -1 : 0;
  }

  done(turnLimit) {
    if (this.battle.ended) return DONE.terminated;
    return this.battle.turn > turnLimit ? DONE.truncated : DONE.running;
  }
}

function prepare(side, Shown) {
  side.seen = [];
  side.stepMove = 0;
  for (const pokemon of side.pokemon) pokemon.m = new Shown();
  side.roster = side.pokemon.slice().sort((a, b) => (a.baseSpecies.id < b.baseSpecies.id ? -1 : 1));
}
