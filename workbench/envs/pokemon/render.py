"""A battle as text, for looking at it."""

from __future__ import annotations

_BAR = 20


def render_battle(battle: dict) -> str:
    """Lines that show both sides in full; `battle` as from `Gen1OUEnv.describe`."""
    title = f"turn {battle['turn']}  seed {battle['seed']}"
    if battle["winner"]:
        title += f"  {battle['winner']} wins" if battle["winner"] != "tie" else "  tie"
    return "\n".join([title, *(line for side in battle["sides"] for line in _side(side))])


def _side(side: dict) -> list[str]:
    lines = ["", f"{side['name']}  ({side['request']})"]
    for index, pokemon in enumerate(side["pokemon"]):
        mark = "▶" if index == side["active"] else " "
        full = round(_BAR * pokemon["hp"] / pokemon["max_hp"])
        seen = "" if pokemon["seen"] else "  unseen"
        lines.append(
            f"{mark} {pokemon['name']:<11}{'█' * full:░<{_BAR}} {pokemon['hp']:>3}/{pokemon['max_hp']:<3} "
            f"{pokemon['status']:<3}{seen}"
        )
        if index == side["active"]:
            moves = "  ".join(f"{move['name']} {move['pp']}/{move['max_pp']}" for move in pokemon["moves"])
            boosts = " ".join(f"{stat} {amount:+d}" for stat, amount in pokemon["boosts"].items())
            lines.append(f"    {moves}")
            extra = " ".join([boosts, *pokemon["volatiles"]]).strip()
            if extra:
                lines.append(f"    {extra}")
    return lines
