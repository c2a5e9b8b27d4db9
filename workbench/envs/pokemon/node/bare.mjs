// The plain Battle class with random choices and nothing around it: what our own processes are measured against.
//
// `node bare.mjs <showdown folder>` reads JSON {teams, battles, seconds, seed} from stdin and prints
// {steps, games, turns, seconds, cpu_seconds}; a step is one decision point of one battle, both seats'.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { drawTeams, gameSeed } from './game.mjs';

// Small, fast and good enough to pick choices with; not the battles' own random numbers.
export function generator(seed) {
  let state = seed >>> 0;
  return count => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 4294967296 * count);
  };
}

// All choices that a request allows, as Showdown's protocol writes them.
export function legalChoices(request) {
  const found = [];
  if (request.active) request.active[0].moves.forEach((move, i) => { if (!move.disabled) found.push(`move ${i + 1}`); });
  if (request.forceSwitch || !request.active?.[0].trapped) {
    request.side.pokemon.forEach((pokemon, i) => {
      if (!pokemon.active && !pokemon.condition.endsWith(' fnt')) found.push(`switch ${i + 1}`);
    });
  }
  return found;
}

export function newBattle(Battle, seed, teams) {
  const battle = new Battle({ formatid: 'gen1ou', seed: `gen5,${seed.toString(16).padStart(16, '0')}` });
  teams.forEach((team, seat) => battle.setPlayer(`p${seat + 1}`, { name: `p${seat + 1}`, team }));
  return battle;
}

function play({ teams, battles, seconds, seed }, Battle) {
  const pick = generator(seed);
  const numbers = Array(battles).fill(0);
  const begin = slot => {
    const game = gameSeed(BigInt(seed), slot, numbers[slot]++);
    return newBattle(Battle, game, drawTeams(game, [teams, teams]));
  };
  const running = numbers.map((_, slot) => begin(slot));
  const WARM_UP = 50;  // rounds of all battles that do not count: until then V8 is still compiling
  let steps = 0, games = 0, turns = 0, rounds = 0;
  let from = process.hrtime.bigint(), cpu = process.cpuUsage();
  let elapsed = 0;
  while (elapsed < seconds) {
    if (rounds++ === WARM_UP) {
      [steps, games, turns] = [0, 0, 0];
      from = process.hrtime.bigint();
      cpu = process.cpuUsage();
    }
    for (let slot = 0; slot < battles; slot++) {
      const battle = running[slot];
      for (const side of battle.sides) {
        const request = side.activeRequest;
        if (request.wait) continue;
        const choices = legalChoices(request);
        side.choose(choices[pick(choices.length)]);
      }
      battle.commitChoices();
      steps++;
      if (battle.ended) {
        games++;
        turns += battle.turn;
        running[slot] = begin(slot);
      }
    }
    elapsed = Number(process.hrtime.bigint() - from) / 1e9;
  }
  const { user, system } = process.cpuUsage(cpu);
  return { steps, games, turns, seconds: elapsed, cpu_seconds: (user + system) / 1e6 };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { Battle } = createRequire(import.meta.url)(path.join(process.argv[2], 'dist', 'sim'));
  process.stdout.write(JSON.stringify(play(JSON.parse(fs.readFileSync(0, 'utf8')), Battle)));
}
