// Showdown's event system and move copies, faster for generation 1, with the same results.
//
// Every event asks every effect near a Pokémon for a handler: ability, item, species, side and slot conditions, rules.
// Generation 1 has no abilities, items or side conditions, so nearly all of these questions have the answer "none",
// known in advance. What is left is asked in Showdown's own order, because ties of handlers are broken at random.
// A battle that is not purely of generation 1 (see `isPlain`) takes Showdown's own way.

const UNPREFIXED = new Set(['BeforeTurn', 'Update', 'Weather', 'WeatherChange', 'TerrainChange']);
const LAST_MOVE = 165, LAST_SPECIES = 151;
const NONE = Object.freeze([]);

const isHandler = key => key.startsWith('on');

export function fastEvents(sim, Base) {
  const { Dex, Pokemon, Side } = sim;
  const dex = Dex.forFormat('gen1ou');
  const format = Dex.formats.get('gen1ou');

  // Names of all handlers that a status or volatile of generation 1 has.
  const held = new Set();
  const collect = effect => { for (const key in effect) if (isHandler(key) && effect[key] !== undefined) held.add(key); };
  for (const id in dex.data.Conditions) collect(dex.conditions.getByID(id));
  for (const move of dex.moves.all()) if (move.num > 0 && move.num <= LAST_MOVE && move.condition) collect(move.condition);

  // Names of all handlers of the format and its rules.
  const ruled = new Set();
  for (const rule of [format, ...[...dex.formats.getRuleTable(format).keys()].map(name => dex.formats.get(name))]) {
    for (const key in rule) if (isHandler(key) && rule[key] !== undefined) ruled.add(key);
  }

  const plans = new Map();
  function planOf(event) {
    let plan = plans.get(event);
    if (!plan) {
      const prefixed = !UNPREFIXED.has(event);
      plan = {
        name: `on${event}`,
        ally: prefixed && held.has(`onAlly${event}`) ? `onAlly${event}` : null,
        any: prefixed && held.has(`onAny${event}`) ? `onAny${event}` : null,
        foe: prefixed && held.has(`onFoe${event}`) ? `onFoe${event}` : null,
        source: prefixed && held.has(`onSource${event}`) ? `onSource${event}` : null,
        own: held.has(`on${event}`),
        ruled: ruled.has(`on${event}`),
      };
      plan.never = !plan.own && !plan.ally && !plan.any && !plan.foe && !plan.source && !plan.ruled;
      plans.set(event, plan);
    }
    return plan;
  }

  const inert = new Map();
  const isInert = effect => {
    let known = inert.get(effect);
    if (known === undefined) inert.set(effect, (known = !Object.keys(effect).some(key => isHandler(key) && effect[key] !== undefined)));
    return known;
  };
  const isPlain = battle => battle.sides.every(side => side.pokemon.every(pokemon => (
    pokemon.baseSpecies.num > 0 && pokemon.baseSpecies.num <= LAST_SPECIES && isInert(pokemon.baseSpecies) &&
    isInert(pokemon.getAbility()) && isInert(pokemon.getItem()) &&
    pokemon.moveSlots.every(slot => dex.moves.get(slot.id).num <= LAST_MOVE)
  )));

  const fastDex = Object.create(dex);
  const copiers = new Map();
  fastDex.getActiveMove = function (move) {
    if (move && typeof move.hit === 'number') return move;
    move = this.moves.get(move);
    let copy = copiers.get(move);
    if (!copy) copiers.set(move, (copy = copier(move)));
    const active = copy(move);
    active.hit = 0;
    return active;
  };

  return class extends Base {
    constructor(options) {
      super(options);
      this.plain = false;
      this.found = null;
    }

    start() {
      this.plain = this.format.id === format.id && isPlain(this);
      if (this.plain) this.dex = this.actions.dex = fastDex;
      super.start();
    }

    runEvent(event, target, source, sourceEffect, relay, onEffect, fastExit) {
      if (this.plain && this.eventDepth < 8 && !Array.isArray(target)) {
        const found = this.findEventHandlers(target || this, event, source instanceof Pokemon ? source : null);
        if (!found.length && (!onEffect || (sourceEffect && sourceEffect[`on${event}`] === undefined))) {
          if (relay === undefined || relay === null) return true;
          return typeof relay === 'number' && relay === Math.abs(Math.floor(relay)) ? this.modify(relay, 1) : relay;
        }
        this.found = found;
      }
      return super.runEvent(event, target, source, sourceEffect, relay, onEffect, fastExit);
    }

    findEventHandlers(target, event, source) {
      const found = this.found;
      if (found) {
        this.found = null;
        return found;
      }
      if (!this.plain || target instanceof Side || Array.isArray(target)) return super.findEventHandlers(target, event, source);
      const plan = planOf(event);
      if (plan.never) return [];
      const handlers = [];
      if (target instanceof Pokemon && (target.isActive || source?.isActive)) {
        if (plan.own) this.collectHandlers(handlers, target, plan.name);
        if (plan.ally || plan.any || plan.foe) {
          for (const ally of target.alliesAndSelf()) {
            if (plan.ally) this.collectHandlers(handlers, ally, plan.ally);
            if (plan.any) this.collectHandlers(handlers, ally, plan.any);
          }
          for (const foe of target.foes()) {
            if (plan.foe) this.collectHandlers(handlers, foe, plan.foe);
            if (plan.any) this.collectHandlers(handlers, foe, plan.any);
          }
        }
      }
      if (source && plan.source) this.collectHandlers(handlers, source, plan.source);
      if (plan.ruled) {
        handlers.push(...this.findFieldEventHandlers(this.field, plan.name), ...this.findBattleEventHandlers(plan.name));
      }
      return handlers;
    }

    // Status and volatiles, in this order: the only effects on a Pokémon of generation 1.
    collectHandlers(handlers, pokemon, name) {
      const { status, volatiles } = pokemon;
      if (status) {
        const effect = this.dex.conditions.getByID(status), callback = effect[name];
        if (callback !== undefined) {
          handlers.push(this.resolvePriority({
            effect, callback, state: pokemon.statusState, end: pokemon.clearStatus, effectHolder: pokemon,
          }, name));
        }
      }
      for (const id in volatiles) {
        const effect = this.dex.conditions.getByID(id), callback = effect[name];
        if (callback !== undefined) {
          handlers.push(this.resolvePriority({
            effect, callback, state: volatiles[id], end: pokemon.removeVolatile, effectHolder: pokemon,
          }, name));
        }
      }
    }

    findPokemonEventHandlers(pokemon, name, getKey) {
      if (!this.plain || getKey) return super.findPokemonEventHandlers(pokemon, name, getKey);
      const handlers = [];
      if (held.has(name)) this.collectHandlers(handlers, pokemon, name);
      return handlers;
    }

    findSideEventHandlers(side, name, getKey, holder) {
      return this.plain ? NONE : super.findSideEventHandlers(side, name, getKey, holder);
    }

    findFieldEventHandlers(field, name, getKey, holder) {
      return this.plain && !getKey && !ruled.has(name) ? NONE : super.findFieldEventHandlers(field, name, getKey, holder);
    }

    findBattleEventHandlers(name, getKey, holder) {
      return this.plain && !getKey && !ruled.has(name) ? NONE : super.findBattleEventHandlers(name, getKey, holder);
    }
  };
}

// A function that copies one move as Showdown's deepClone does, compiled for the move's own properties.
function copier(move) {
  const prototype = Object.getPrototypeOf(move);
  const Copy = new Function('move', Object.keys(move).map(key => {
    const name = JSON.stringify(key);
    return `this[${name}] = ${expression(move[key], `move[${name}]`)};`;
  }).join('\n'));
  Copy.prototype = prototype;
  return source => new Copy(source);
}

function expression(value, source) {
  if (value === null || typeof value !== 'object') return source;
  if (Array.isArray(value)) return `[${value.map((item, i) => expression(item, `${source}[${i}]`)).join(', ')}]`;
  if (Object.getPrototypeOf(value) !== Object.prototype) throw new Error(`cannot copy ${source}`);
  return `{${Object.keys(value).map(key => {
    const name = JSON.stringify(key);
    return `${name}: ${expression(value[key], `${source}[${name}]`)}`;
  }).join(', ')}}`;
}
