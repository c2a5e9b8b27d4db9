"""A night whose runner is stopped or killed, once or twice, ends as an undisturbed one."""

import signal

import pytest

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_stopped(nights, undisturbed, length, number, seed):
    night = nights(f"{number} {seed}")
    for _ in range(1 + seed % 2):
        night.start()
        if night.until(lambda: night.folder.exists() and night.everything()[1:]):  # it listens by then
            night.wait(length)
            if night.runner.poll() is None:
                night.runner.send_signal(number)
                assert night.ended() in (CODES[number], 0)  # 0 where it had just finished
    night.finish()
    assert night.outcome() == undisturbed
