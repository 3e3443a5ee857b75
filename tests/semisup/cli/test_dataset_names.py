"""Tests of what the flags that name data sets take, and of what follows from a folder."""

import pytest

from clustering.config import TrainConfig as ClusteringConfig
from domain_adaptation.config import TrainConfig as AdaptationConfig
from domain_adaptation.eval import EvalConfig as AdaptationEvalConfig
from semisup.cli import choices
from semisup.config import TrainConfig
from semisup.data import builders, datasets
from semisup.errors import UserError


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEMISUP_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path


def test_an_empty_name_of_a_data_set_is_refused():
    with pytest.raises(UserError, match="--dataset= names no data set"):
        TrainConfig(dataset="")
    with pytest.raises(UserError, match="--target_dataset= names no data set"):
        AdaptationConfig(target_dataset="")


@pytest.mark.parametrize("value", ["photos", "./photos", "photos/", "{}/photos", "folder:photos"])
def test_the_path_of_a_folder_names_its_images_for_every_flag(here, value):
    (here / "photos").mkdir()
    value, expected = value.format(here), f"folder:{here}/photos"
    assert TrainConfig(dataset=value).dataset == expected
    assert ClusteringConfig(dataset=value).dataset == expected
    assert AdaptationConfig(target_dataset=value).target_dataset == expected
    evaluation = AdaptationEvalConfig(logdir="run", dataset=value, target_dataset=value)
    assert (evaluation.dataset, evaluation.target_dataset) == (expected, expected)


@pytest.mark.parametrize("name", ["mnist_5k", "mnist", "svhn", "usps", "my_own", "my_own/b:1.0.0"])
def test_a_data_set_goes_before_a_folder_of_its_name(here, name):
    for folder in ("mnist_5k", "mnist", "svhn", "usps", "my_own/b:1.0.0", "tfds/my_own"):
        (here / folder).mkdir(parents=True)
    assert TrainConfig(dataset=name).dataset == choices.DATASET_ALIASES.get(name, name)
    assert TrainConfig(dataset=f"./{name}").dataset == f"folder:{here}/{name}"


def test_a_name_that_is_no_folder_stays_as_it_is(here):
    (here / "file").touch()
    assert TrainConfig(dataset="nowhere").dataset == "nowhere"
    assert TrainConfig(dataset="file").dataset == "file"


def test_what_begins_like_a_path_is_one_whether_it_is_there_or_not(here):
    assert TrainConfig(dataset="./nowhere").dataset == f"folder:{here}/nowhere"
    assert TrainConfig(dataset="/nowhere").dataset == "folder:/nowhere"


@pytest.mark.parametrize(
    ("config_class", "flag"),
    [
        (TrainConfig, "dataset"),
        (ClusteringConfig, "dataset"),
        (AdaptationConfig, "target_dataset"),
        (AdaptationEvalConfig, "target_dataset"),
    ],
)
def test_a_folder_without_a_path_is_refused(config_class, flag):
    given = {"logdir": "run", flag: "folder:"}
    with pytest.raises(UserError, match=f"--{flag}=folder: names no folder; give folder:PATH"):
        config_class(**given)


def test_the_lists_of_data_sets_are_complete():
    assert set(choices.EMBEDDED) == set(datasets._EMBEDDED)
    found = [getattr(builders, name) for name in dir(builders) if name[0].isupper()]
    own = {builder.name for builder in found}
    assert set(choices.OWN_BUILDERS) == own


def test_images_of_folders_are_cropped_unless_a_flag_says_otherwise():
    assert TrainConfig(dataset="folder:a", new_size=9).fit == "crop"
    assert TrainConfig(dataset="folder:a").fit == "squash"
    assert TrainConfig(new_size=9).fit == "squash"
    assert TrainConfig(dataset="folder:a", new_size=9, fit="pad").fit == "pad"
    assert AdaptationConfig(target_dataset="folder:a", new_size=9).fit == "crop"
    with pytest.raises(UserError, match="--fit=pad has no effect without --new_size"):
        TrainConfig(fit="pad")


@pytest.mark.parametrize("config_class", [TrainConfig, ClusteringConfig, AdaptationConfig])
def test_a_run_from_before_images_were_cropped_keeps_them_whole(config_class):
    settings = config_class(dataset="folder:a", new_size=9).to_dict()
    assert settings.pop("fit") == "crop"
    old = config_class.from_dict(settings)
    assert old.fit == "squash"
    assert old.differences(settings) == []
    (difference,) = config_class(dataset="folder:a", new_size=9).differences(settings)
    assert difference.startswith("--fit=crop (the run has none")


def test_the_unlabelled_split_is_left_open_for_folders_alone():
    assert TrainConfig(dataset="folder:a").unsup_split == "auto"
    assert TrainConfig(dataset="folder:a", unsup_split="train").unsup_split == "train"
    assert TrainConfig(dataset="stl10").unsup_split == "train"
    assert AdaptationConfig(dataset="folder:a").unsup_split == "train"
    assert AdaptationConfig(target_dataset="folder:a").unsup_split == "auto"


def test_only_folders_may_have_moved():
    saved = AdaptationConfig(dataset="folder:a", target_dataset="usps").to_dict()
    assert AdaptationConfig(dataset="folder:b", target_dataset="mnist").moved(saved) == ["dataset"]
    assert AdaptationConfig(dataset="folder:a", target_dataset="folder:b").moved(saved) == []
