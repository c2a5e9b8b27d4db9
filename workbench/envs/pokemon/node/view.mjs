// Writes a seat's view of a battle into an Int16Array, by the layout that view.py declares.

import { TRAPPING } from './battle.mjs';

const REQUEST = { none: 0, move: 1, switch: 2, wait: 3 };
const MENU = { none: 0, moves: 1, fight: 2, recharge: 3, struggle: 4, locked: 5 };
const RESULT = { running: 0, won: 1, lost: 2, tied: 3 };
const BOOSTS = ['atk', 'def', 'spa', 'spd', 'spe', 'accuracy', 'evasion'];
const STATS = ['atk', 'def', 'spa', 'spe'];
const ACTIONS = 9;

// Effects that are volatiles of the same name and whose beginning and end are both announced.
const DIRECT = [
  'confusion', 'substitute', 'reflect', 'lightscreen', 'leechseed', 'mist', 'focusenergy', 'mustrecharge', 'bide',
  'rage', 'lockedmove', 'twoturnmove', 'invulnerability', 'disable',
];

export function viewWriter(sim, { layout, types, statuses, effects }) {
  const dex = sim.Dex.forFormat('gen1ou');
  const typeToken = new Map(types.map((name, token) => [name, token]));
  const statusToken = new Map(statuses.map((name, token) => [name, token]));
  const moveNumber = new Map();
  for (const move of dex.moves.all()) if (move.gen === 1 && move.num > 0 && move.num <= 165) moveNumber.set(move.id, move.num);
  const typePairs = new WeakMap(); // of a species' or a setType's array
  const typePair = array => {
    let pair = typePairs.get(array);
    if (!pair) {
      pair = [0, 1].map(i => typeToken.get((array[i] ?? '').toLowerCase()) ?? 0);
      typePairs.set(array, pair);
    }
    return pair;
  };
  const effectIndex = name => {
    const at = effects.indexOf(name);
    if (at < 0) throw new Error(`the layout has no effect ${name}`);
    return at;
  };
  const direct = DIRECT.map(name => [name, effectIndex(name)]);
  const trapped = effectIndex('trapped'), trapping = effectIndex('trapping');
  const transform = effectIndex('transform'), typechange = effectIndex('typechange'), toxic = effectIndex('toxic');

  const { own: OWN, foe: FOE, own_active: ACTIVE } = layout;
  const order = [0, 0, 0, 0];

  function sortedMoves(slots) {
    const count = slots.length;
    for (let i = 0; i < count; i++) {
      let at = i;
      while (at > 0 && slots[order[at - 1]].id > slots[i].id) { order[at] = order[at - 1]; at--; }
      order[at] = i;
    }
    return count;
  }

  function writeOwn(out, at, pokemon) {
    out[at + OWN.species] = pokemon.baseSpecies.num;
    out[at + OWN.level] = pokemon.level;
    out[at + OWN.hp] = pokemon.hp;
    out[at + OWN.max_hp] = pokemon.maxhp;
    out[at + OWN.status] = statusToken.get(pokemon.fainted ? 'fnt' : pokemon.status);
    out[at + OWN.status_turns] = pokemon.m.statusTurns;
    const pair = typePair(pokemon.types);
    out[at + OWN.types] = pair[0];
    out[at + OWN.types + 1] = pair[1];
    for (let i = 0; i < 4; i++) out[at + OWN.stats + i] = pokemon.baseStoredStats[STATS[i]];
    const slots = pokemon.moveSlots;
    const count = sortedMoves(slots);
    for (let i = 0; i < count; i++) {
      const slot = slots[order[i]];
      out[at + OWN.moves + i] = moveNumber.get(slot.id);
      out[at + OWN.pp + i] = slot.pp;
      out[at + OWN.max_pp + i] = slot.maxpp;
      out[at + OWN.disabled + i] = slot.disabled || slot.pp <= 0 ? 1 : 0;
    }
  }

  function writeFoe(out, at, pokemon) {
    out[at + FOE.species] = pokemon.baseSpecies.num;
    out[at + FOE.level] = pokemon.level;
    let percent = 0;
    if (pokemon.hp) {
      percent = Math.ceil(100 * pokemon.hp / pokemon.maxhp);
      if (percent === 100 && pokemon.hp < pokemon.maxhp) percent = 99;
    }
    out[at + FOE.hp] = percent;
    out[at + FOE.status] = statusToken.get(pokemon.fainted ? 'fnt' : pokemon.status);
    out[at + FOE.status_turns] = pokemon.m.statusTurns;
    const pair = typePair(pokemon.types);
    out[at + FOE.types] = pair[0];
    out[at + FOE.types + 1] = pair[1];
    const { moves, uses } = pokemon.m;
    for (let i = 0; i < moves.length; i++) {
      out[at + FOE.moves + i] = moves[i];
      out[at + FOE.uses + i] = uses[i];
    }
  }

  function writeActive(out, at, side, slot) {
    const pokemon = side.active[0];
    out[at + ACTIVE.slot] = slot;
    out[at + ACTIVE.step_move] = side.stepMove;
    if (slot < 0) return;
    out[at + ACTIVE.species] = pokemon.species.num;
    for (let i = 0; i < 7; i++) out[at + ACTIVE.boosts + i] = pokemon.boosts[BOOSTS[i]];
    const { volatiles } = pokemon, { since } = pokemon.m;
    const turn = side.battle.turn, flags = at + ACTIVE.effects;
    const show = (effect, present) => {
      if (!present) since[effect] = 0;
      else {
        if (!since[effect]) since[effect] = turn + 1;
        out[flags + effect] = turn + 2 - since[effect];
      }
    };
    for (let i = 0; i < direct.length; i++) show(direct[i][1], volatiles[direct[i][0]]);
    // Whether a trap goes on is hidden until a move is tried; that a trapping move hit is not.
    const fake = volatiles.fakepartiallytrapped, trapper = TRAPPING.has(side.stepMove);
    show(trapped, volatiles.partiallytrapped || (fake && !trapper));
    show(trapping, volatiles.partialtrappinglock || (fake && trapper));
    show(transform, pokemon.transformed);
    show(typechange, !pokemon.transformed && pokemon.types !== pokemon.species.types);
    show(toxic, volatiles.residualdmg);
    if (volatiles.residualdmg) out[at + ACTIVE.toxic_counter] = volatiles.residualdmg.counter;
    if (volatiles.disable) out[at + ACTIVE.disabled_move] = moveNumber.get(volatiles.disable.move) ?? 0;
    out[at + ACTIVE.prev_move] = pokemon.m.lastMove;
  }

  function writeActions(out, at, side, request) {
    const legal = at + layout.legal, choice = at + layout.choice;
    let canSwitch = true;
    if (request.active) {
      out[at + layout.request] = REQUEST.move;
      const menu = request.active[0];
      const active = side.active[0];
      const first = menu.moves[0];
      canSwitch = !menu.trapped;
      out[at + layout.trapped] = canSwitch ? 0 : 1;
      out[at + layout.maybe_locked] = menu.maybeLocked ? 1 : 0;
      if (first.pp !== undefined) {
        out[at + layout.menu] = MENU.moves;
        const count = sortedMoves(active.moveSlots);
        for (let i = 0; i < count; i++) {
          if (menu.moves[order[i]].disabled) continue;
          out[legal + i] = 1;
          out[choice + i] = order[i] + 1;
        }
      } else {
        out[legal] = 1;
        out[choice] = 1;
        if (first.id === 'fight') out[at + layout.menu] = MENU.fight;
        else if (first.id === 'recharge') out[at + layout.menu] = MENU.recharge;
        else if (first.id === 'struggle') out[at + layout.menu] = MENU.struggle;
        else {
          out[at + layout.menu] = MENU.locked;
          out[at + layout.locked_move] = moveNumber.get(first.id) ?? 0;
        }
      }
    } else {
      out[at + layout.request] = REQUEST.switch;
    }
    if (!canSwitch) return;
    let action = 4;
    for (const pokemon of side.roster) {
      if (pokemon.position === 0 || pokemon.fainted) continue;
      if (action === ACTIONS) break;
      out[legal + action] = 1;
      out[choice + action] = -(pokemon.position + 1);
      action++;
    }
  }

  return function write(out, at, battle, seat) {
    const side = battle.sides[seat], other = battle.sides[1 - seat];
    out.fill(0, at, at + layout.size);
    if (battle.ended) {
      out[at + layout.result] = battle.winner === '' ? RESULT.tied : battle.winner === side.id ? RESULT.won : RESULT.lost;
    } else {
      const request = side.activeRequest;
      if (request.wait) out[at + layout.request] = REQUEST.wait;
      else writeActions(out, at, side, request);
    }
    out[at + layout.turn] = battle.turn;
    out[at + layout.own_left] = side.pokemonLeft;
    out[at + layout.foe_left] = other.pokemonLeft;
    const { roster } = side, { seen } = other;
    writeActive(out, at + layout.own_active.at, side, roster.indexOf(side.active[0]));
    writeActive(out, at + layout.foe_active.at, other, seen.indexOf(other.active[0]));
    for (let i = 0; i < roster.length; i++) writeOwn(out, at + OWN.at + i * OWN.size, roster[i]);
    for (let i = 0; i < seen.length; i++) writeFoe(out, at + FOE.at + i * FOE.size, seen[i]);
  };
}
