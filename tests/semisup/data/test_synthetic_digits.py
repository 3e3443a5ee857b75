"""Tests of the rendered digits, of rendering in processes, and of both data sets of digits."""

import dataclasses
import hashlib

import numpy as np
import PIL
import pytest
import scipy.io
from PIL import features
from rendered_in_workers import die, double, fail_at_30, render

from semisup.data.builders.rendered import Config
from semisup.data.builders.synthetic_digits import SyntheticDigits
from semisup.data.builders.synthetic_digits_generated import SyntheticDigitsGenerated
from semisup.data.datasets import load_dataset
from semisup.data.rendering import digits, fonts, parallel
from semisup.errors import UserError

PINNED = {"Pillow": "13.0.0", "FreeType": "2.14.3"}
FIRST_200 = "f23cffdcc33d75d0e288320decb52f93960b8f4d053ed26463471d01d2cccec6"


@pytest.fixture(scope="module", autouse=True)
def _installed_fonts():
    try:
        fonts.faces()
    except UserError as error:
        pytest.skip(str(error))


def plain_scenes(texts, *, face=0, **changes):
    """Large, upright, black numbers on white; of three characters each, a space being no digit."""
    count = len(texts)
    zeros = np.zeros(count)
    colours = np.zeros((count, 3, 2, 3))
    colours[:, 0] = 1
    scenes = digits.Scenes(
        digits=np.array(
            [[digits.NO_DIGIT if c == " " else int(c) for c in text] for text in texts]
        ),
        faces=np.full(count, face),
        heights=np.full(count, 20.0),
        widths=np.ones(count),
        angles=zeros,
        slants=zeros,
        shifts=np.zeros((count, 2)),
        gaps=np.full(count, 0.1),
        weights=zeros,
        outlines=zeros,
        colours=colours,
        gradients=np.zeros((count, 3)),
        blurs=np.full(count, 0.3),
        noise=np.zeros((count, 32, 32, 3)),
    )
    return dataclasses.replace(scenes, **changes)


def ink(images):
    """(k, 32, 32) darkness in [0, 1]."""
    return 1 - images.mean(axis=-1) / 255


@pytest.mark.parametrize("face", [0, 10, 40, 79])
def test_the_label_is_the_digit_in_the_centre(face):
    texts = [f"{(c + 3) % 10}{c}{(c + 7) % 10}" for c in range(10)]
    numbers = plain_scenes(texts, face=face)
    alone = plain_scenes([f" {c} " for c in range(10)], face=face)
    centre = np.s_[:, :, 12:20]
    differences = ink(digits.paint(numbers))[centre][:, None] - ink(digits.paint(alone))[centre]
    nearest = np.abs(differences).sum(axis=(2, 3)).argmin(axis=1)
    np.testing.assert_array_equal(nearest, np.arange(10))
    np.testing.assert_array_equal(numbers.labels, np.arange(10))


def test_neighbours_are_partly_visible_at_their_side():
    left, both, none = ink(digits.paint(plain_scenes(["38 ", "383", " 8 "]))).sum(axis=1)
    assert left[:8].sum() > 5
    assert both[-8:].sum() > 5
    assert left[-8:].sum() == 0
    assert none[:8].sum() == none[-8:].sum() == 0


def test_half_turn_makes_a_nine_of_a_six():
    upright, turned = (
        ink(digits.paint(plain_scenes([" 6 "], angles=np.array([angle])))) for angle in (0, np.pi)
    )
    np.testing.assert_allclose(turned, upright[:, ::-1, ::-1], atol=1 / 255)


def test_geometry_of_a_digit_follows_its_scene():
    images = digits.paint(
        plain_scenes(
            [" 0 "] * 3,
            heights=np.array([10.0, 20, 20]),
            widths=np.array([1, 1, 1.5]),
            shifts=np.array([[0, 0], [3, -2], [0, 0]]),
        )
    )
    centres, extents = [], []
    for image in ink(images):
        rows, columns = np.nonzero(image > 0.5)
        centres.append([columns.mean() - 15.5, rows.mean() - 15.5])
        extents.append([np.ptp(columns) + 1, np.ptp(rows) + 1])
    np.testing.assert_allclose(centres, [[0, 0], [3, -2], [0, 0]], atol=0.3)
    np.testing.assert_allclose(np.array(extents)[:, 1], [10, 20, 20], atol=1)
    assert extents[2][0] / extents[1][0] == pytest.approx(1.5, abs=0.12)


def test_outline_has_its_colour_and_surrounds_the_stroke():
    colours = plain_scenes([" 1 "]).colours
    colours[:, 1, :, 0] = 1  # red
    bare, outlined = (
        digits.paint(plain_scenes([" 1 "], colours=colours, outlines=np.array([width])))[0]
        for width in (0, 0.1)
    )
    red = [(image[..., 0] > 200) & (image[..., 1] < 60) for image in (bare, outlined)]
    assert not red[0].any()
    assert red[1].sum() > 40
    assert not (red[1] & (ink(bare) > 0.9)).any()


def test_blur_softens_and_noise_roughens():
    sharp, soft = (
        ink(digits.paint(plain_scenes([" 8 "], blurs=np.array([blur]))))[0] for blur in (0.3, 1.4)
    )
    assert np.abs(np.diff(soft)).max() < 0.7 * np.abs(np.diff(sharp)).max()
    np.testing.assert_allclose(soft.sum(), sharp.sum(), rtol=0.02)
    noise = np.full((1, 32, 32, 3), -0.2)
    noisy = digits.paint(plain_scenes(["   "], noise=noise))
    np.testing.assert_array_equal(noisy, 204)


def test_classes_faces_and_lengths_are_equally_frequent():
    scenes = digits.describe(3, np.arange(4000))
    lengths = (scenes.digits != digits.NO_DIGIT).sum(axis=1)
    for values, number in ((scenes.labels, 10), (scenes.faces, 80), (lengths - 1, 3)):
        counts = np.bincount(values, minlength=number)
        assert len(counts) == number
        expected = 4000 / number
        statistic = ((counts - expected) ** 2 / expected).sum()
        # Five standard deviations of the chi-square distribution.
        assert statistic < (number - 1) + 5 * np.sqrt(2 * (number - 1))
    assert (scenes.digits[lengths == 3] != digits.NO_DIGIT).all()
    assert len(fonts.faces()) == 80


def test_strokes_stand_out_from_the_background():
    colours = digits.describe(4, np.arange(500)).colours.mean(axis=(2, 3))
    assert np.quantile(np.abs(colours[:, 2] - colours[:, 0]), 0.02) > 0.1


def test_every_face_has_ten_digits_of_its_own():
    images = ink(digits.paint(plain_scenes([f" {c} " for c in range(10)] * 80)))
    for face in range(80):
        shown = ink(
            digits.paint(plain_scenes([f" {c} " for c in range(10)], face=face, blurs=np.ones(10)))
        ).reshape(10, -1)
        distances = np.abs(shown[:, None] - shown).sum(axis=-1)
        assert distances[~np.eye(10, dtype=bool)].min() > 10, fonts.faces()[face]
        images[10 * face : 10 * face + 10] = shown.reshape(10, 32, 32)
    assert len(np.unique(np.round(images, 3), axis=0)) == 800


def test_an_example_depends_on_seed_and_index_alone():
    images, labels = digits.render(5, np.arange(120))
    some = np.array([119, 3, 64])
    np.testing.assert_array_equal(digits.render(5, some)[0], images[some])
    np.testing.assert_array_equal(digits.render(5, some)[1], labels[some])
    assert len(np.unique(images.reshape(120, -1), axis=0)) == 120
    assert not (digits.render(6, some)[0] == images[some]).all(axis=(1, 2, 3)).any()


def test_first_images_are_what_they_were():
    installed = {"Pillow": PIL.__version__, "FreeType": features.version("freetype2")}
    if installed != PINNED:
        pytest.skip(f"glyphs depend on the rasterizer: {installed} here, pinned for {PINNED}")
    images, labels = digits.render(0, np.arange(200))
    assert images.shape == (200, 32, 32, 3)
    assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
    digest = hashlib.sha256(images.tobytes() + labels.astype("<i4").tobytes())
    assert digest.hexdigest() == FIRST_200


def test_blocks_come_in_order():
    found = list(parallel.blocks(double, 100, block=7, processes=1))
    assert list(map(len, found)) == [7] * 14 + [2]
    np.testing.assert_array_equal(np.concatenate(found), 2 * np.arange(100))


def test_digits_do_not_depend_on_processes_which_do_without_tensorflow():
    found = list(parallel.blocks(render, 50, block=4, processes=2))
    assert [len(labels) for _, labels, _ in found] == [4] * 12 + [2]
    images, labels = digits.render(7, np.arange(50))
    np.testing.assert_array_equal(np.concatenate([block[0] for block in found]), images)
    np.testing.assert_array_equal(np.concatenate([block[1] for block in found]), labels)
    assert not any(imported for _, _, imported in found)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_of_a_worker_reaches_the_caller(processes):
    with pytest.raises(UserError, match="example 30 cannot"):
        list(parallel.blocks(fail_at_30, 60, block=10, processes=processes))


def test_death_of_a_worker_is_told():
    with pytest.raises(RuntimeError, match="ended early; there may be too little memory"):
        list(parallel.blocks(die, 60, block=10, processes=2))


def test_missing_font_package_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr(fonts.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"matplotlib, which is missing.*pip install '\.\[fonts\]'"):
        fonts.faces.__wrapped__()


def test_other_fonts_than_the_pinned_ones_are_refused(monkeypatch):
    other = dataclasses.replace(fonts._PACKAGES[1], files=fonts._PACKAGES[1].files[1:])
    monkeypatch.setattr(fonts, "_PACKAGES", (other,))
    with pytest.raises(UserError, match="mplhep_data are not those"):
        fonts.faces.__wrapped__()


def test_generated_set_holds_the_rendered_digits(tmp_path):
    # Few enough for one process.
    config = Config(name="tiny", train=100, test=10)
    SyntheticDigitsGenerated(config=config, data_dir=tmp_path).download_and_prepare()
    dataset = load_dataset("synthetic_digits_generated/tiny", data_dir=tmp_path)
    assert dataset.class_names == tuple("0123456789")
    for seed, (split, count) in enumerate((("train", 100), ("test", 10))):
        images, labels = digits.render(seed, np.arange(count))
        np.testing.assert_array_equal(dataset.splits[split].images, images)
        np.testing.assert_array_equal(dataset.splits[split].labels, labels)


def test_generated_set_has_the_size_of_the_published_one_and_a_small_one(tmp_path):
    sizes = {
        name: (config.train, config.test)
        for name, config in SyntheticDigitsGenerated.builder_configs.items()
    }
    assert sizes == {"full": (479_400, 9_553), "small": (20_000, 2_000)}
    assert SyntheticDigitsGenerated(data_dir=tmp_path).builder_config.name == "full"


@pytest.fixture
def originals(tmp_path, monkeypatch):
    """Files like the published ones, of 12 and 5 images; zero is 10 in one of them."""
    monkeypatch.setattr(SyntheticDigits, "COUNTS", {"train": 12, "test": 5})
    folder = tmp_path / "downloads" / "manual"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    content = {}
    for split, labels in (("train", [10, *range(1, 10), 10, 1]), ("test", [0, 1, 2, 3, 9])):
        images = random.integers(0, 256, (32, 32, 3, len(labels)), np.uint8)
        values = {"X": images, "y": np.array(labels, np.uint8)[:, None]}
        scipy.io.savemat(folder / f"synth_{split}_32x32.mat", values, do_compression=True)
        content[split] = np.moveaxis(images, -1, 0), np.array(labels) % 10
    return folder, content


def test_original_files_are_read(originals, tmp_path):
    dataset = load_dataset("synthetic_digits", data_dir=tmp_path)
    for split, (images, labels) in originals[1].items():
        found = dataset.splits[split]
        # TFDS shuffles, so compare what is there, not the order.
        assert sorted(zip(map(bytes, found.images), found.labels.tolist(), strict=True)) == sorted(
            zip(map(bytes, images), labels.tolist(), strict=True)
        )


def test_missing_original_is_named_with_its_folder_and_the_alternative(originals, tmp_path):
    folder, _ = originals
    (folder / "synth_test_32x32.mat").unlink()
    with pytest.raises(UserError) as caught:
        load_dataset("synthetic_digits", data_dir=tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert "synth_test_32x32.mat" in message
    assert "synth_train_32x32.mat" not in message
    assert str(folder) in message
    assert "is gone" in message
    assert "synthetic_digits_generated" in message


def test_truncated_original_is_named(originals, tmp_path):
    path = originals[0] / "synth_train_32x32.mat"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"synth_train_32x32\.mat is damaged"):
        load_dataset("synthetic_digits", data_dir=tmp_path)


def test_original_with_too_few_images_is_named(originals, tmp_path, monkeypatch):
    monkeypatch.setattr(SyntheticDigits, "COUNTS", {"train": 13, "test": 5})
    with pytest.raises(UserError, match=r"synth_train_32x32\.mat .* 12 train images instead of 13"):
        load_dataset("synthetic_digits", data_dir=tmp_path)


def test_original_of_another_layout_is_named(originals, tmp_path):
    path = originals[0] / "synth_test_32x32.mat"
    scipy.io.savemat(path, {"X": np.zeros((5, 32, 32, 3), np.uint8), "y": np.zeros((5, 1))})
    with pytest.raises(UserError, match=r"synth_test_32x32\.mat is damaged or not the original"):
        load_dataset("synthetic_digits", data_dir=tmp_path)
