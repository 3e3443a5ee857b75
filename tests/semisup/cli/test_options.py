"""Tests of options: types, ranges, other defaults, and settings that a run is older than."""

import dataclasses

import pytest

from clustering.config import TrainConfig as ClusteringConfig
from domain_adaptation.config import TrainConfig as AdaptationConfig
from semisup import architectures
from semisup.cli import choices, settings
from semisup.cli.options import check, option, redefault
from semisup.cli.settings import RunConfig
from semisup.config import TrainConfig
from semisup.errors import UserError, shown


@dataclasses.dataclass(frozen=True, kw_only=True)
class Base:
    """Options of every kind."""

    count: int = option(3, "Data", "A number.", least=1, most=10)
    rate: float = option(0.5, "Data", "A rate.", above=0)
    kind: str = option("a", "Data", "A kind.", one_of=("a", "b"))
    name: str = option("", "Data", "A name.")
    on: bool = option(False, "Data", "A switch.")

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Derived(Base):
    """The same with another default."""

    count: int = redefault(Base, "count", 5, help="Another number.")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "--count=0 is below the least value, 1"),
        ({"count": 11}, "--count=11 is above the greatest value, 10"),
        ({"count": 2.0}, "--count=2.0 has to be a whole number"),
        ({"count": True}, "--count=True has to be a whole number"),
        ({"count": 10**400}, "is above the greatest value"),
        ({"rate": 0}, "--rate=0 has to be greater than 0"),
        ({"rate": 10**400}, "has to be a number"),
        ({"rate": 1e308}, "is above the greatest value"),
        ({"rate": float("nan")}, "--rate=nan is not a finite number"),
        ({"rate": None}, "--rate=None has to be a number"),
        ({"kind": "c"}, "--kind=c is none of a, b"),
        ({"kind": ["a"]}, "is none of a, b|has to be a text"),
        ({"kind": "a\ud800"}, "is none of a, b"),
        ({"name": "a\0b"}, "holds a null character"),
        ({"name": 3}, "--name=3 has to be a text"),
        ({"on": 1}, "--on=1 has to be true or false"),
        ({"name": [[["x" * 1000] * 1000]] * 1000}, "has to be a text"),
    ],
)
def test_a_value_of_another_type_or_range_is_refused_in_one_short_line(values, message):
    with pytest.raises(UserError, match=message) as caught:
        Base(**values)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500


def test_a_whole_number_becomes_a_float_where_the_flag_is_one():
    assert isinstance(Base(rate=1).rate, float)


def test_another_default_keeps_help_range_and_section_that_are_not_changed():
    assert Derived().count == 5
    metadata = {field.name: field.metadata for field in dataclasses.fields(Derived)}["count"]
    assert metadata["help"] == "Another number."
    assert metadata["section"] == "Data"
    with pytest.raises(UserError, match="--count=11 is above"):
        Derived(count=11)
    with pytest.raises(ValueError, match="no option 'counts'"):
        redefault(Base, "counts", 5)
    with pytest.raises(ValueError, match="has no range"):
        redefault(Base, "count", 5, range=3)


@pytest.mark.parametrize("config_class", [TrainConfig, AdaptationConfig, ClusteringConfig])
def test_an_option_that_is_declared_again_has_the_type_and_range_of_the_first(config_class):
    base = {field.name: field for field in dataclasses.fields(RunConfig)}
    for field in dataclasses.fields(config_class):
        if field.name in base:
            first = base[field.name]
            assert field.type is first.type
            for name in ("section", "least", "most", "above", "resume", "one_of"):
                assert field.metadata[name] == first.metadata[name], field.name


def test_a_shown_value_is_one_short_line():
    assert shown("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert len(shown("x" * 1000)) < 100
    assert shown(0x1 << 100_000) == "a number of very many digits"


def grown(config_class, default):
    """A configuration class as a later version may have it, with a setting more."""
    return dataclasses.make_dataclass(
        "TrainConfig",
        [("made_up", float, option(default, "Loss", "A made-up setting.", least=0))],
        bases=(config_class,),
        frozen=True,
        kw_only=True,
    )


def test_walks_measure_by_dot_products_for_the_papers_networks_on_their_data_alone():
    def walks(config_class=TrainConfig, **settings):
        config = config_class(**settings)
        return config.similarity_measure, config.temperature

    dot, cosine = ("dot", 1.0), ("cosine", 0.1)
    assert walks() == walks(AdaptationConfig) == walks(ClusteringConfig) == dot
    assert walks(dataset="svhn", architecture="SVHN_model") == dot
    for config_class in (TrainConfig, AdaptationConfig, ClusteringConfig):
        assert walks(config_class, dataset="folder:photos") == cosine
        assert walks(config_class, architecture="MobileNetV2") == cosine
        assert walks(config_class, architecture="own.keras") == cosine
    assert walks(AdaptationConfig, target_dataset="folder:photos") == cosine
    assert walks(similarity_measure="cosine") == cosine
    assert walks(dataset="folder:photos", similarity_measure="dot") == dot
    assert walks(dataset="folder:photos", temperature=0.5) == ("cosine", 0.5)
    for similarity in ("mmd", "coral"):
        adapted = AdaptationConfig(dataset="folder:photos", similarity=similarity)
        assert AdaptationConfig.from_dict(adapted.to_dict()) == adapted
        assert adapted.similarity_measure == "dot"


def test_the_papers_networks_are_those_that_exist_by_name():
    assert set(choices.PAPER_ARCHITECTURES) == set(architectures.NETWORKS)


def test_a_run_from_before_walks_could_measure_otherwise_used_dot_products():
    saved = ClusteringConfig(dataset="folder:photos", similarity_measure="dot").to_dict()
    config = ClusteringConfig.from_dict(saved)
    del saved["similarity_measure"], saved["temperature"]
    assert ClusteringConfig.from_dict(saved) == config
    assert config.differences(saved) == []
    assert (
        "--similarity_measure=cosine"
        in ClusteringConfig(dataset="folder:photos").differences(saved)[0]
    )


def test_a_run_from_before_a_setting_existed_goes_on_with_its_default_alone():
    saved = TrainConfig().to_dict()
    later = grown(TrainConfig, 0.5)
    assert later.from_dict(saved).made_up == 0.5
    assert later().differences(saved) == []
    assert later(made_up=0.7).differences(saved) == [
        "--made_up=0.7 (the run has none: it is older)"
    ]


def test_evaluations_that_make_weak_labels_keep_their_interval_when_a_run_is_resumed():
    own = {"weak_label_share": 0.5}
    for changes, differences in (
        ({}, []),
        (own, ["--eval_interval=20 (the run has 10)"]),
        ({**own, "weak_labels": "/run"}, []),
    ):
        saved = TrainConfig(eval_interval=10, **changes).to_dict()
        assert TrainConfig(eval_interval=20, **changes).differences(saved) == differences


def test_intervals_of_any_size_are_divided_at_once():
    values = dict.fromkeys(TrainConfig.INTERVALS, 2**31 - 1)
    with pytest.raises(UserError, match=r"the nearest that divides every interval is 1$"):
        TrainConfig(steps_per_execution=7, **values)
    assert settings._divisors(36) == [1, 2, 3, 4, 6, 9, 12, 18, 36]


@pytest.mark.parametrize(
    "values", [{"emb_size": 10**6}, {"num_blocks": 10**5}, {"new_size": 20_000}]
)
def test_a_size_that_no_machine_holds_is_above_the_greatest_value(values):
    with pytest.raises(UserError, match="is above the greatest value"):
        TrainConfig(**values)
