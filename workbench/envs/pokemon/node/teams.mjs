// Validates and generates gen1ou teams with Showdown's own code.
//
// usage: node teams.mjs <folder of the pokemon-showdown package>   one JSON request on stdin, one JSON answer on stdout
//   {"command": "validate", "teams": ["export or packed text", ...]}
//     -> {"teams": [{"packed": "...", "problems": ["...", ...]}, ...]}     problems empty where legal
//   {"command": "generate", "seeds": ["gen5,<16 hex digits>", ...]}
//     -> {"teams": [...]}                                                  one a seed, checked as above
import {readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {join} from "node:path";

const FORMAT = "gen1ou";
// the random-battle generator balances species by level; gen1ou is played at level 100
const GENERATOR = "gen1randombattle@@@Adjust Level=100";

// generation 1 has no reason to leave stat experience out, and Showdown's team builder does not even export it; a text
// without EVs is read as all zeros, which the validator takes for a mistake
const FULL_EVS = {hp: 252, atk: 252, def: 252, spa: 252, spd: 252, spe: 252};

const require = createRequire(import.meta.url);
const {Teams, TeamValidator} = require(join(process.argv[2], "dist", "sim"));
const validator = TeamValidator.get(FORMAT);

function check(team) {
	if (!team || !team.length) return {packed: "", problems: ["Showdown reads no Pokémon in this text."]};
	for (const set of team) if (Object.values(set.evs).every(ev => ev === 0)) set.evs = {...FULL_EVS};
	const problems = validator.validateTeam(team) ?? [];
	return {packed: Teams.pack(team), problems}; // after the validator, which fills in what the text left out
}

function generate(seed) {
	const team = Teams.generate(GENERATOR, {seed});
	for (const set of team) set.name = set.species;
	return check(team);
}

const request = JSON.parse(readFileSync(0, "utf8"));
let teams;
if (request.command === "validate") teams = request.teams.map(text => check(Teams.import(text)));
else if (request.command === "generate") teams = request.seeds.map(generate);
else throw new Error(`unknown command ${JSON.stringify(request.command)}: expected "validate" or "generate"`);
process.stdout.write(JSON.stringify({teams}));
