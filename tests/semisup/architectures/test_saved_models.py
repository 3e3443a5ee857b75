"""Tests of what Keras finds in `.keras` files, and of what is said where it does not."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import clustering
import domain_adaptation
import semisup
from semisup.architectures import saved_models
from semisup.architectures.normalization import ImageStandardization
from semisup.errors import UserError
from semisup.models.associative import AssociativeModel
from semisup.models.optimizers import SteerableAdam
from semisup.models.schedules import StaircaseDecay

ROOT = Path(__file__).parents[3]


def exported(path):
    network = keras.Sequential(
        [keras.Input((4, 4, 1)), ImageStandardization(), keras.layers.Flatten()]
    )
    model = AssociativeModel(network, 3)
    model.build((None, 4, 4, 1))
    model.compile(SteerableAdam(StaircaseDecay(0.1)))
    model.save(path)
    return model


def rewritten(path, change):
    """Changes the text of a file's configuration."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["config.json"] = change(contents["config.json"].decode()).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("imports", ["import keras, semisup", "import semisup, keras"])
def test_keras_loads_our_models_once_semisup_is_imported(imports, tmp_path):
    path = tmp_path / "model.keras"
    model = exported(path)
    # Keras notes the modules of the classes; earlier versions had others.
    rewritten(path, lambda text: text.replace('"semisup.', '"semisup.formerly.'))
    code = (
        f"{imports}, sys, numpy\n"
        "model = keras.saving.load_model(sys.argv[1])\n"
        "assert type(model) is semisup.AssociativeModel\n"
        "assert type(model.optimizer).__name__ == 'SteerableAdam'\n"
        "numpy.save('logits.npy', model.predict(numpy.ones((2, 4, 4, 1)), verbose=0))\n"
    )
    # What is registered does not depend on the backend, of which this one starts soonest.
    subprocess.run(
        [sys.executable, "-c", code, path],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax"},
        check=True,
        timeout=300,
    )
    expected = model.predict(np.ones((2, 4, 4, 1)), verbose=0)
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("package", [semisup, clustering, domain_adaptation])
def test_every_registered_class_is_found_where_its_package_says(package):
    prefix = f"{package.__name__}>"
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    known = keras.saving.get_custom_objects()
    ours = {name.removeprefix(prefix): known[name] for name in known if name.startswith(prefix)}
    assert ours
    for name, found in ours.items():
        assert isinstance(found, type), f"{name} is not in the module that {prefix} says"
        assert name in package._REGISTERED
        assert found.__module__ == f"{package.__name__}.{package._REGISTERED[name]}"


def test_importing_the_packages_imports_no_keras():
    code = "import sys, semisup, clustering, domain_adaptation; assert 'keras' not in sys.modules"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)


def own_model(path):
    class Halve(keras.layers.Layer):
        def call(self, inputs):
            return inputs / 2

    def shifted(inputs):
        return inputs + 1

    layers = [keras.Input((4,)), Halve(), keras.layers.Dense(2, activation=shifted), Halve()]
    keras.Sequential(layers).save(path)
    return Halve, shifted


@pytest.mark.backend
def test_classes_and_functions_that_are_missing_are_named_once(tmp_path):
    path = tmp_path / "own.keras"
    halve, shifted = own_model(path)
    with pytest.raises(UserError) as caught:
        saved_models.load(path)
    assert "nothing is registered as Halve, shifted:" in str(caught.value)
    assert "register_keras_serializable" in str(caught.value)
    assert "\n" not in str(caught.value)
    with keras.saving.custom_object_scope({"Halve": halve, "shifted": shifted}):
        saved_models.load(path)


def test_a_class_that_is_missing_is_named_by_the_name_it_was_registered_with(tmp_path):
    path = tmp_path / "model.keras"
    exported(path)
    rewritten(path, lambda text: text.replace("semisup>Image", "their_layers>Image"))
    with pytest.raises(UserError, match="registered as their_layers>ImageStandardization:"):
        saved_models.load(path)


@pytest.mark.parametrize("content", [b"", b"text"])
def test_a_file_that_is_no_model_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"model\.keras cannot be read as a Keras model"):
        saved_models.load(path)


def test_a_configuration_of_anything_but_a_model_is_refused_in_one_line(tmp_path):
    path = tmp_path / "model.keras"
    exported(path)
    for config in ([], {"class_name": 3}, {"registered_name": [1]}, "text"):
        rewritten(path, lambda text, config=config: json.dumps(config))
        with pytest.raises(UserError) as caught:
            saved_models.load(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("module", ["os", "keras_cv.layers", "antigravity", "tests.x"])
@pytest.mark.parametrize("name", ["function", "system"])
def test_nothing_of_another_package_is_imported(tmp_path, module, name):
    path = tmp_path / "model.keras"
    dense(path)
    part = {"module": module, "class_name": name, "config": "system", "registered_name": None}
    changed_layer(path, activation=part)
    with pytest.raises(UserError, match="nothing is registered as system") as caught:
        saved_models.load(path)
    assert "\n" not in str(caught.value)
    assert "antigravity" not in sys.modules


def dense(path):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)


def changed_layer(path, **values):
    """Changes arguments of the only dense layer of a file."""

    def change(text):
        config = json.loads(text)
        (dense,) = (p for p in saved_models._parts(config) if p.get("class_name") == "Dense")
        dense["config"].update(values)
        return json.dumps(config)

    rewritten(path, change)


@pytest.mark.parametrize("units", [10**9, 10**12, 2**63, -(10**30), [3, 10**15]])
def test_a_layer_that_is_wider_than_its_file_is_refused_before_it_is_built(tmp_path, units):
    path = tmp_path / "model.keras"
    dense(path)
    changed_layer(path, units=units)
    with pytest.raises(UserError, match=r"units=.*(asks for far more weights|64 bits)"):
        saved_models.load(path)


def test_a_lambda_a_pipe_and_a_link_to_nothing_are_refused_in_one_line(tmp_path):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x)]).save(path)
    os.mkfifo(tmp_path / "pipe.keras")
    os.symlink("nothing", tmp_path / "link.keras")
    for name in ("model", "pipe", "link"):
        with pytest.raises(UserError, match=f"{name}.keras cannot be read") as caught:
            saved_models.load(tmp_path / f"{name}.keras")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["[" * 10**6, "9" * 10**5, '{"a": ' * 10**5], ids=len)
def test_a_configuration_nested_or_long_without_end_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "model.keras"
    exported(path)
    rewritten(path, lambda text: content)
    with pytest.raises(UserError, match="cannot be read as a Keras model") as caught:
        saved_models.load(path)
    assert len(str(caught.value)) < 500


def test_a_class_that_no_module_has_is_named():
    part = {"module": None, "class_name": "Scale", "config": {}, "registered_name": "Scale"}
    assert saved_models._missing(part) == "Scale"
    assert saved_models._missing({**part, "registered_name": None}) is None
