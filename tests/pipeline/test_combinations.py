import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.pipeline.combinations import combinations, read_axes, short_values, split
from workbench.pipeline.experiment import ExperimentError


def names(*texts):
    return [one.name for one in combinations(read_axes(texts))]


def values(text):
    return list(read_axes([text])[0].values)


def test_the_product_of_the_values_the_last_varying_fastest():
    assert names("finetune.epochs=1,2", "collect.games=200", "shared.seed=0..2") == [
        "epochs=1,seed=0", "epochs=1,seed=1", "epochs=1,seed=2", "epochs=2,seed=0", "epochs=2,seed=1", "epochs=2,seed=2",
    ]  # fmt: skip
    found = combinations(read_axes(["finetune.epochs=1,2", "collect.games=200", "shared.seed=0..2"]))[4]
    assert found.values == {"finetune.epochs": "2", "shared.seed": "1"}
    assert found.overrides == ("finetune.epochs=2", "collect.games=200", "shared.seed=1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=0..4", ["0", "1", "2", "3", "4"]),
        ("a.b=-1..1", ["-1", "0", "1"]),
        ("a.b=0..10..5,7", ["0", "5", "10", "7"]),
        ("a.b='0..4'", ["'0..4'"]),
        ("a.b=[64,64],[128]", ["[64,64]", "[128]"]),
        ("a.b={x: 1, y: [2,3]},{x: 2}", ["{x: 1, y: [2,3]}", "{x: 2}"]),
        ("a.b='x,y',z", ["'x,y'", "z"]),
        ('a.b=["x,]",y],z', ['["x,]",y]', "z"]),
        ("a.b=it's,isn't", ["it's", "isn't"]),
        ("a.b=1e-4, 3e-4", ["1e-4", "3e-4"]),
        ("a.b=null,", None),
        ("a.b=", [""]),
        ("a.b=0.5..2", ["0.5..2"]),
    ],
)
def test_values_are_split_as_yaml_would_read_them(text, expected):
    if expected is None:
        with pytest.raises(ExperimentError, match="an empty value"):
            values(text)
    else:
        assert values(text) == expected


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a.b=1"], "nothing varies"),
        (["a.b"], "expected `stage.parameter=value`"),
        (["a.b=1,2", "a.b=3"], "a.b is given twice"),
        (["a.b=1,2,1"], "1 is there twice"),
        (["a.b=4..0"], "a range goes up"),
        (["a.b=0..9..0"], "a range goes up"),
        (["a.b=0..5000"], "more than 1000 values"),
        (["a.b=0..99", "a.c=0..99"], "10000 combinations"),
        (["a.b=[1,2"], "a closing ] is missing"),
        (["a.b='1,2"], "a closing ' is missing"),
    ],
)
def test_what_cannot_be_meant_is_refused(texts, message):
    with pytest.raises(ExperimentError, match=message.replace("]", r"\]").replace("`", ".")):
        combinations(read_axes(texts))


def test_names_are_short_and_different():
    assert names("one.epochs=1,2", "two.epochs=1,2")[0] == "one.epochs=1,two.epochs=1"
    assert names("a.hidden=[64, 64],[128]") == ["hidden=64-64", "hidden=128"]
    assert names("a.rate=-0.5,0.5,1e-4") == ["rate=-0.5", "rate=0.5", "rate=1e-4"]
    first, second = names("a.policy=/one/policy,/two/policy")
    assert first.startswith("policy=policy-") and second.startswith("policy=policy-") and first != second
    assert short_values(("A", "a")) != ["A", "a"]  # which some file systems hold for the same
    long = names(
        *(f"stage_{index}.some_parameter_{index}=a_rather_long_value,another_rather_long_one" for index in range(5))
    )
    assert len(set(long)) == 32
    assert max(map(len, long)) <= 120


def test_seeds_are_told_by_their_name():
    seeds = read_axes(["shared.seed=0..1", "melee.train.seed=0..1", "train.seeds=1,2", "seed_of.x=1,2"])
    assert [axis.is_seed for axis in seeds] == [True, True, False, False]


@given(st.lists(st.text(min_size=1, max_size=30), min_size=2, max_size=6, unique=True))
def test_any_values_give_names_that_are_folders_of_their_own(texts):
    words = short_values(tuple(texts))
    assert all(word and "/" not in word and word not in (".", "..") and word.isascii() for word in words)


@given(st.text(alphabet="ab,[]{}'\" ", max_size=20))
def test_splitting_loses_nothing(text):
    try:
        parts = split(text)
    except ExperimentError:
        return
    assert ",".join(parts).replace(" ", "") == text.replace(" ", "")
