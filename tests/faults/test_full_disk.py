"""A night whose disk fills up, and is freed again, ends as an undisturbed one."""

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_full_disk(disk, nights, undisturbed, length, seed):
    night = nights(f"disk {seed}", output_dir=disk.folder, options=("--min-disk", "0"))
    night.start()
    night.wait(length)
    night.until(night.stages)
    disk.fill(night)
    night.ended()
    disk.free()
    night.finish()
    assert night.outcome() == undisturbed
