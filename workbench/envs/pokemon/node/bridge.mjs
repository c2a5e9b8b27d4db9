// Plays many gen1ou battles for a parent process: `node bridge.mjs <showdown folder>`, frames on stdin and stdout.
//
// Frame in:  int32 payload bytes, int32 operation, payload.
// Frame out: int32 payload bytes, int32 operation, int32 ended games, int32 reserved, payload.
// Little-endian. Ends when stdin ends. An error in a battle ends the process; the parent knows how to go on.
import fs from 'node:fs';
import { quietBattle, Shown } from './battle.mjs';
import { DONE, drawTeams, Game, gameSeed } from './game.mjs';
import { describe } from './describe.mjs';
import { loadSimulator } from './simulator.mjs';
import { viewWriter } from './view.mjs';

const OPERATION = { init: 1, reset: 2, step: 3, replay: 4, describe: 5 };
const END_REASON = { rules: 0, tie: 1, limit: 2 };
const HEAD = 12; // int16 a game: done, outcome, length, end reason, seed (4), game number (2), spare (2)

const sim = loadSimulator(process.argv[2]);
const Battle = quietBattle(sim);

class Table {
  constructor({ slots, teams, turn_limit: turnLimit, ...view }) {
    this.slots = slots;
    this.teams = teams;
    this.turnLimit = turnLimit;
    this.write = viewWriter(sim, view);
    this.size = view.layout.size;
    const words = slots.length * (HEAD + 4 * this.size);
    this.frame = Buffer.alloc(16 + 2 * words);
    this.words = new Int16Array(this.frame.buffer, this.frame.byteOffset + 16, words);
    this.games = slots.map(() => null);
    this.numbers = slots.map(() => 0);
    this.seed = 0n;
  }

  viewAt(index, seat) {
    return this.slots.length * HEAD + (2 * index + seat) * this.size;
  }

  begin(index, number, teams) {
    const seed = gameSeed(this.seed, this.slots[index], number);
    this.numbers[index] = number;
    this.games[index] = new Game(Battle, Shown, seed, teams ?? drawTeams(seed, this.teams));
    this.show(index, DONE.running);
  }

  // Head and both views of a running game.
  show(index, done, ended) {
    const { words } = this, game = this.games[index], at = index * HEAD;
    words[at] = done;
    words[at + 1] = ended ? ended.outcome : 0;
    words[at + 2] = ended ? ended.steps : game.steps;
    words[at + 3] = ended ? endReason(ended, done) : 0;
    for (let i = 0; i < 4; i++) words[at + 4 + i] = Number((game.seed >> BigInt(16 * i)) & 0xffffn);
    words[at + 8] = this.numbers[index] & 0xffff;
    words[at + 9] = this.numbers[index] >> 16;
    for (let seat = 0; seat < 2; seat++) this.write(words, this.viewAt(index, seat), game.battle, seat);
  }

  // Plays Showdown choices (int8, two a game); returns how many games ended.
  step(choices) {
    const count = this.slots.length;
    let ended = 0;
    for (let index = 0; index < count; index++) {
      const game = this.games[index];
      game.step(choices[2 * index], choices[2 * index + 1]);
      const done = game.done(this.turnLimit);
      if (done === DONE.running) {
        const { words } = this, at = index * HEAD;
        words[at] = words[at + 1] = words[at + 3] = 0;
        words[at + 2] = game.steps;
        for (let seat = 0; seat < 2; seat++) this.write(words, this.viewAt(index, seat), game.battle, seat);
        continue;
      }
      const last = count * HEAD + (2 * count + 2 * ended) * this.size;
      for (let seat = 0; seat < 2; seat++) this.write(this.words, last + seat * this.size, game.battle, seat);
      ended++;
      this.begin(index, this.numbers[index] + 1);
      this.show(index, done, game);
    }
    return ended;
  }

  send(operation, ended) {
    const bytes = 2 * this.slots.length * (HEAD + 2 * this.size) + 4 * ended * this.size;
    this.frame.writeInt32LE(bytes, 0);
    this.frame.writeInt32LE(operation, 4);
    this.frame.writeInt32LE(ended, 8);
    writeAll(this.frame.subarray(0, 16 + bytes));
  }
}

function endReason(game, done) {
  if (done === DONE.truncated) return END_REASON.limit;
  const { sides } = game.battle;
  return sides[0].pokemonLeft && sides[1].pokemonLeft ? END_REASON.tie : END_REASON.rules;
}

function writeAll(buffer) {
  let from = 0;
  while (from < buffer.length) from += fs.writeSync(1, buffer, from);
}

function sendText(operation, text) {
  const payload = Buffer.from(text);
  const head = Buffer.alloc(16);
  head.writeInt32LE(payload.length, 0);
  head.writeInt32LE(operation, 4);
  writeAll(Buffer.concat([head, payload]));
}

// Blocking reads: nothing else happens in this process while it waits.
function readExactly(buffer, length) {
  let have = 0;
  while (have < length) {
    const got = fs.readSync(0, buffer, have, length - have, null);
    if (got === 0) process.exit(0);
    have += got;
  }
}

const head = Buffer.alloc(8);
let body = Buffer.alloc(4096);
let table = null;
for (;;) {
  readExactly(head, 8);
  const length = head.readInt32LE(0), operation = head.readInt32LE(4);
  if (length > body.length) body = Buffer.alloc(length);
  readExactly(body, length);
  switch (operation) {
  case OPERATION.init:
    table = new Table(JSON.parse(body.toString('utf8', 0, length)));
    sendText(operation, JSON.stringify({ pid: process.pid, node: process.version, size: table.size, head: HEAD }));
    break;
  case OPERATION.reset:
    table.seed = body.readBigUInt64LE(0);
    for (let index = 0; index < table.slots.length; index++) table.begin(index, 0);
    table.send(operation, 0);
    break;
  case OPERATION.step:
    table.send(operation, table.step(new Int8Array(body.buffer, body.byteOffset, length)));
    break;
  case OPERATION.replay: {
    // int32 JSON bytes, JSON {seed, games: [{number, steps, teams}]}, then all games' choices, int8, two a step
    const size = body.readInt32LE(0);
    const { seed, games } = JSON.parse(body.toString('utf8', 4, 4 + size));
    table.seed = BigInt(seed);
    let at = 4 + size;
    for (let index = 0; index < games.length; index++) {
      table.begin(index, games[index].number, games[index].teams);
      for (let step = 0; step < games[index].steps; step++, at += 2) {
        table.games[index].step(body.readInt8(at), body.readInt8(at + 1));
        table.show(index, DONE.running);
      }
    }
    table.send(operation, 0);
    break;
  }
  case OPERATION.describe:
    sendText(operation, JSON.stringify(describe(table.games[body.readInt32LE(0)])));
    break;
  default:
    throw new Error(`operation ${operation} is not known`);
  }
}
