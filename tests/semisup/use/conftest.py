"""Made-up runs of every task, and images that none of them has seen."""

import pytest
from made_runs import make_run, write_image, write_photos

from clustering.task import TASK as CLUSTERING
from domain_adaptation.task import TASK as ADAPTATION
from semisup.task import TASK as SEMISUP


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of labelled and unlabelled images."""
    return write_photos(tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture(scope="session")
def run(photos):
    """A semi-supervised run on the folder, with six held-out images."""
    return make_run(
        photos.parent,
        "run",
        SEMISUP,
        dataset=f"folder:{photos}",
        validation_samples=6,
        sup_per_class=2,
    )


@pytest.fixture(scope="session")
def clusters(photos):
    """A clustering of the same images."""
    return make_run(
        photos.parent,
        "clusters",
        CLUSTERING,
        dataset=f"folder:{photos}",
        num_clusters=3,
        average_decay=0.0,
    )


@pytest.fixture(scope="session")
def adaptation(photos):
    """An adaptation to a folder without any label."""
    return make_run(
        photos.parent,
        "adaptation",
        ADAPTATION,
        dataset=f"folder:{photos}",
        target_dataset=f"folder:{photos / 'unlabelled'}",
        validation_samples=6,
        sup_per_class=2,
    )


@pytest.fixture
def new(tmp_path):
    """A folder of new images: two sure ones, one of each, in a folder below, and a broken file."""
    write_image(tmp_path / "new" / "a.png", (255, 0, 0))
    write_image(tmp_path / "new" / "deep" / "b.png", (0, 255, 0), size=11)
    write_image(tmp_path / "new" / "deep" / "dark.png", (60, 50, 40))
    write_image(tmp_path / "new" / "deep" / "dark_again.png", (61, 51, 41))
    (tmp_path / "new" / "broken.jpg").write_text("no image")
    return tmp_path / "new"
