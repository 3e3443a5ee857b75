"""Tests of the pictograms, of the signs rendered from them, and of the two builders of signs."""

import functools
import hashlib
import itertools
import zipfile

import numpy as np
import PIL
import pytest
import scipy.stats
import tensorflow_datasets as tfds
from fake_originals import encoded, failure
from PIL import Image

from semisup.data.builders import SyntheticSigns, SyntheticSignsGenerated, bsds500
from semisup.data.builders.rendered import Config
from semisup.data.datasets import load_dataset
from semisup.data.rendering import parallel, pictograms, signs
from semisup.data.rendering.drawing import Drawing
from semisup.data.rendering.pictograms import CLASS_NAMES

PINNED_PILLOW = "13.0.0"
FIRST_100 = "a8e178c331174808ee12d3913b035be40de504c09d0a099430b9d8563bfe0433"


def picture(name, size=40):
    """(size, size, 4) int: colours times opacity, opacity."""
    label = CLASS_NAMES.index(name)
    return np.asarray(pictograms.pictogram(label, size)).astype(int)


def noise_photos(count=3):
    return list(np.random.default_rng(0).integers(0, 256, (count, 60, 70, 3), np.uint8))


def plain_photos(*colours):
    return [np.full((50, 50, 3), colour, np.uint8) for colour in colours]


# Drawings


def test_pen_knows_where_it_is():
    drawing = Drawing(20)
    drawing.at(0.5, -0.5, 0.5, angle=90).box(0, 0, 1, 0.2, (255, 0, 0))
    pixels = np.asarray(drawing.finished())[..., 3]
    expected = np.zeros((20, 20), bool)
    expected[5:10, 14:15] = True  # turned to point down from (0.5, -0.5), and to the left of it
    np.testing.assert_array_equal(pixels > 127, expected)


def test_drawings_are_antialiased():
    opacity = picture("no_entry")[..., 3]
    assert (opacity[0, 0], opacity[20, 20]) == (0, 255)
    assert np.sum((opacity > 20) & (opacity < 235)) > 40


def test_classes_are_those_of_the_benchmark_in_its_order():
    assert len(CLASS_NAMES) == 43
    numbers = {"speed_20": 0, "priority_road": 12, "stop": 14, "road_works": 25, "roundabout": 40}
    assert {name: CLASS_NAMES.index(name) for name in numbers} == numbers


def test_pictograms_differ_from_each_other():
    flat = np.stack([picture(name) for name in CLASS_NAMES]).reshape(len(CLASS_NAMES), -1)
    distances = {
        (a, b): np.abs(flat[i] - flat[j]).mean()
        for (i, a), (j, b) in itertools.combinations(enumerate(CLASS_NAMES), 2)
    }
    assert len(distances) == 43 * 42 / 2
    closest = min(distances, key=distances.get)
    assert distances[closest] > 2.5, closest


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("curve_left", "curve_right"),
        ("turn_left_ahead", "turn_right_ahead"),
        ("straight_or_left", "straight_or_right"),
        ("keep_left", "keep_right"),
    ],
)
def test_left_is_the_mirror_image_of_right(left, right):
    difference = np.abs(picture(left, 128)[:, ::-1] - picture(right, 128)).mean()
    assert difference < 1.5
    assert np.abs(picture(left, 128) - picture(right, 128)).mean() > 5 * difference


def test_arrows_point_where_their_names_say():
    def white(name):
        return picture(name)[4:36, 4:36, 0] > 128

    assert white("keep_right")[16:, 16:].mean() > 1.5 * white("keep_right")[16:, :16].mean()
    assert (
        white("turn_right_ahead")[:16, 16:].mean() > 2 * white("turn_right_ahead")[16:, 16:].mean()
    )
    assert white("ahead_only")[:12].mean() > 1.5 * white("ahead_only")[20:].mean()


@pytest.mark.parametrize(
    ("names", "colour"),
    [
        (("speed_20", "speed_120", "no_passing", "no_vehicles", "no_trucks"), "red"),
        (("end_speed_80", "end_all_limits", "end_no_passing", "end_no_passing_trucks"), "grey"),
        (("ahead_only", "keep_left", "roundabout"), "blue"),
    ],
)
def test_round_signs_have_the_colour_of_their_kind(names, colour):
    for name in names:
        red, _, blue, _ = picture(name)[20, 3]
        assert {"red": red > 2 * blue, "grey": red == blue, "blue": blue > 2 * red}[colour], name


# Rendering


@pytest.fixture(scope="module")
def on_white():
    """Signs before overexposed photographs."""
    return signs.render(0, plain_photos((255, 255, 255)), np.arange(500))


def test_labels_are_uniform_and_all_occur(on_white):
    counts = np.bincount(on_white[1], minlength=43)
    assert len(counts) == 43
    assert counts.min() > 0
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_label_names_the_sign_that_is_seen(on_white):
    images, labels = on_white
    templates = np.stack([picture(name, 36)[..., :3] for name in CLASS_NAMES])

    def normalised(x):
        x = x.reshape(len(x), -1) - x.mean((1, 2, 3), keepdims=True).reshape(-1, 1)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    middles = images[:, 8:32, 8:32].astype(float)
    found = normalised(middles) @ normalised(templates[:, 6:30, 6:30]).T
    assert np.mean(found.argmax(1) == labels) > 0.5


def test_overexposed_edges_do_not_wrap_around(on_white):
    images, labels = on_white
    bright = images[:, 20, 20].min(-1) >= 245
    plain = np.isin(labels, [CLASS_NAMES.index(name) for name in ("yield", "no_vehicles")])
    assert np.sum(bright & plain) > 2
    assert images[bright & plain][..., 0].min() > 100


def test_example_is_a_function_of_seed_and_number():
    photos = noise_photos()
    images, labels = signs.render(5, photos, np.arange(20))
    again, labels_again = signs.render(5, photos, np.array([17, 3]))
    np.testing.assert_array_equal(again, images[[17, 3]])
    np.testing.assert_array_equal(labels_again, labels[[17, 3]])
    others, other_labels = signs.render(6, photos, np.arange(20))
    assert not any(map(np.array_equal, images, others))
    assert not np.array_equal(labels, other_labels)
    assert len(np.unique(images, axis=0)) == 20


def test_worker_processes_render_the_same():
    render = functools.partial(signs.render, 5, noise_photos())
    images, labels = zip(*parallel.blocks(render, 30, block=8, processes=2), strict=True)
    expected = render(np.arange(30))
    np.testing.assert_array_equal(np.concatenate(images), expected[0])
    np.testing.assert_array_equal(np.concatenate(labels), expected[1])


def test_every_photo_becomes_a_background():
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    images, _ = signs.render(0, plain_photos(*colours), np.arange(120))
    corners = images[:, 0, 0].astype(int)
    brightest = corners[np.sort(corners, axis=1)[:, 1] < corners.max(1) / 4].argmax(1)
    assert len(brightest) > 90
    assert np.bincount(brightest, minlength=3).min() > 20


def test_backgrounds_come_from_all_over_a_photo():
    rows, columns = np.mgrid[:200, :100]
    photo = np.stack([rows, 2 * columns, 0 * rows], -1).astype(np.uint8)
    images, _ = signs.render(0, [photo], np.arange(100))
    # Exposure cancels in the ratio of red to green.
    ratios = images[:, 0, 0, 0] / np.maximum(1, images[:, 0, 0, 1])
    assert np.sum(ratios > 3) > 3
    assert np.sum(ratios < 1 / 3) > 3


def test_smallest_photo_is_large_enough():
    images, _ = signs.render(0, [np.zeros((20, 20, 3), np.uint8)], np.arange(5))
    assert images.shape == (5, 40, 40, 3)


def test_first_images_are_pinned():
    if PIL.__version__ != PINNED_PILLOW:
        pytest.skip(f"rendered by Pillow {PIL.__version__}, pinned for {PINNED_PILLOW}")
    images, labels = signs.render(0, noise_photos(), np.arange(100))
    assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
    digest = hashlib.sha256(images.tobytes() + labels.astype("<i4").tobytes())
    assert digest.hexdigest() == FIRST_100


# Builders


@pytest.fixture
def manual(tmp_path):
    folder = tmp_path / "downloads" / "manual"
    folder.mkdir(parents=True)
    return folder


def test_generated_set_holds_the_rendered_signs(tmp_path, manual, monkeypatch):
    folder = manual / "bsds500"
    folder.mkdir()
    photos = []
    for i in range(200):
        path = folder / f"{1000 + i}.jpg"
        Image.new("RGB", (481, 321), (i, 255 - i, 100)).save(path)
        photos.append(np.asarray(Image.open(path)))
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(bsds500, "SHA256", bsds500.digest(files))
    config = Config(name="tiny", train=20, test=5)
    SyntheticSignsGenerated(config=config, data_dir=tmp_path).download_and_prepare()
    data = load_dataset("synthetic_signs_generated/tiny", data_dir=tmp_path)
    for seed, (split, count) in enumerate((("train", 20), ("test", 5))):
        images, labels = signs.render(seed, photos, np.arange(count))
        np.testing.assert_array_equal(data.splits[split].images, images)
        np.testing.assert_array_equal(data.splits[split].labels, labels)
    assert data.class_names == CLASS_NAMES


def test_generated_set_is_as_large_as_published_unless_small_is_asked_for(tmp_path):
    full = tfds.builder("synthetic_signs_generated", data_dir=tmp_path)
    small = tfds.builder("synthetic_signs_generated/small", data_dir=tmp_path)
    assert (full.builder_config.name, full.builder_config.train) == ("full", 100_000)
    assert small.builder_config.train == 10_000


def write_archive(path, files, folder="synthetic_data/"):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(folder + name, content)


@pytest.fixture
def original_files(monkeypatch):
    """Content of an archive of three images, which the builder takes for the whole."""
    monkeypatch.setattr(SyntheticSigns, "COUNT", 3)
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)
    files = {f"train/{i:05d}.png": encoded(image) for i, image in enumerate(images)}
    files["train_labelling.txt"] = b"".join(
        f"train/{i:05d}.png {label} 0 0 39 39\r\n".encode() for i, label in enumerate((42, 0, 7))
    )
    return images, files


@pytest.mark.parametrize("folder", ["", "synthetic_data/", "some/where/"])
def test_original_archive_is_read(tmp_path, manual, original_files, folder):
    images, files = original_files
    write_archive(manual / "synthetic_data.zip", files, folder)
    dataset = tfds.load("synthetic_signs", data_dir=tmp_path, split="train")
    found = {example["id"].decode(): example for example in tfds.as_numpy(dataset)}
    assert {i: example["label"] for i, example in found.items()} == {"0": 42, "1": 0, "2": 7}
    for i, image in enumerate(images):
        np.testing.assert_array_equal(found[str(i)]["image"], image)


def test_missing_original_is_described(tmp_path, manual):
    message = failure("synthetic_signs", tmp_path)
    for part in ("synthetic_data.zip", "is gone", str(manual), "synthetic_signs_generated"):
        assert part in message


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"train/00001.png": b"no image"}, "damaged"),
        ({"train/00001.png": encoded(np.zeros((30, 30, 3), np.uint8))}, "(30, 30, 3)"),
        ({"train_labelling.txt": b"train/00000.png 43\n" * 3}, "1 labelled images instead of 3"),
        ({"train_labelling.txt": b"".join(b"train/0000%d.png 43\n" % i for i in range(3))}, "43"),
        ({"train_labelling.txt": b"train/00000.png\n"}, "damaged"),
    ],
)
def test_damaged_original_is_named(tmp_path, manual, original_files, change, complaint):
    path = manual / "synthetic_data.zip"
    write_archive(path, original_files[1] | change)
    message = failure("synthetic_signs", tmp_path)
    assert str(path) in message
    assert complaint in message


def test_unreadable_archive_and_one_without_labels_are_named(tmp_path, manual, original_files):
    path = manual / "synthetic_data.zip"
    path.write_bytes(b"no archive")
    assert f"{path} is damaged" in failure("synthetic_signs", tmp_path)
    del original_files[1]["train_labelling.txt"]
    write_archive(path, original_files[1])
    assert "no train_labelling.txt" in failure("synthetic_signs", tmp_path)


def test_registered_builder_reads_the_prepared_set(data_dir):
    builder = tfds.builder("synthetic_signs", data_dir=data_dir)
    assert isinstance(builder, SyntheticSigns)
    assert builder.is_prepared()
    assert tuple(builder.info.features["label"].names) == CLASS_NAMES
    dataset = tfds.load("synthetic_signs", data_dir=data_dir, split="train[:5]", download=False)
    for example in tfds.as_numpy(dataset):
        assert example["image"].shape == (40, 40, 3)
        assert 0 <= int(example["id"]) < SyntheticSigns.COUNT
    data = load_dataset("synthetic_signs", data_dir=data_dir, splits=["train"])
    assert len(data.splits["train"].images) == 1_982
