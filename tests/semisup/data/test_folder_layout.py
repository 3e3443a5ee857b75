"""Tests of how folders of images may be laid out."""

import os
import socket
import unicodedata

import numpy as np
import pytest
from PIL import Image

from semisup.data import folder_layout, folders
from semisup.data.datasets import load_dataset, open_dataset
from semisup.errors import UserError


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            Image.new("L", (4, 4)).save(path)
        else:
            path.touch()


def found(root, **options):
    """By split, the paths below the folder and their classes."""
    layout = folder_layout.find(str(root), **options)
    return {
        split: [
            (str(file.relative_to(root)), layout.class_names[label] if label >= 0 else None)
            for file, label in zip(files, layout.labels[split], strict=True)
        ]
        for split, files in layout.files.items()
    }


def notes(root, **options):
    return folder_layout.find(str(root), **options).notes


@pytest.mark.parametrize(
    ("train", "test", "unlabelled"),
    [
        ("Train", "Test", "Unlabelled"),
        ("TRAIN", "test", "UNLABELED"),
        ("tRain", "TEST", "unlabeled"),
    ],
)
def test_names_of_splits_may_have_any_case(tmp_path, train, test, unlabelled):
    write(tmp_path, f"{train}/a/0.png", f"{test}/a/1.png", f"{unlabelled}/2.png")
    assert found(tmp_path) == {
        "train": [(f"{train}/a/0.png", "a")],
        "test": [(f"{test}/a/1.png", "a")],
        "unlabelled": [(f"{unlabelled}/2.png", None)],
    }
    assert notes(tmp_path) == ()
    assert folders.image_paths(str(tmp_path), "test") == [f"{test}/a/1.png"]


@pytest.mark.parametrize(
    ("one", "other", "split"),
    [
        ("Train", "train", "train"),
        ("TEST", "test", "test"),
        ("val", "validation", "validation"),
        ("unlabeled", "unlabelled", "unlabelled"),
    ],
)
def test_two_folders_of_one_split_are_a_user_error(tmp_path, one, other, split):
    write(tmp_path, f"{one}/a/0.png", f"{other}/a/1.png")
    with pytest.raises(UserError, match=rf"the folders {one} and {other}, and both are {split}: "):
        folder_layout.find(str(tmp_path))


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val", "VALID"])
def test_validation_images_are_the_test_images_where_there_are_none(tmp_path, name):
    write(tmp_path, "train/a/0.png", "train/b/0.png", f"{name}/b/1.png")
    assert found(tmp_path)["test"] == [(f"{name}/b/1.png", "b")]
    assert folders.image_paths(str(tmp_path), "test") == [f"{name}/b/1.png"]
    (note,) = notes(tmp_path)
    assert note.endswith(f"no test folder: {name} holds the test images")


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
@pytest.mark.parametrize("asked", ["val", "valid", "validation"])
def test_validation_images_beside_test_images_are_a_split_that_may_be_named(tmp_path, name, asked):
    write(tmp_path, "train/a/0.png", f"{name}/a/1.png", "test/a/2.png")
    assert found(tmp_path)["test"] == [("test/a/2.png", "a")]
    assert tuple(open_dataset(f"folder:{tmp_path}").sources) == ("train", "test", "validation")
    data = load_dataset(f"folder:{tmp_path}", splits=[asked])
    np.testing.assert_array_equal(data.splits[asked].labels, [0])
    assert folders.image_paths(str(tmp_path), asked) == [f"{name}/a/1.png"]
    note = data.notes[-1]
    assert f"{name} is the split 'validation', which is not read unless a flag names it" in note


def test_class_folders_at_the_top_are_to_train_with_where_classes_matter(tmp_path):
    write(tmp_path, "dog/1.png", "cat/deep/er.png", "cat/0.png")
    assert found(tmp_path) == {
        "train": [("cat/0.png", "cat"), ("cat/deep/er.png", "cat"), ("dog/1.png", "dog")]
    }
    assert folders.image_paths(str(tmp_path), "train") == [
        "cat/0.png",
        "cat/deep/er.png",
        "dog/1.png",
    ]


def test_class_folders_at_the_top_may_have_unlabelled_images_beside_them(tmp_path):
    write(tmp_path, "dog/1.png", "cat/0.png", "Unlabeled/2.png", "notes.txt")
    assert found(tmp_path) == {
        "train": [("cat/0.png", "cat"), ("dog/1.png", "dog")],
        "unlabelled": [("Unlabeled/2.png", None)],
    }
    assert notes(tmp_path) == ()
    assert skipped(tmp_path) == ["notes.txt"]
    assert found(tmp_path, labelled=False) == {"unlabelled": [("Unlabeled/2.png", None)]}


def test_class_folders_at_the_top_are_unlabelled_where_classes_do_not_matter(tmp_path):
    write(tmp_path, "dog/1.png", "cat/0.png")
    unlabelled = [("cat/0.png", None), ("dog/1.png", None)]
    assert found(tmp_path, labelled=False) == {"unlabelled": unlabelled}
    assert tuple(open_dataset(f"folder:{tmp_path}", labelled=False).sources) == ("unlabelled",)
    assert folders.image_paths(str(tmp_path), "unlabelled") == ["cat/0.png", "dog/1.png"]


@pytest.mark.parametrize("beside", [["a.png", "cat/0.png", "dog/0.png"], ["cat/0.png"]])
def test_images_beside_folders_or_a_single_folder_are_no_classes(tmp_path, beside):
    write(tmp_path, *beside)
    assert list(found(tmp_path)) == ["unlabelled"]


@pytest.mark.parametrize("test", ["Cat", "CAT"])
def test_a_class_of_the_test_images_may_differ_in_case(tmp_path, test):
    write(tmp_path, "train/cat/0.png", "train/dog/0.png", f"test/{test}/1.png")
    assert found(tmp_path)["test"] == [(f"test/{test}/1.png", "cat")]


def test_a_class_of_the_test_images_may_encode_accents_otherwise(tmp_path):
    one, other = (unicodedata.normalize(form, "épée") for form in ("NFC", "NFD"))
    write(tmp_path, f"train/{one}/0.png", f"test/{other}/1.png")
    assert found(tmp_path)["test"] == [(f"test/{other}/1.png", one)]


def test_a_class_that_may_be_either_of_two_is_a_user_error(tmp_path):
    write(tmp_path, "train/cat/0.png", "train/Cat/0.png", "test/CAT/1.png")
    with pytest.raises(UserError, match=r"test/CAT: there is no class 'CAT'"):
        folder_layout.find(str(tmp_path))


def skipped(root):
    return [str(file.relative_to(root)) for file in folder_layout.find(str(root)).skipped]


def test_files_that_are_no_images_are_skipped_but_not_hidden_ones(tmp_path):
    write(tmp_path, "train/a/0.png", "train/a/z.heic", "train/a/deep/b.txt", "train/labels.csv")
    write(tmp_path, "train/a/.hidden", "README.txt", "__MACOSX/train/a/0.png")
    assert skipped(tmp_path) == ["train/a/deep/b.txt", "train/a/z.heic", "train/labels.csv"]


def test_images_outside_of_class_folders_are_skipped_files_too(tmp_path):
    write(tmp_path, "train/a/0.png", "train/lost.png")
    assert skipped(tmp_path) == ["train/lost.png"]


def test_pipes_sockets_and_devices_are_skipped_whatever_their_names(tmp_path):
    write(tmp_path, "train/a/0.png")
    os.mkfifo(tmp_path / "train" / "a" / "1.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "train" / "a" / "2.png"))
        (tmp_path / "train" / "a" / "3.png").symlink_to("/dev/null")
        assert found(tmp_path) == {"train": [("train/a/0.png", "a")]}
        assert skipped(tmp_path) == [f"train/a/{number}.png" for number in (1, 2, 3)]


def test_links_in_circles_neither_hang_nor_mix_classes(tmp_path):
    write(tmp_path, "train/a/0.png", "train/a/deep/1.png", "train/b/2.png", "test/b/3.png")
    for link, target in {
        "train/a/to_b": "../b",
        "train/b/to_a": "../a",
        "train/a/deep/up": "..",
        "train/a/deep/top": "../../..",
        "train/b/test": "../../test",
        "train/loop": ".",
        "unlabelled": ".",
    }.items():
        (tmp_path / link).symlink_to(target)
    assert found(tmp_path) == {
        "train": [("train/a/0.png", "a"), ("train/a/deep/1.png", "a"), ("train/b/2.png", "b")],
        "test": [("test/b/3.png", "b")],
    }
    (note,) = notes(tmp_path)
    assert (
        "not followed: 7 links to folders of these data themselves, such as train/a/deep/" in note
    )


def test_links_to_folders_elsewhere_are_followed_each_once(tmp_path):
    write(tmp_path, "elsewhere/cats/0.png", "elsewhere/cats/more/1.png", "elsewhere/dogs/2.png")
    root = tmp_path / "photos"
    write(root, "train/b/3.png")
    (root / "train" / "a").symlink_to(tmp_path / "elsewhere" / "cats")
    (root / "test").symlink_to("train")
    (root / "train" / "b" / "dogs").symlink_to(tmp_path / "elsewhere" / "dogs")
    # Circles outside of the data.
    (tmp_path / "elsewhere" / "cats" / "all").symlink_to("..")
    (tmp_path / "elsewhere" / "dogs" / "cats").symlink_to("../cats")
    files = [("a/0.png", "a"), ("a/more/1.png", "a"), ("b/3.png", "b"), ("b/dogs/2.png", "b")]
    assert found(root) == {
        split: [(f"{split}/{file}", name) for file, name in files] for split in ("train", "test")
    }


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    write(tmp_path, "train/a/0.png", "train/a/private/1.png")
    scan = os.scandir

    def refuse(path):
        if os.path.basename(path) == "private":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"the folder .*train/a/private cannot be read: Permission"):
        folder_layout.find(str(tmp_path))


def test_test_and_validation_images_may_be_of_some_of_the_classes(tmp_path):
    write(tmp_path, "train/a/0.png", "train/b/0.png", "train/c/0.png", "test/c/1.png")
    write(tmp_path, "val/b/2.png")
    (tmp_path / "test" / "a").mkdir()
    labels = folder_layout.find(str(tmp_path)).labels
    assert labels == {"train": [0, 1, 2], "test": [2], "validation": [1]}
    assert f"{tmp_path}: test: no images of a" in notes(tmp_path)


def test_classes_and_files_have_one_order_however_accents_are_encoded(tmp_path):
    for form in ("NFC", "NFD"):
        root = tmp_path / form
        names = ["train/é/ä.png", "train/é/az.png", "train/f/z.png", "train/ez/z.png"]
        write(root, *(unicodedata.normalize(form, name) for name in names))
        layout = folder_layout.find(str(root))
        assert layout.class_names == ("ez", "f", "é")
        shown = [unicodedata.normalize("NFC", file.name) for file in layout.files["train"]]
        assert shown == ["z.png", "z.png", "az.png", "ä.png"]


def test_folders_beside_those_of_splits_are_named(tmp_path):
    write(tmp_path, "train/a/0.png", "extra/a/0.png", "raw/0.png")
    assert notes(tmp_path) == (f"{tmp_path}: not read: the folders extra, raw",)


def test_where_all_is_as_it_should_be_there_is_no_note(tmp_path):
    write(tmp_path, "train/a/0.png", "test/a/0.png", "unlabelled/0.png")
    assert notes(tmp_path) == ()


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["b/0.png", "a/0.png"], "holds the folders a, b; it should hold train/cat/1.jpg, "),
        (["0.png", "1.png", "x.txt"], "holds 2 images and 1 other file; it should"),
        ([f"{i}/0.png" for i in range(7)], "holds the folders 0, 1, 2, 3, 4 and 2 more; it should"),
    ],
)
def test_a_message_on_a_missing_split_says_what_is_there_and_what_should_be(
    tmp_path, names, layout
):
    write(tmp_path, *names)
    with pytest.raises(UserError, match=r"has no split 'test'; its splits are .*; .*") as error:
        load_dataset(f"folder:{tmp_path}", splits=["test"])
    assert f"{tmp_path} {layout}" in str(error.value)


def test_class_names_are_shown_in_one_line_of_valid_unicode(tmp_path):
    for name in (b"d\xf6g", b"new\nline", b"cat", "猫".encode()):
        folder = os.path.join(os.fsencode(tmp_path), b"train", name)
        os.makedirs(folder)
        Image.new("L", (4, 4)).save(os.fsdecode(os.path.join(folder, b"\xe9\x1b.png")))
    data = load_dataset(f"folder:{tmp_path}", splits=["train"])
    assert data.class_names == ("cat", r"d\xf6g", r"new\nline", "猫")
    paths = folders.image_paths(str(tmp_path), "train")
    assert paths == [rf"train/{name}/\xe9\x1b.png" for name in data.class_names]


def test_two_classes_that_are_shown_alike_are_a_user_error(tmp_path):
    write(tmp_path, "train/a\n/0.png", r"train/a\n/0.png")
    with pytest.raises(UserError, match=r"two class folders that are both shown as a\\n: rename"):
        folder_layout.find(str(tmp_path))


def test_runs_among_the_images_are_no_class_and_no_images(tmp_path):
    write(tmp_path, "cat/0.png", "dog/1.png", "runs/first/.lock")
    expected = {"train": [("cat/0.png", "cat"), ("dog/1.png", "dog")]}
    assert found(tmp_path) == expected
    write(tmp_path, "runs/first/figures/clusters.png", "dog/run/.lock", "dog/run/figures/a.png")
    assert found(tmp_path) == expected
    # The images of a run are looked at where they are asked for.
    figures = folder_layout.images_below(tmp_path / "runs" / "first" / "figures")
    assert [file.name for file in figures] == ["clusters.png"]
