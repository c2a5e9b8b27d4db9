"""What a seat can press: four categorical heads, and their meaning as sticks and buttons.

A stick is measured as the game sees it, each axis in [-1, 1]; directions lie on the unit circle, as a real stick's
gate makes them.
"""

from __future__ import annotations

import numpy as np

from workbench.envs.core import ActionSpec, Head

BUTTON_A, BUTTON_B, BUTTON_X, BUTTON_Z, BUTTON_L = 1, 2, 4, 8, 16
BUTTONS = np.array([0, BUTTON_A, BUTTON_B, BUTTON_X, BUTTON_Z, BUTTON_L], np.int16)
BUTTON_NAMES = ("none", "A", "B", "X", "Z", "L")

_HALF = 0.5  # tilt of a walk, of a tilt attack: beyond the dead zone of .28, short of a dash (.8) or a tap jump (.6625)


def _stick_table():
    compass = ("right", "22", "up-right", "67", "up", "112", "up-left", "157", "left", "202", "down-left", "247",
               "down", "292", "down-right", "337")  # fmt: skip
    angles = np.arange(16) * (np.pi / 8)
    full = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    half = _HALF * full[::2]
    positions = np.concatenate([np.zeros((1, 2)), full, half]).round(6).astype(np.float32)
    names = ("neutral", *compass, *(f"half {name}" for name in compass[::2]))
    return positions + np.float32(0), names


MAIN_STICK, MAIN_STICK_NAMES = _stick_table()
C_STICK = np.array([(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1)], np.float32)
C_STICK_NAMES = ("neutral", "right", "up", "left", "down")
SHOULDER = np.array([0.0, 0.4, 1.0], np.float32)
SHOULDER_NAMES = ("none", "light", "full")

ACTION_SPEC = ActionSpec(
    (
        Head("button", BUTTON_NAMES),
        Head("main_stick", MAIN_STICK_NAMES),
        Head("c_stick", C_STICK_NAMES),
        Head("shoulder", SHOULDER_NAMES),
    )
)
NEUTRAL_ACTION = (0, 0, 0, 0)


def quantise(main_stick, c_stick, shoulder, buttons) -> np.ndarray:
    """Nearest indices of recorded controller states.

    Args:
        main_stick, c_stick: float `[..., 2]`, each axis in [-1, 1].
        shoulder: float `[...]` in [0, 1], the deeper of both analog shoulders.
        buttons: bool `[..., 5]`: A, B, X or Y, Z, L or R (pressed down to the click). Where several are down, one is
            kept, in this order of preference: Z, B, A, X, L.

    Returns:
        int64 `[..., 4]`, one index a head, in the order of `ACTION_SPEC`.
    """
    main_stick, c_stick, buttons = np.asarray(main_stick), np.asarray(c_stick), np.asarray(buttons, bool)
    if buttons.shape[-1] != 5:
        raise ValueError(f"buttons have shape {buttons.shape}; expected [..., 5]: A, B, X or Y, Z, L or R")
    button = np.zeros(buttons.shape[:-1], np.int64)
    for column, option in ((4, 5), (2, 3), (0, 1), (1, 2), (3, 4)):  # the later one wins
        button = np.where(buttons[..., column], option, button)
    return np.stack(
        [
            button,
            _nearest(main_stick, MAIN_STICK),
            _nearest(c_stick, C_STICK),
            np.abs(np.asarray(shoulder)[..., None] - SHOULDER).argmin(axis=-1),
        ],
        axis=-1,
    )


def quantise_sequence(main_stick, c_stick, shoulder, buttons) -> np.ndarray:
    """`quantise` of one player's consecutive frames, `[T, …]`: of several buttons down, the last to go down is kept.

    A button that another one has displaced counts as released until it is pressed again, so that pressing a shoulder
    while a jump is held (a wavedash) is one jump and one shoulder press, not two jumps.

    Returns:
        int64 `[T, 4]`.
    """
    buttons = np.asarray(buttons, bool)
    actions = quantise(main_stick, c_stick, shoulder, buttons)
    frames = np.arange(len(buttons))[:, None]
    pressed = buttons & ~np.concatenate([np.zeros((1, buttons.shape[1]), bool), buttons[:-1]])
    # frame of each button's last press; ties go by the order of `quantise`
    last = np.maximum.accumulate(np.where(pressed, frames, -1), axis=0)
    last = last * 8 + np.array([2, 3, 1, 4, 0])
    latest = last.argmax(axis=1)
    held = buttons[np.arange(len(buttons)), latest]
    actions[:, 0] = np.where(held, latest + 1, 0)
    return actions


def _nearest(position, table) -> np.ndarray:
    return np.square(position[..., None, :] - table).sum(axis=-1).argmin(axis=-1)


def mirrored(actions) -> np.ndarray:
    """The same actions with left and right exchanged; int `[..., 4]`."""
    actions = np.array(actions)
    for head, table in ((1, MAIN_STICK), (2, C_STICK)):
        image = _nearest(table * np.array([-1, 1], np.float32), table)
        actions[..., head] = image[actions[..., head]]
    return actions
