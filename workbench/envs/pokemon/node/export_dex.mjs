// Prints, as JSON, the facts of Showdown's gen 1 dex that the Python side needs: `node export_dex.mjs <showdown folder>`.
// Its output is committed as dex.json, one entry a line; tests/envs/pokemon/test_observation.py compares the two.
import { createRequire } from 'node:module';
import path from 'node:path';

const folder = process.argv[2];
const { Dex } = createRequire(import.meta.url)(path.join(folder, 'dist', 'sim'));
const dex = Dex.forFormat('gen1ou');

const byNumber = (a, b) => a.num - b.num;
const ours = (entry, last) => entry.num > 0 && entry.num <= last && entry.gen === 1;
const species = dex.species.all().filter(s => ours(s, 151)).sort(byNumber).map(s => ({
  id: s.id, name: s.name, types: s.types, stats: ['hp', 'atk', 'def', 'spa', 'spe'].map(stat => s.baseStats[stat]),
}));
const moves = dex.moves.all().filter(m => ours(m, 165)).sort(byNumber).map(m => ({
  id: m.id, name: m.name, type: m.type, category: m.category, power: m.basePower,
  accuracy: m.accuracy === true ? 0 : m.accuracy, priority: m.priority, pp: m.pp,
  max_pp: Math.min(Math.floor(m.pp * 8 / 5), 61),
}));
const types = dex.types.names().slice().sort();
// damageTaken: 0 neutral, 1 super effective, 2 resisted, 3 immune
const factor = [1, 2, 0.5, 0];
const chart = types.map(attack => types.map(defend => factor[dex.types.get(defend).damageTaken[attack] ?? 0]));

const lines = (entries) => '[\n' + entries.map(entry => '  ' + JSON.stringify(entry)).join(',\n') + '\n]';
process.stdout.write(
  `{"types": ${JSON.stringify(types)},\n"chart": ${lines(chart)},\n` +
  `"species": ${lines(species)},\n"moves": ${lines(moves)}}\n`
);
