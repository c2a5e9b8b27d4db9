"""A night in which files are damaged or deleted, while it runs or while it lies dead, ends as an undisturbed one."""

import pytest

FILES = {
    "artifacts": lambda night: night.artifacts(),
    "result": lambda night: night.records("result.json"),
    "status": lambda night: night.records("status.json"),
    "request": lambda night: night.records("request.json"),
    "experiment": lambda night: night.records("experiment.json"),
}


def disturb(night, length, files, *, dead: bool, harm: str = "damage"):
    """Runs a night up to a random moment from which there are such files, and does them harm; runs it to its end."""
    night.start()
    night.wait(length)
    night.until(lambda: files(night))
    if dead:
        night.kill(night.everything())
    if found := files(night):
        getattr(night, harm)(found)
    night.ended()
    night.finish()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", FILES)
def test_damaged(nights, undisturbed, length, kind, seed):
    night = nights(f"damaged {kind} {seed}")
    disturb(night, length, FILES[kind], dead=seed % 2 == 0)
    assert night.outcome() == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_deleted_artifact(nights, undisturbed, length, seed):
    night = nights(f"deleted {seed}")
    disturb(night, length, FILES["artifacts"], dead=seed % 2 == 0, harm="delete")
    assert night.outcome() == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_checkpoint(nights, undisturbed, length, seed):
    night = nights(f"checkpoint {seed}")
    disturb(night, 0.7 * length, lambda night: night.checkpoints(), dead=True)
    assert night.outcome() == undisturbed
