"""The hour at which a run has to be over."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from workbench.pipeline.text import duration

_HOUR = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def parse_until(text: str, now: datetime | None = None) -> datetime:
    """The moment that `07:30` (local time, the next one) or an ISO date and time means, with its time zone.

    Args:
        now: local time; the clock's where it is left out.

    Raises:
        ValueError: neither of the two, or a moment that has passed.
    """
    now = now or datetime.now()
    hour = _HOUR.fullmatch(text.strip())
    if hour:
        at = now.replace(hour=int(hour[1]), minute=int(hour[2]), second=0, microsecond=0)
        return (at if at > now else at + timedelta(days=1)).astimezone()
    try:
        moment = datetime.fromisoformat(text.strip()).astimezone()
    except ValueError:
        raise ValueError(
            f"--until {text}: expected an hour such as 07:30, or a moment such as 2030-01-31T07:30"
        ) from None
    if moment <= now.astimezone():
        raise ValueError(f"--until {text}: that moment has passed")
    return moment


def words(until: datetime) -> str:
    """`07:30`, with the date where that is not today's or tomorrow's."""
    until = until.astimezone()
    soon = until - datetime.now().astimezone() < timedelta(days=1)
    return until.strftime("%H:%M" if soon else "%Y-%m-%d %H:%M")


def too_late(until: datetime, needed: float | None, now: datetime | None = None) -> str:
    """Why something should not be started any more, in words; empty where there is time, or its pace is not known.

    Args:
        needed: seconds it takes, as measured; None where nothing was.
    """
    left = (until - (now or datetime.now()).astimezone()).total_seconds()
    if left <= 0:
        return f"not started: {words(until)} has come"
    if needed is not None and needed > left:
        return f"not started: takes about {duration(needed)}, and {duration(left)} are left until {words(until)}"
    return ""
