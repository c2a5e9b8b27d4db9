// A battle as its referee sees it, for people to look at; never for players.

export function describe(game) {
  const { battle } = game;
  return {
    seed: game.seed.toString(),
    turn: battle.turn,
    winner: battle.ended ? battle.winner || 'tie' : null,
    sides: battle.sides.map(side => ({
      name: side.id,
      active: side.roster.indexOf(side.active[0]),
      request: side.requestState || 'wait',
      pokemon: side.roster.map(pokemon => ({
        name: pokemon.baseSpecies.name,
        level: pokemon.level,
        hp: pokemon.hp,
        max_hp: pokemon.maxhp,
        status: pokemon.fainted ? 'fnt' : pokemon.status,
        seen: pokemon.m.seen,
        boosts: Object.fromEntries(Object.entries(pokemon.boosts).filter(entry => entry[1])),
        volatiles: Object.keys(pokemon.volatiles),
        moves: pokemon.moveSlots.map(slot => ({ name: slot.move, pp: slot.pp, max_pp: slot.maxpp })),
      })),
    })),
  };
}
