// Plays a game again on Showdown's plain Battle and prints its log, in the protocol that Showdown's replay viewer reads.
//
// `node log.mjs <showdown folder>` reads JSON {seed, teams, choices: [[n, n]]} from stdin and prints {log}.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import { newBattle } from './bare.mjs';

const { Battle } = createRequire(import.meta.url)(path.join(process.argv[2], 'dist', 'sim'));
const { seed, teams, choices } = JSON.parse(fs.readFileSync(0, 'utf8'));
const battle = newBattle(Battle, BigInt(seed), teams);
for (const pair of choices) {
  battle.sides.forEach((side, seat) => {
    const choice = pair[seat] > 0 ? `move ${pair[seat]}` : `switch ${-pair[seat]}`;
    if (pair[seat] && !side.choose(choice)) throw new Error(side.choice.error);
  });
  battle.commitChoices();
}
// The referee's own view of each line: exact HP instead of per cent.
process.stdout.write(JSON.stringify({ log: battle.getDebugLog() }));
