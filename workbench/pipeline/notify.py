"""Telling others that a run is over: a summary as JSON, for a command or a web address."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from workbench.pipeline.files import read_json, write_json
from workbench.pipeline.text import without_home

SUMMARY = "summary.json"
SUMMARY_VARIABLE = "WORKBENCH_SUMMARY"
"""Environment variable that names the summary's file to the command of `--on-finish`."""
_COMMAND_LIMIT, _ADDRESS_LIMIT, _PAUSE = 600.0, 10.0, 2.0  # seconds
_ERROR_LENGTH = 500


def summarize(folder: Path, code: int) -> dict:
    """How a run ended, as its `experiment.json` says: no parameters, no host, no home, no user.

    Returns:
        `{"experiment", "state", "message", "exit_code", "started", "ended", "seconds", "counts", "stages"}`; of each
        stage its name, chain, generation, state, seconds, attempts, and error where it has one.
    """
    found = read_json(folder / "experiment.json")
    stages, counts = [], {}
    for entry in found["stages"]:
        counts[entry["state"]] = counts.get(entry["state"], 0) + 1
        stage = {key: entry.get(key) for key in ("stage", "chain", "generation", "state", "seconds", "attempt")}
        if entry.get("error"):
            stage["error"] = without_home(entry["error"])[:_ERROR_LENGTH]
        stages.append(stage)
    return {
        "experiment": found["name"],
        "state": found["state"],
        "message": without_home(found["message"])[:_ERROR_LENGTH],
        "exit_code": code,
        "started": found["started"],
        "ended": found["updated"],
        "seconds": round(sum(entry.get("seconds") or 0 for entry in found["stages"]), 2),
        "counts": counts,
        "stages": stages,
    }


def tell(folder: Path, code: int, command: str, address: str, say, summarize=summarize) -> None:
    """Run the command and call the address, where given; what goes wrong is said, and changes nothing of the run's result.

    Args:
        folder: the experiment's; the summary is written there.
        command: for the shell; has the summary on its standard input, and its path in `SUMMARY_VARIABLE`.
        address: http or https; the summary is POSTed to it.
        say: called with a line for the user.
        summarize: makes the summary, given folder and code.
    """
    if not command and not address:
        return
    try:
        summary = summarize(folder, code)
        write_json(folder / SUMMARY, summary)
    except (OSError, ValueError) as error:
        say(f"no summary could be written, nobody was told: {error}")
        return
    for way, target in ((run_command, command), (post, address)):
        problem = way(target, summary, folder) if target else ""
        if problem:
            say(f"{problem}; the run's result stays as it is")


def run_command(command: str, summary: dict, folder: Path) -> str:
    """Run a shell command with the summary on its standard input; what went wrong, in words."""
    environment = {**os.environ, SUMMARY_VARIABLE: str((folder / SUMMARY).resolve())}
    try:
        done = subprocess.run(
            command, shell=True, input=json.dumps(summary), text=True, env=environment, timeout=_COMMAND_LIMIT, check=False
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        why = f"took longer than {_COMMAND_LIMIT:g} s" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        return f"--on-finish: {command}: {why}"
    return f"--on-finish: {command}: ended with exit code {done.returncode}" if done.returncode else ""


def check_address(address: str) -> None:
    """Raises a ValueError for what is no http or https address."""
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
        raise ValueError(f"--webhook: expected an address such as https://example.org/hook, got {_place(address)!r}")


def post(address: str, summary: dict, folder: Path) -> str:
    """POST the summary, twice at most; what went wrong, in words that leave out what may be secret in the address."""
    request = urllib.request.Request(
        address, json.dumps(summary).encode(), {"Content-Type": "application/json", "User-Agent": "workbench"}
    )
    for attempt in (1, 2):
        try:
            with urllib.request.urlopen(request, timeout=_ADDRESS_LIMIT):
                return ""
        except TimeoutError:
            problem = f"no answer within {_ADDRESS_LIMIT:g} s"
        except urllib.error.HTTPError as error:
            problem = f"HTTP {error.code} ({error.reason})"
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", "")
            problem = type(error).__name__ + (f" ({reason})" if reason else "")
        if attempt == 1:
            time.sleep(_PAUSE)
    return f"--webhook: {_place(address)} was not reached in two attempts: {problem}"


def _place(address: str) -> str:
    """An address without its path and what may follow: those may be a key."""
    try:
        parts = urlsplit(address)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "an address that cannot be read"
