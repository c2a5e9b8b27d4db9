"""One namespace for saved, registered and scripted players."""

import pytest

import workbench.envs as envs
from workbench.policies import CorruptFileError, Policy, load_policy, register_policy


@pytest.fixture
def saved(tmp_path):
    policy = Policy.create(envs.make("kuhn", 1).spec, device="cpu")
    policy.save(tmp_path / "run" / "policy")
    return tmp_path


def test_folders_registered_and_scripted_names_load(saved):
    assert isinstance(load_policy(saved / "run" / "policy", device="cpu"), Policy)
    register_policy("champion", saved / "run" / "policy", root=saved)
    assert load_policy("champion", root=saved).id == "champion"
    assert load_policy("kuhn/nash", root=saved).id == "kuhn/nash"
    assert load_policy("random", root=saved).id == "random"


def test_registry_moves_with_its_root(saved, tmp_path_factory):
    register_policy("champion", saved / "run" / "policy", root=saved)
    moved = tmp_path_factory.mktemp("elsewhere") / "outputs"
    saved.rename(moved)
    assert load_policy("champion", root=moved).id == "champion"


def test_unknown_names_give_the_nearest(saved, monkeypatch):
    monkeypatch.setattr("workbench.policies.registry._SCRIPTED_MODULES", {"kuhn": "workbench.envs.poker"})
    register_policy("champion", saved / "run" / "policy", root=saved)
    with pytest.raises(KeyError, match="did you mean champion"):
        load_policy("champoin", root=saved)
    with pytest.raises(KeyError, match="kuhn/nash"):
        load_policy("kuhn/nahs", root=saved)


def test_refusals_name_what_is_wrong(saved):
    with pytest.raises(ValueError, match="made for kuhn"):
        load_policy(saved / "run" / "policy", envs.make("rps", 1).spec)
    with pytest.raises(FileNotFoundError, match=r"holds no policy\.json"):
        load_policy(saved / "run")
    with pytest.raises(ValueError, match="scripted"):
        register_policy("kuhn/nash", saved / "run" / "policy", root=saved)
    register_policy("champion", saved / "run" / "policy", root=saved)
    (saved / "run" / "policy" / "policy.json").unlink()
    with pytest.raises(FileNotFoundError, match="register it anew"):
        load_policy("champion", root=saved)
    (saved / "policies.json").write_text("{")
    with pytest.raises(CorruptFileError, match=r"policies\.json"):
        load_policy("champion", root=saved)
