"""Teams whose moves provoke every strange request of generation 1; not all of them legal in OU."""

import pytest


def pack(*pokemon: str) -> str:
    """A packed team from lines like `"Tauros: bodyslam, hyperbeam"`."""
    sets = []
    for line in pokemon:
        species, moves = line.split(":")
        sets.append(f"{species.strip()}|||No Ability|{moves.replace(' ', '')}||255,255,255,255,255,255|N||||]"[:-1])
    return "]".join(sets)


COPIERS = pack(
    "Ditto: transform",
    "Mew: transform, metronome, mimic, softboiled",
    "Pidgeot: mirrormove, mimic, substitute, skyattack",
    "Clefable: metronome, minimize, counter, sing",
    "Porygon: conversion, sharpen, thunderwave, psywave",
    "Mr. Mime: mimic, lightscreen, reflect, meditate",
)
TRAPPERS = pack(
    "Dragonite: wrap, agility, hyperbeam, thunderwave",
    "Cloyster: clamp, explosion, toxic, withdraw",
    "Rapidash: firespin, agility, horndrill, growl",
    "Victreebel: wrap, razorleaf, sleeppowder, leechseed",
    "Moltres: firespin, agility, fireblast, skyattack",
    "Pinsir: bind, guillotine, substitute, swordsdance",
)
LOCKED = pack(
    "Nidoking: thrash, rage, bide, disable",
    "Vileplume: petaldance, solarbeam, stunspore, acid",
    "Golbat: haze, confuseray, leechlife, megadrain",
    "Snorlax: rest, bide, rage, hyperbeam",
    "Kadabra: disable, kinesis, teleport, dig",
    "Aerodactyl: fly, hyperbeam, supersonic, razorwind",
)
ENDURING = pack(
    "Gengar: nightshade, toxic, confuseray, selfdestruct",
    "Chansey: seismictoss, softboiled, reflect, toxic",
    "Hitmonlee: highjumpkick, jumpkick, focusenergy, mist",
    "Articuno: mist, peck, blizzard, agility",
    "Starmie: recover, minimize, harden, thunderwave",
    "Lapras: sing, blizzard, mist, substitute",
)
# Few moves of little PP: soon out of it, then Struggle.
STRUGGLERS = pack(
    "Magikarp: splash", "Metapod: harden", "Ditto: transform", "Abra: teleport", "Weedle: stringshot", "Chansey: softboiled"
)  # fmt: skip


@pytest.fixture(scope="session")
def odd_teams() -> list[str]:
    return [COPIERS, TRAPPERS, LOCKED, ENDURING, STRUGGLERS]
