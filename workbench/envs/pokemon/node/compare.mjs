// Plays battles on Showdown's own Battle and on ours side by side, with the same seeds and choices, and reports the
// first place where anything that matters differs: random numbers, Pokémon, requests, the result.
//
// `node compare.mjs <showdown folder>` reads JSON {teams, games, seed} from stdin and prints
// {games, steps, turns, requests: {shape: count}, difference}; `difference` is null where there is none.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import { generator, legalChoices, newBattle } from './bare.mjs';
import { quietBattle, Shown } from './battle.mjs';
import { drawTeams, Game, gameSeed } from './game.mjs';

const sim = createRequire(import.meta.url)(path.join(process.argv[2], 'dist', 'sim'));
const Quiet = quietBattle(sim);
const { teams, games, seed } = JSON.parse(fs.readFileSync(0, 'utf8'));

const volatiles = pokemon => Object.entries(pokemon.volatiles).map(([id, state]) => [
  id, state.duration, state.time, state.counter, state.hp, state.move, state.damage, state.accuracy, state.effectOrder,
]);
const pokemonState = pokemon => [
  pokemon.name, pokemon.species.id, pokemon.hp, pokemon.status, pokemon.statusState.time, pokemon.boosts,
  pokemon.modifiedStats, pokemon.storedStats, pokemon.types, pokemon.position, pokemon.isActive, pokemon.fainted,
  pokemon.trapped, pokemon.maybeLocked, pokemon.transformed, pokemon.speed, pokemon.lastMove?.id, pokemon.activeTurns,
  pokemon.moveSlots.map(slot => [slot.id, slot.pp, slot.maxpp, slot.disabled]), volatiles(pokemon),
];
const sideState = side => [
  side.pokemonLeft, side.lastSelectedMove, side.lastSelectedMoveSlot, side.lastEnemySelectedMove, side.lastMove?.id,
  side.lastEnemyMove?.id, side.activeRequest?.active, !!side.activeRequest?.wait, side.activeRequest?.forceSwitch,
  side.pokemon.map(pokemonState),
];
const battleState = battle => JSON.stringify([
  battle.prng.getSeed(), battle.turn, battle.ended, battle.winner, battle.lastDamage, battle.effectOrder,
  battle.requestState, battle.sides.map(sideState),
]);

function shape(request) {
  if (request.wait) return 'wait';
  if (request.forceSwitch) return 'force';
  const { moves, trapped, maybeLocked } = request.active[0];
  const kind = moves[0].pp === undefined ? moves[0].id : moves.some(move => move.disabled) ? 'some disabled' : 'list';
  return kind + (trapped ? ' trapped' : '') + (maybeLocked ? ' maybeLocked' : '');
}

const code = choice => (choice.startsWith('move') ? 1 : -1) * Number(choice.split(' ')[1]);
const pick = generator(seed);
const report = { games: 0, steps: 0, turns: 0, requests: {}, difference: null };
for (let number = 0; number < games && !report.difference; number++) {
  const seedOfGame = gameSeed(BigInt(seed), 0, number);
  const drawn = drawTeams(seedOfGame, [teams, teams]);
  const plain = newBattle(sim.Battle, seedOfGame, drawn);
  const ours = new Game(Quiet, Shown, seedOfGame, drawn);
  while (!plain.ended) {
    const expected = battleState(plain), got = battleState(ours.battle);
    if (expected !== got) {
      report.difference = { game: number, turn: plain.turn, expected, got };
      break;
    }
    const choices = plain.sides.map(side => {
      const request = side.activeRequest;
      const kind = shape(request);
      report.requests[kind] = (report.requests[kind] ?? 0) + 1;
      if (request.wait) return null;
      const legal = legalChoices(request);
      return legal[pick(legal.length)];
    });
    plain.sides.forEach((side, seat) => { if (choices[seat] && !side.choose(choices[seat])) throw new Error(side.choice.error); });
    plain.commitChoices();
    ours.step(...choices.map(choice => (choice ? code(choice) : 0)));
    report.steps++;
  }
  if (!report.difference && battleState(plain) !== battleState(ours.battle)) {
    report.difference = { game: number, turn: plain.turn, expected: battleState(plain), got: battleState(ours.battle) };
  }
  report.games++;
  report.turns += plain.turn;
}
process.stdout.write(JSON.stringify(report));
