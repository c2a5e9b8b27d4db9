// What a player's client would know, worked out from nothing but the log lines and requests that Showdown sends him.
//
// `node player_log.mjs <showdown folder>` reads JSON {games: [{seed, teams, choices: [[n, n]]}]} from stdin and prints,
// for each game and each of its steps (before the first choice too), both seats' {request, foes}.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const { Battle, toID } = createRequire(import.meta.url)(path.join(process.argv[2], 'dist', 'sim'));
const { extractChannelMessages } = createRequire(import.meta.url)(path.join(process.argv[2], 'dist', 'sim', 'battle'));

class Client {
  constructor(seat) {
    this.other = seat === 0 ? 'p2' : 'p1';
    this.foes = {};
    this.copying = {}; // names that are transformed, or move a mimicked move away
    this.active = null;
  }

  condition(name, text) {
    const [hp, status] = text.split(' ');
    const foe = this.foes[name];
    foe.hp = Number(hp.split('/')[0]);
    foe.status = status ?? '';
  }

  read(line) {
    const [, kind, who = '', ...rest] = line.split('|');
    if (!who.startsWith(this.other)) return;
    const name = who.split(': ')[1], foe = this.foes[name];
    if (kind === 'switch' || kind === 'drag') {
      this.active = name;
      this.copying = {};
      this.foes[name] ??= { species: toID(rest[0].split(',')[0]), moves: {} };
      this.condition(name, rest[1]);
    } else if (kind === '-damage' || kind === '-heal') {
      this.condition(name, rest[0]);
    } else if (kind === 'faint') {
      foe.hp = 0;
      foe.status = 'fnt';
    } else if (kind === '-status') foe.status = rest[0];
    else if (kind === '-curestatus') foe.status = '';
    else if (kind === '-transform') this.copying.all = true;
    else if (kind === '-start' && rest[0] === 'Mimic') this.copying[toID(rest[1])] = true;
    else if (kind === 'move' && !line.includes('[from]')) {
      const move = toID(rest[0]);
      if (!this.copying.all && !this.copying[move] && move !== 'struggle') foe.moves[move] = (foe.moves[move] ?? 0) + 1;
    }
  }
}

const code = choice => (choice > 0 ? `move ${choice}` : `switch ${-choice}`);

function play({ seed, teams, choices }) {
  const battle = new Battle({ formatid: 'gen1ou', seed: `gen5,${BigInt(seed).toString(16).padStart(16, '0')}` });
  teams.forEach((team, seat) => battle.setPlayer(`p${seat + 1}`, { name: `p${seat + 1}`, team }));
  const clients = [0, 1].map(seat => new Client(seat));
  const steps = [];
  let from = 0;
  const look = () => {
    const text = battle.log.slice(from).join('\n');
    from = battle.log.length;
    clients.forEach((client, seat) => {
      for (const line of extractChannelMessages(text, [seat + 1])[seat + 1]) client.read(line);
    });
    steps.push(clients.map((client, seat) => ({
      request: structuredClone(battle.sides[seat].activeRequest),
      active: client.active,
      foes: structuredClone(Object.values(client.foes)),
      turn: battle.turn,
    })));
  };
  look();
  for (const pair of choices) {
    battle.sides.forEach((side, seat) => {
      if (pair[seat] && !side.choose(code(pair[seat]))) throw new Error(side.choice.error);
    });
    battle.commitChoices();
    look();
  }
  return steps;
}

const { games } = JSON.parse(fs.readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(games.map(play)));
