// Showdown's Battle without its text: the same outcomes, choices and random numbers, no log, no JSON requests.
//
// What the players would have read in the log is kept as facts instead (who was seen, which moves, how often), so a
// view never needs anything that was not announced. `quietBattle(sim)` returns the class; test_bridge.py plays it
// against the plain Battle, seed by seed.

import { fastEvents } from './events.mjs';

export const TRAPPING = new Set([20, 35, 83, 128]); // Bind, Wrap, Fire Spin, Clamp
const CANNOT_MOVE = new Set(['slp', 'frz', 'par']);

// Announced facts about a Pokémon, kept in `pokemon.m` (Showdown's place for such things).
export class Shown {
  constructor() {
    this.seen = false;
    this.moves = []; // move numbers, in alphabetical order of ids
    this.uses = []; // PP seen spent, beside `moves`
    this.statusTurns = 0;
    this.lastMove = 0;
    this.since = []; // turn + 1 an effect began, by the layout's order; 0 where it is off
  }
}

export function quietBattle(sim) {
  const { Battle, Dex } = sim;
  const dex = Dex.forFormat('gen1ou');
  const idOf = []; // by move number
  for (const move of dex.moves.all()) if (move.gen === 1 && move.num > 0) idOf[move.num] = move.id;

  const reveal = (pokemon, moveid) => {
    // A copied move (Transform, Mimic) is not part of the Pokémon's own set.
    if (pokemon.moveSlots.some(slot => slot.virtual && slot.id === moveid)) return -1;
    if (!pokemon.baseMoveSlots.some(slot => slot.id === moveid)) return -1;
    const number = dex.moves.get(moveid).num;
    const shown = pokemon.m;
    let at = shown.moves.indexOf(number);
    if (at >= 0) return at;
    at = 0;
    while (at < shown.moves.length && idOf[shown.moves[at]] < moveid) at++;
    shown.moves.splice(at, 0, number);
    shown.uses.splice(at, 0, 0);
    return at;
  };

  class QuietBattle extends fastEvents(sim, Battle) {
    add(type, pokemon, what, detail) {
      switch (type) {
      case 'switch':
      case 'drag':
        pokemon.m.lastMove = 0;
        pokemon.m.since.fill(0);
        if (!pokemon.m.seen) {
          pokemon.m.seen = true;
          pokemon.side.seen.push(pokemon);
        }
        break;
      case 'cant':
        if (CANNOT_MOVE.has(what)) pokemon.m.statusTurns++;
        else if (what === 'Disable') reveal(pokemon, detail.id);
        break;
      case '-status':
      case '-curestatus':
        pokemon.m.statusTurns = 0;
        break;
      case '-start':
        if (what === 'Disable') reveal(pokemon, this.toID(detail));
        else if (what === 'Mimic') reveal(pokemon.side.foe.active[0], this.toID(detail));
        break;
      }
    }

    addMove(type, pokemon, name, target) {
      const move = dex.moves.get(name);
      // "[from]" marks the further turns of a move, and moves that Metronome or Mirror Move called.
      if (!target.includes('[from]')) {
        const at = reveal(pokemon, move.id);
        if (at >= 0) pokemon.m.uses[at]++;
        pokemon.m.lastMove = move.num;
        pokemon.side.stepMove = move.num;
      } else if (target.endsWith(`[from] ${name}`)) {
        pokemon.side.stepMove = move.num;
      }
    }

    addSplit() {}
    attrLastMove() {}
    retargetLastMove() {}
    hint() {}
    debug() {}
    sendUpdates() {}

    getRequests(type) {
      return this.sides.map(side => {
        if (!side.pokemonLeft) return { wait: true };
        if (type === 'switch') return side.active[0]?.switchFlag ? { forceSwitch: [true] } : { wait: true };
        return { active: [side.active[0].getMoveRequestData()] };
      });
    }

    commitChoices() {
      this.updateSpeed();
      const oldQueue = this.queue.list;
      this.queue.clear();
      if (!this.allChoicesDone()) throw new Error('Not all choices done');
      for (const side of this.sides) side.commitChoices();
      this.clearRequest();
      this.queue.sort();
      this.queue.list.push(...oldQueue);
      this.requestState = '';
      for (const side of this.sides) side.activeRequest = null;
      this.turnLoop();
    }
  }
  return QuietBattle;
}
