"""A frame as a picture: SVG text, no plotting library."""

from __future__ import annotations

from workbench.envs.melee import actions as a
from workbench.envs.melee.characters import character_names, character_table
from workbench.envs.melee.moves import FRAMES, MOVE_NAMES, move_table
from workbench.envs.melee.stages import stage_names, stage_table
from workbench.markup import picture_html

COLOURS = ("#c0392b", "#2c6fbb")
WIDTH = 560


def frame_svg(game, fighters) -> str:
    """One game: `game` a `GAME` record, `fighters` two `FIGHTER` records; an SVG element as text."""
    stage = stage_table()[int(game["stage"])]
    left, right = float(stage["blast_left"]), float(stage["blast_right"])
    top, bottom = float(stage["blast_top"]), float(stage["blast_bottom"])
    parts = [
        f'<rect x="{left}" y="{-top}" width="{right - left}" height="{top - bottom}" fill="#f7f5f0" stroke="#999"/>'
    ]
    edge, inner = float(stage["edge"]), min(float(stage["slope_from"]), float(stage["edge"]))
    corners = [(-edge, float(stage["ledge_y"])), (-inner, float(stage["height"][0]))]
    corners += [(-x, y) for x, y in reversed(corners)] + [(edge, -15.0), (-edge, -15.0)]
    outline = " ".join(f"{x:.2f},{-y:.2f}" for x, y in corners)
    parts.append(f'<polygon points="{outline}" fill="#6b6457"/>')
    for k in range(1, int(stage["surfaces"])):
        x, width, y = float(stage["left"][k]), float(stage["right"][k] - stage["left"][k]), float(stage["height"][k])
        parts.append(f'<rect x="{x}" y="{-y}" width="{width}" height="2" fill="#6b6457"/>')
    for fighter, colour in zip(fighters, COLOURS, strict=True):
        parts += _fighter(fighter, colour)
    names = {number: name for name, number in character_names().items()}
    for seat, (fighter, colour) in enumerate(zip(fighters, COLOURS, strict=True)):
        x = left + 12 if seat == 0 else right - 12
        anchor = "start" if seat == 0 else "end"
        name = names[int(fighter["character"])].replace("_", " ")
        text = f"{name} {fighter['percent']:.0f}% {'●' * int(fighter['stocks'])}"
        parts.append(
            f'<text x="{x}" y="{-bottom - 10}" font-size="16" text-anchor="{anchor}" fill="{colour}">{text}</text>'
        )
    place = {number: name for name, number in stage_names().items()}[int(game["stage"])]
    parts.append(
        f'<text x="{(left + right) / 2}" y="{-top + 18}" font-size="12" text-anchor="middle" fill="#555">'
        f"{place.replace('_', ' ')} · frame {int(game['frame'])}</text>"
    )
    height = WIDTH * (top - bottom) / (right - left)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
        f'viewBox="{left} {-top} {right - left} {top - bottom}" font-family="sans-serif">{"".join(parts)}</svg>'
    )


def frame_html(pictures: list[str]) -> str:
    """Several pictures side by side."""
    shown = "".join(picture_html(picture) for picture in pictures)
    return f'<div style="display:flex;flex-wrap:wrap;gap:8px">{shown}</div>'


def _fighter(fighter, colour) -> list[str]:
    character = character_table()[int(fighter["character"])]
    x, y, facing = float(fighter["x"]), float(fighter["y"]), float(fighter["facing"])
    half, height = float(character["hurt_halfwidth"]), float(character["hurt_height"])
    parts = [
        f'<rect x="{x - half:.2f}" y="{-y - height:.2f}" width="{2 * half:.2f}" height="{height:.2f}" fill="{colour}" '
        f'fill-opacity="{0.35 if fighter["invulnerable"] else 0.7}"/>',
        f'<path d="M{x:.2f} {-y - height / 2:.2f}h{8 * facing:.0f}" stroke="{colour}"/>',
    ]
    if fighter["action"] in (a.GUARD_ON, a.GUARD, a.GUARD_STUN):
        radius = float(character["shield_radius"]) * max(float(fighter["shield"]) / 60, 0.15)
        parts.append(
            f'<circle cx="{x:.2f}" cy="{-y - height / 2:.2f}" r="{radius:.2f}" fill="{colour}" fill-opacity=".3"/>'
        )
    slot, frame = int(fighter["slot"]), int(fighter["frame"])
    if slot < 0:
        return parts
    move = move_table()[int(fighter["character"]), slot]
    parts.append(
        f'<text x="{x:.1f}" y="{-y - height - 4:.1f}" font-size="9" text-anchor="middle">{MOVE_NAMES[slot]}</text>'
    )
    if 1 <= frame <= min(move["total"], FRAMES) and move["frames"]["window"][frame - 1] >= 0:
        line = move["frames"][frame - 1]
        for k in range(int(line["circles"])):
            cx, cy = x + facing * float(line["x"][k]), y + float(line["y"][k])
            parts.append(
                f'<circle cx="{cx:.2f}" cy="{-cy:.2f}" r="{line["r"][k]:.2f}" fill="#e67e22" fill-opacity=".6"/>'
            )
    return parts
