"""Predictions for new images, and what else is made of them."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import running
from made_runs import BLUE, write_image
from PIL import Image

from semisup.data import cache, class_folders, folder_layout, new_images
from semisup.errors import UserError
from semisup.files.writing import write_table
from semisup.label import LabelConfig
from semisup.predict import PredictConfig
from semisup.use import labelling, least_sure, prediction
from semisup.use.contact_sheet import contact_sheet

pytestmark = running.needs_commands


def predict(run, *flags):
    return running.call("predict", f"--logdir={run.path}", *flags)


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_predictions_say_class_probability_and_entropy_and_name_what_is_broken(
    run, new, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = contents(new)
    status, out, err = predict(run, "--images=new", "--eval_batch_size=2")
    assert status == 0, err
    found = {row["path"]: row for row in rows("predictions.csv")}
    assert list(found) == [
        f"new/{name}" for name in ("a.png", "deep/b.png", "deep/dark.png", "deep/dark_again.png")
    ]
    first = found["new/a.png"]
    assert first["class"] == first["class_1"] == "red"
    assert found["new/deep/b.png"]["class"] == "green"
    probabilities = [float(first[f"probability_{place}"]) for place in (1, 2, 3)]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)
    entropy = -sum(p * np.log(p) for p in probabilities if p)
    assert float(first["entropy"]) == pytest.approx(entropy, abs=1e-4)
    assert "not read: new/broken.jpg" in err
    assert "1 of 5 images could not be read" in err
    assert "calibrated on 6 validation images" in out
    assert contents(new) == before


def test_json_lines_hold_the_same_and_a_list_says_which_images(run, new, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("new/a.png\n\nnew/missing.png\nnew/deep/b.png\n")
    status, _, err = predict(run, "--list=list.txt", "--output=out.jsonl")
    assert status == 0, err
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(line["path"], line["class"]) for line in lines] == [
        ("new/a.png", "red"),
        ("new/deep/b.png", "green"),
    ]
    assert lines[0]["most_probable"][0]["class"] == "red"
    assert lines[0]["probability"] == lines[0]["most_probable"][0]["probability"]
    assert "not read: new/missing.png" in err


def test_a_byte_order_mark_is_no_part_of_the_first_path_of_a_list(tmp_path, monkeypatch):
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfa.png\r\nb.png\r\n")
    preparation = new_images.Preparation((8, 8, 1))
    assert new_images.listed(str(path), preparation).names == ["a.png", "b.png"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    assert new_images.listed("-", preparation).names == ["a.png", "b.png"]


def test_some_images_of_a_split_are_decoded_in_one_pass():
    passes = []

    def blocks():
        passes.append(0)
        yield np.full((3, 8, 8, 1), 5, "uint8"), np.zeros(3, int)
        yield np.full((3, 8, 8, 1), 7, "uint8"), np.zeros(3, int)
        raise AssertionError("nothing beyond the last one that was asked for")

    source = cache.Source("digits", "key", (9, 8, 8, 1), blocks)
    split = new_images.SplitImages("digits", source, new_images.Preparation((8, 8, 1)))
    found = split.images(np.array([4, 0, 4]))
    assert [image[0, 0, 0] for image in found] == [7, 5, 7]
    assert len(passes) == 1


def test_only_line_feeds_end_the_lines_of_lists(tmp_path, monkeypatch):
    names = [f"a{character}b.png" for character in "\x0b\x0c\r\x1c\x1e\x85\u2028\udce4"]
    content = "\n".join(names).encode(errors="surrogateescape")
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    preparation = new_images.Preparation((8, 8, 1))
    assert new_images.listed(str(path), preparation).names == names
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert new_images.listed("-", preparation).names == names
    # Lists of labels are tables, where a carriage return may end a line, too.
    path.write_text("path,label\r" + "".join(f"a{c}b.png,a\r" for c in "\x0c\x85\u2028"))
    found = [file.name for file in labelling._read(str(path), {"a": tmp_path})]
    assert found == ["a\x0cb.png", "a\x85b.png", "a\u2028b.png"]


def test_names_beyond_ascii_are_those_of_files_where_the_locale_is_ascii(tmp_path):
    (tmp_path / "list.txt").write_text("ä.png\n", encoding="utf-8")
    (tmp_path / "ä.png").touch()
    script = (
        "import pathlib; from semisup.data import class_folders, new_images; "
        "images = new_images.listed('list.txt', new_images.Preparation((8, 8, 1))); "
        "assert images.files[0].exists(); "
        "pathlib.Path(*class_folders.folder_names(['\\u72ac'])).mkdir()"
    )
    ascii = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment = {**os.environ, **ascii, "PYTHONPATH": str(running.ROOT)}
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, env=environment)
    assert (tmp_path / "犬").is_dir()


def test_no_two_classes_share_a_folder():
    names = ["a\\b", "a_b", "a/b", ".x", "_.x", "", "a_b_2", "a\0b"]
    expected = ["a_b_3", "a_b", "a_b_4", "_.x_2", "_.x", "_", "a_b_2", "a_b_5"]
    assert class_folders.folder_names(names) == expected


def test_a_label_may_begin_or_end_with_a_space_as_its_class_does(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("path,label\na.png,trail \nb.png, b\nc.png, trail\n")
    folders = {"trail ": tmp_path, "b": tmp_path, " b c": tmp_path}
    with pytest.raises(UserError, match="line 4: trail is none of the classes"):
        labelling._read(str(path), folders)
    path.write_text("path,label\na.png,trail \nb.png, b\nc.png,  \n")
    assert list(labelling._read(str(path), folders).values()) == ["trail ", "b"]


def test_lists_of_labels_may_be_separated_by_tabs_and_have_to_be_utf_8(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("path\tlabel\nä, b.png\tcat\n", encoding="utf-8")
    (file,) = labelling._read(str(path), {"cat": tmp_path})
    assert file.name == "ä, b.png"
    for encoding in ("cp1252", "utf-16"):
        path.write_text("path;label\nä.png;cat\n", encoding=encoding)
        with pytest.raises(UserError, match=r"list\.txt is no text in UTF-8: save it in that"):
            labelling._read(str(path), {"cat": tmp_path})


def test_why_an_image_is_not_read_is_said_in_words_for_users(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    files = [tmp_path / "text.png", tmp_path / "missing.png"]
    images = new_images.ImageFiles(files, new_images.Preparation((8, 8, 1)))
    assert not list(images.blocks(2))
    assert images.skipped == [
        (0, "no image of a format that is read"),
        (1, "No such file or directory"),
    ]


def test_contact_sheets_and_figures_of_ours_are_no_images_to_be_predicted(tmp_path):
    write_image(tmp_path / "a.png", (255, 0, 0))
    contact_sheet([np.zeros((8, 8, 3), np.uint8)], [("a", "1.0")], tmp_path / "found.png")
    images = new_images.in_folder(str(tmp_path), new_images.Preparation((8, 8, 3)))
    (block,) = images.blocks(2)
    assert block.indices.tolist() == [0]
    assert images.skipped == [(1, "a figure or contact sheet that this program drew")]


def test_images_are_sorted_into_an_empty_folder_by_links_or_copies(run, new, tmp_path):
    write_image(new / "other" / "a.png", (250, 0, 0))
    for flag, is_link in (("--nocopy", True), ("--copy", False)):
        folder = tmp_path / flag
        flags = (f"--images={new}", f"--sort_into={folder}", f"--output={tmp_path}/out.csv")
        assert predict(run, *flags, flag)[0] == 0
        names = {str(path.relative_to(folder)) for path in folder.rglob("*.png")}
        assert {"red/a.png", "red/a_2.png", "green/b.png"} <= names
        assert (folder / "red" / "a.png").is_symlink() == is_link
        assert (folder / "red" / "a.png").read_bytes() == (new / "a.png").read_bytes()
    status, _, err = predict(run, *flags)
    assert status == 2
    assert "is not empty" in err


def test_the_least_sure_images_are_labelled_and_moved_into_class_folders(
    run, new, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert predict(run, "--images=new", "--least_sure=3", "--duplicates=0.999")[0] == 0
    table = rows("least_sure.csv")
    # One of the two dark images, which are near duplicates, comes first.
    assert os.path.basename(table[0]["path"]).startswith("dark")
    assert len(table) == 3
    with Image.open("least_sure.png") as sheet:
        assert sheet.format == "PNG"
    status, _, err = predict(run, "--images=new", "--least_sure=3")
    assert status == 2
    assert "least_sure.csv exists" in err

    status, _, err = running.call("label", "--into=photos")
    assert (status, "photos cannot be read" in err) == (2, True)
    for name in ("red", BLUE):
        (tmp_path / "photos" / name).mkdir(parents=True)
    write_image(tmp_path / "photos" / "red" / os.path.basename(table[0]["path"]), (9, 9, 9))
    kept = contents(tmp_path / "photos")

    def label(*labels):
        lines = [f"{row['path']};{name}" for row, name in zip(table, labels, strict=False)]
        text = "\n".join(["path;label", *lines])
        (tmp_path / "least_sure.csv").write_text(text, encoding="utf-8")
        return running.call("label", "--into=photos")

    status, _, err = label("red", "purple")
    assert status == 2
    assert "line 3: purple is none of the classes red" in err
    assert contents(tmp_path / "photos") == kept
    # A composed and a decomposed character are the same.
    status, out, _ = label("red", "tr\u00e9s bleu")
    assert status == 0
    assert "moved 2 images" in out
    after = contents(tmp_path / "photos")
    assert len(after) == len(kept) + 2
    assert kept.items() <= after.items()
    assert not os.path.exists(table[0]["path"])


def test_without_flags_an_adaptation_predicts_its_targets_unlabelled_images(
    adaptation, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    status, _, err = predict(adaptation)
    assert status == 0, err
    found = rows("predictions.csv")
    assert len(found) == 24
    assert all(("(255" in row["path"]) == (row["class"] == "red") for row in found)


def test_the_evaluation_of_an_adaptation_predicts_a_target_without_labels(adaptation):
    flag = f"--logdir={adaptation.path}"
    status, _, err = running.call("eval", flag, package="domain_adaptation")
    assert status == 0, err
    found = rows(adaptation.file("predictions.csv"))
    assert len(found) == 24
    assert {row["label"] for row in found} == {""}


def test_the_evaluation_names_the_files_that_were_held_out(run, photos):
    status, _, err = running.call("eval", f"--logdir={run.path}")
    assert status == 0, err
    found = rows(run.file("predictions.csv"))
    assert len(found) == 6
    for row in found:
        assert (photos / row["image"]).is_file()
        assert row["image"].split("/")[:2] == ["train", unicodedata.normalize("NFD", row["label"])]


def test_the_temperature_of_a_run_with_the_same_classes_serves_another(
    run, clusters, new, tmp_path
):
    flags = (f"--images={new}", f"--output={tmp_path / 'out.csv'}")
    other = running.copy(run, tmp_path, "other")
    other.write_json("calibration.json", {"temperature": 2.5, "step": 0, "fitted_on": "others"})
    status, out, _ = predict(run, *flags, f"--calibrated_by={other.path}")
    assert status == 0
    assert "calibrated on others (temperature 2.5)" in out
    # As an earlier version left it that was asked for another step.
    other.write_json("calibration.json", {"temperature": 2.5, "step": 3, "fitted_on": "others"})
    for unfit, message in (
        (other, "holds no calibration.json of its newest checkpoint"),
        (clusters, "is a run with other classes"),
    ):
        status, _, err = predict(run, *flags, f"--calibrated_by={unfit.path}")
        assert status == 2
        assert f"--calibrated_by={unfit.path} {message}" in err


def test_a_clustering_assigns_new_images_and_takes_no_other_data(clusters, new, tmp_path):
    output = tmp_path / "out.csv"
    assert predict(clusters, f"--images={new}", f"--output={output}")[0] == 0
    assert [row["class"] for row in rows(output)][:2] == ["1", "0"]
    status, _, err = running.call("eval", f"--logdir={clusters.path}", "--dataset=mnist_5k")
    assert status == 2
    assert "whose clusters are no classes" in err


def test_a_split_of_a_data_set_is_predicted_without_files(run, tmp_path):
    output = tmp_path / "out.csv"
    flags = ("--dataset=optdigits", "--split=test", f"--output={output}")
    assert predict(run, *flags)[0] == 0
    found = rows(output)
    assert len(found) == 359
    assert found[7]["path"] == "optdigits/test[7]"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--images=a", "--list=b"], "give one of --images, --list"),
        (["--images={new}", "--output=a.txt"], "has to end in .csv or .jsonl"),
        (["--images={new}", "--output=none/a.csv"], "there is no folder none"),
        (["--images={new}", "--output={run}/predictions.csv"], "place of a run's own"),
        (["--images={new}", "--sort_into={run}/layers"], "place of a run's own"),
        (["--images={new}", "--sort_into={new}/sorted"], "lies in the folder of the images"),
        (["--images=nowhere"], "there is no such folder"),
        (["--split=test"], "--split=test has no effect without --dataset"),
        (["--dataset=optdigits", "--split=extra"], "has no split 'extra'"),
    ],
)
def test_mistakes_are_told_in_one_line(run, new, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    status, _, err = predict(run, *(flag.format(new=new, run=run.path) for flag in flags))
    assert status == 2
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("binary", ["predict", "label", "export"])
def test_help_imports_nothing_heavy(binary):
    code = (
        f"import sys; sys.argv = ['x', '--help']\nfrom semisup import {binary}\n"
        f"try: {binary}.main()\nexcept SystemExit as end: assert not end.code\n"
        "assert not {'keras', 'tensorflow', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_an_image_becomes_one_as_the_run_was_trained_on(tmp_path):
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (8, 8), dtype=np.uint8)
    for value in (0, 4095):
        deep = (pixels.astype("uint16") * 16) % 4096
        deep[0, 0] = value
        path = tmp_path / "photos" / "train" / f"{value}" / "a.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(deep).save(path)
    preparation = new_images.Preparation(
        (8, 8, 1), find_layout=lambda: folder_layout.find(tmp_path / "photos")
    )
    half = tmp_path / "half.png"
    Image.fromarray(np.full((8, 8), 2047, "uint16")).save(half)
    # Twelve bits, as the training's images have, though these values have eleven.
    assert preparation.of_file(half).max() == 127
    assert preparation.of_file(path).shape == (8, 8, 1)
    wide = tmp_path / "wide.png"
    Image.fromarray(pixels[:4]).save(wide)
    assert preparation.of_file(wide).shape == (8, 8, 1)
    assert preparation.of_array(np.zeros((5, 5, 3), np.uint8)).shape == (8, 8, 1)


def test_entropy_and_margin_order_images_in_their_own_ways():
    probabilities = np.array([[0.5, 0.5, 0.0], [0.6, 0.2, 0.2], [1.0, 0.0, 0.0]])
    assert least_sure.uncertainty(probabilities, "margin").argmax() == 0
    assert least_sure.uncertainty(probabilities, "entropy").argmax() == 1


def test_one_of_each_group_of_near_duplicates_is_chosen_the_least_sure_first():
    embeddings = np.array([[1.0, 0], [2.0, 0.01], [0, 1], [0, 0.5]])
    chosen = least_sure.choose(np.array([0.1, 0.4, 0.2, 0.3]), embeddings, 4, 0.99)
    assert chosen.tolist() == [1, 3]
    assert len(least_sure.choose(np.arange(4.0), embeddings, 3, 1.1)) == 3


def test_a_list_that_is_no_table_is_refused_in_one_line(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("path,label\n" + "x" * 200_000 + ",cat")
    with pytest.raises(UserError, match="is no table: field larger than"):
        labelling._read(str(path), {"cat": tmp_path})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label,path\ncat\n", "line 2: cat is the label of no image"),
        ("path,label\na.png,cat\na.png,=1+1\n", "line 3: a.png has two labels, cat and =1+1"),
        (
            f"path,label\na.png,cat\n{os.path.abspath('a.png')},=1+1\n",
            f"line 3: {os.path.abspath('a.png')} has two labels, cat and =1+1",
        ),
    ],
)
def test_a_label_without_an_image_and_an_image_with_two_labels_are_refused(tmp_path, text, message):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(message)):
        labelling._read(str(path), {"cat": tmp_path, "=1+1": tmp_path})


def test_a_class_is_read_as_predictions_write_it(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("path,label\na.png,'=1+1\nb.png,'-a\n")
    found = labelling._read(str(path), {"=1+1": tmp_path, "'-a": tmp_path})
    assert list(found.values()) == ["=1+1", "'-a"]


def test_an_image_with_an_escaped_name_is_found_unless_two_may_be_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "line\nbreak"
    folder.mkdir()
    # Byte and character 85 have the same escape.
    names = [f"{folder}/{name}.png" for name in ("\udce4", "-\x1b[1m", "\udc85", "\x85")]
    for name in (*names, "\n.png", "=1\n.png"):
        Path(name).touch()
    write_table("labels.csv", ("path", "label"), [[n, "a"] for n in (*names, "\n.png", "=1\n.png")])
    found = [str(file) for file in labelling._read("labels.csv", {"a": tmp_path})]
    *first, ambiguous, line, formula = found
    assert first == names[:2]
    assert not os.path.exists(ambiguous)
    assert [line, formula] == [f"{tmp_path}/\n.png", f"{tmp_path}/=1\n.png"]


@pytest.mark.parametrize("copy", [False, True])
def test_an_image_in_the_folder_of_its_class_stays_as_it_is(tmp_path, copy, capsys):
    folder = tmp_path / "train" / "cat"
    folder.mkdir(parents=True)
    for name in ("train/cat/in.jpg", "out.jpg"):
        (tmp_path / name).write_text(name)
    path = tmp_path / "labels.csv"
    path.write_text(f"path,label\n{folder}/in.jpg,cat\n{tmp_path}/out.jpg,cat\n")
    labelling.label_images(LabelConfig(list=str(path), into=str(tmp_path / "train"), copy=copy))
    assert sorted(file.name for file in folder.iterdir()) == ["in.jpg", "out.jpg"]
    assert "1 already in the folders of their classes" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["nowhere/a.png", "a" * 400 + ".png"])
def test_a_list_of_images_that_are_not_there_is_refused(tmp_path, name):
    (tmp_path / "train" / "cat").mkdir(parents=True)
    path = tmp_path / "labels.csv"
    path.write_text(f"path,label\n{name},cat\n")
    settings = LabelConfig(list=str(path), into=str(tmp_path / "train"))
    with pytest.raises(UserError, match="none of its 1 labelled images is there"):
        labelling.label_images(settings)


def test_images_are_not_sorted_into_the_folder_that_they_come_from(run, new, tmp_path):
    write_image(tmp_path / "data" / "unlabelled" / "a.png", (0, 0, 255))
    folder = tmp_path / "data" / "sorted"
    for images in (f"--dataset=folder:{tmp_path / 'data'}", f"--images={tmp_path / 'data'}"):
        flags = (images, f"--sort_into={folder}", f"--output={tmp_path}/out.csv")
        status, _, err = predict(run, *flags)
        assert status == 2
        assert "lies in the folder of the images" in err
    assert not folder.exists()


def test_a_command_without_a_folder_to_sort_into_may_be_given_in_a_runs_own(
    run, tmp_path, monkeypatch
):
    os.makedirs(run.file("figures"), exist_ok=True)
    monkeypatch.chdir(run.file("figures"))
    settings = PredictConfig(logdir="none", images="none", output=str(tmp_path / "out.csv"))
    # Only then the run is looked for.
    with pytest.raises(UserError, match="none"):
        prediction.predict_images(settings)


def test_a_folder_is_no_output(tmp_path):
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(UserError, match="is no file"):
        prediction.predict_images(
            PredictConfig(logdir="none", images="none", output=str(tmp_path / "out.csv"))
        )


@pytest.mark.parametrize("name", ["own.csv", "own.jsonl"])
def test_predictions_replace_earlier_ones_and_no_file_of_the_users(name, tmp_path):
    settings = PredictConfig(logdir="none", images="none", output=str(tmp_path / name))
    output = tmp_path / name
    output.write_text("path,label\na.png,cat\n")
    with pytest.raises(UserError, match=f"{name} exists, and this command has not written it"):
        prediction.predict_images(settings)
    assert output.read_text() == "path,label\na.png,cat\n"
    earlier = {"own.csv": "path,class,probability,entropy,class_1\n", "own.jsonl": '{"path": "a"'}
    output.write_text(earlier[name])
    # Only then the run is looked for.
    with pytest.raises(UserError, match="none"):
        prediction.predict_images(settings)
