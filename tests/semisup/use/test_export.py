"""Exported models, loaded where this package does not exist."""

import csv
import importlib.util
import json
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import running

pytestmark = [
    running.needs_commands,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="files are TensorFlow's"),
]

# Nothing of this project can be imported once this has run.
BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("semisup", "domain_adaptation", "clustering"):
            raise ImportError(name + " is not here")
sys.meta_path.insert(0, Blocker())
"""
SCRIPTS = {
    "keras": """
import keras
model = keras.saving.load_model(path)
found = model.predict(images, verbose=0)
""",
    "saved_model": """
import tensorflow
model = tensorflow.saved_model.load(path)
found = model.serve(images).numpy()
""",
    "litert": """
import tensorflow
runner = tensorflow.lite.Interpreter(path).get_signature_runner()
(name,) = runner.get_input_details()
found = next(iter(runner(**{name: images}).values()))
""",
    "onnx": """
import onnxruntime
session = onnxruntime.InferenceSession(path)
found = session.run(None, {session.get_inputs()[0].name: images})[0]
""",
}
ENDINGS = {"keras": ".keras", "saved_model": "", "litert": ".tflite", "onnx": ".onnx"}


def computed_elsewhere(path, format, images, folder):
    np.save(folder / "images.npy", images)
    code = (
        f"{BLOCKER}import numpy\npath = {str(path)!r}\n"
        f"images = numpy.load('images.npy')\n{SCRIPTS[format]}\nnumpy.save('found.npy', found)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # A file of Keras' own layers does not depend on the backend, of which this one starts sooner.
    environment["KERAS_BACKEND"] = "jax"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return np.load(folder / "found.npy")


def check(run, format, folder):
    path = folder / f"colours{ENDINGS[format]}"
    flags = (f"--logdir={run.path}", f"--format={format}", f"--output={path}")
    status, _, err = running.call("export", *flags)
    assert status == 0, err
    described = json.loads((folder / f"{path.name}.json").read_text())
    images = np.stack(
        [np.full((8, 8, 3), colour, "uint8") for colour in ([9, 200, 30], [90, 80, 0])]
    )
    inputs = images if format == "keras" else images.astype("float32")
    found = computed_elsewhere(path, format, inputs, folder)

    from PIL import Image

    (folder / "new").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / "new" / f"{number}.png")
    output = folder / "out.csv"
    flags = (f"--logdir={run.path}", f"--images={folder / 'new'}", f"--output={output}")
    assert running.call("predict", *flags)[0] == 0
    with open(output, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [described["classes"][best] for best in found.argmax(axis=1)] == [
        row["class"] for row in rows
    ]
    expected = [float(row["probability"]) for row in rows]
    np.testing.assert_allclose(found.max(axis=1), expected, atol=1e-5)
    assert described["temperature"] != 1
    assert (described["height"], described["width"], described["channels"]) == (8, 8, 3)
    status, _, err = running.call("export", f"--logdir={run.path}", f"--output={path}")
    assert status == 2
    assert format != "keras" or "nothing is overwritten" in err
    status, _, err = running.call("export", f"--logdir={run.path}", "--output=.")
    assert status == 2
    assert "--output=. names nothing" in err


def test_a_keras_file_is_loaded_without_this_package(run, tmp_path):
    check(run, "keras", tmp_path)


def test_the_program_of_the_documentation_classifies_images(
    run, new, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert running.call("export", f"--logdir={run.path}", "--output=photos.keras")[0] == 0
    page = (running.ROOT / "docs" / "using.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    monkeypatch.setattr(sys, "argv", ["classify.py", "new/a.png", "new/deep/b.png"])
    exec(program, {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["new/a.png", "red"],
        ["new/deep/b.png", "green"],
    ]


@pytest.mark.slow
@pytest.mark.parametrize("format", ["saved_model", "litert", "onnx"])
def test_other_formats_are_loaded_without_this_package(run, tmp_path, format):
    if format == "onnx" and importlib.util.find_spec("tf2onnx") is None:
        pytest.skip("the extra onnx is not installed")
    check(run, format, tmp_path)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--output is required"),
        (["--output=a.h5"], "has to end in .keras"),
        (["--output=a.keras", "--format=saved_model"], "the name is that of a folder"),
        (["--output=none/a.keras"], "there is no folder none"),
        (["--output={run}/network.keras"], "is the place of a run's own"),
        (["--output={run}/folds", "--format=saved_model"], "is the place of a run's own"),
        (["--output={run}/results", "--format=saved_model"], "results.json"),
    ],
)
def test_mistakes_are_told_in_one_line(run, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    flags = [flag.format(run=run.path) for flag in flags]
    status, _, err = running.call("export", f"--logdir={run.path}", *flags)
    assert status == 2
    assert message in err
    assert not os.listdir(tmp_path)


def test_what_is_needed_for_onnx_is_named(run, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    missing = ("onnx", "tf2onnx")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in missing else find(name)
    )
    flags = ("--format=onnx", f"--output={tmp_path / 'a.onnx'}")
    status, _, err = running.call("export", f"--logdir={run.path}", *flags)
    assert status == 2
    assert "needs onnx and tf2onnx: pip install" in err
