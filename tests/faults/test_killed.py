"""A night in which something is killed outright ends as an undisturbed one."""

import pytest

CODES = {"kernels": (4, 0), "stages": (4,), "everything": (-9,)}  # a kernel may die when its last cell has run


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("whom", CODES)
def test_killed(nights, undisturbed, length, whom, seed):
    night = nights(f"{whom} {seed}")
    night.start()
    night.wait(length)
    if night.until(getattr(night, whom)):
        night.kill(getattr(night, whom)())
        assert night.ended() in CODES[whom], night.said()
    night.finish()
    assert night.outcome() == undisturbed
