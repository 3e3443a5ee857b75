"""Tests of checkpoints, without a training."""

import os
import shutil

import keras
import ml_dtypes
import numpy as np
import pytest
import running

from semisup.errors import TrainingError, UserError
from semisup.run import checkpoints

pytestmark = [pytest.mark.backend, running.needs_commands]

DTYPES = [
    "float16",
    "bfloat16",
    "float32",
    "float8_e4m3fn",
    "float8_e5m2",
    "int8",
    "int16",
    "int32",
    "uint8",
    "uint16",
    "uint32",
    "bool",
]
if keras.backend.backend() != "jax":
    # JAX has none by default, and warns.
    DTYPES.append("int64")


class Holder(keras.layers.Layer):
    """Holds a variable of each dtype, which is not trained."""

    def __init__(self, dtypes, values):
        super().__init__()

        def initial(shape, dtype):
            numbers = np.resize(np.array(values, "float64"), shape)
            return keras.ops.convert_to_tensor(numbers.astype(np_dtype(dtype)))

        shapes = {f"held{number}": (2, 3) for number in range(len(dtypes))} | {"single": ()}
        self.held = [
            self.add_weight(shape, dtype=dtype, initializer=initial, trainable=False, name=name)
            for (name, shape), dtype in zip(shapes.items(), [*dtypes, dtypes[0]], strict=True)
        ]

    def call(self, inputs):
        return inputs


def np_dtype(name):
    return getattr(ml_dtypes, name, None) or np.dtype(name)


def made(dtypes=DTYPES, values=(0,)):
    model = keras.Sequential([keras.Input((3,)), Holder(dtypes, values), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    return model


def bits(model):
    return {
        name: (array.dtype, array.tobytes())
        for name, array in (
            (name, keras.ops.convert_to_numpy(variable))
            for name, variable in checkpoints.named_variables(model).items()
        )
    }


def filled():
    return made(values=(0.3, 0, 1, 1.2, 2.7, 100))


def test_every_dtype_comes_back_bit_for_bit(tmp_path):
    model = filled()
    checkpoints.save(model, tmp_path, 3, keep=1)
    other = made()
    assert bits(other) != bits(model)
    assert checkpoints.restore_latest(other, tmp_path) == 3
    assert bits(other) == bits(model)


def test_numbers_that_are_not_finite_are_found_in_every_float(tmp_path):
    for dtype in ("float16", "bfloat16", "float32"):
        model = made([dtype], [np.nan])
        with pytest.raises(TrainingError, match="held0 is not finite"):
            checkpoints.save(model, tmp_path, 1, keep=1)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [("bfloat16", "float32"), ("float32", "bfloat16"), ("int32", "float32"), ("bool", "int8")],
)
def test_another_dtype_is_refused_and_never_cast(stored, expected, tmp_path):
    for step in (1, 2):
        checkpoints.save(made([stored], [1]), tmp_path, step, keep=2)
    other = made([expected])
    before = bits(other)
    message = f"held0 has dtype {stored}, not {expected}"
    for to_evaluate in (False, True):
        with pytest.raises(UserError, match=message) as caught:
            checkpoints.restore_latest(other, tmp_path, to_evaluate)
        assert "\n" not in str(caught.value)
        # Whoever evaluates a run must not be told to delete it.
        assert ("--overwrite" in str(caught.value)) is not to_evaluate
    assert bits(other) == before


def test_a_checkpoint_of_earlier_versions_is_read(tmp_path):
    model = made(["float32", "int32", "bool"])
    np.savez(
        tmp_path / "step_00000002.npz",
        **{
            name: np.ones(variable.shape, keras.ops.convert_to_numpy(variable).dtype)
            for name, variable in checkpoints.named_variables(model).items()
        },
    )
    assert checkpoints.restore_latest(model, tmp_path) == 2
    assert all(np.all(keras.ops.convert_to_numpy(v) == 1) for v in model.layers[0].held)


@pytest.mark.parametrize("kind", ["folder", "empty", "truncated", "flipped"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before_and_is_put_aside(kind, tmp_path, caplog):
    model = filled()
    expected = bits(model)
    checkpoints.save(model, tmp_path, 3, keep=2)
    path = tmp_path / "step_00000005.npz"
    checkpoints.save(made(), tmp_path, 5, keep=2)
    content = bytearray(path.read_bytes())
    path.unlink()
    if kind == "folder":
        path.mkdir()
        (path / "kept").write_text("something")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    else:
        # Within an array: dates in the archive's own headers mean nothing.
        content[content.index(b"NUMPY", len(content) // 3)] ^= 0xFF
        path.write_bytes(content)
    other = made()
    assert checkpoints.restore_latest(other, tmp_path) == 3
    (warning,) = caplog.messages
    assert "step_00000005.npz cannot be read" in warning
    assert "\n" not in warning
    assert bits(other) == expected
    checkpoints.save(other, tmp_path, 5 if kind == "folder" else 4, keep=1)
    if kind == "folder":
        assert (tmp_path / "step_00000005.npz.damaged" / "kept").read_text() == "something"
    assert checkpoints.restore_latest(made(), tmp_path) == (5 if kind == "folder" else 4)


def test_a_folder_in_place_of_an_old_checkpoint_does_not_stop_the_next(tmp_path):
    model = made()
    for step in (1, 2):
        checkpoints.save(model, tmp_path, step, keep=3)
    (tmp_path / "step_00000002.npz").unlink()
    (tmp_path / "step_00000002.npz").mkdir()
    for step in (3, 4):
        checkpoints.save(model, tmp_path, step, keep=1)
    assert checkpoints.list_steps(tmp_path) == [1, 4]


def test_a_pipe_or_a_compressed_archive_gives_way_to_the_checkpoint_before(tmp_path, caplog):
    model = filled()
    checkpoints.save(model, tmp_path, 3, keep=2)
    os.mkfifo(tmp_path / "step_00000005.npz")
    np.savez_compressed(tmp_path / "step_00000006.npz", bomb=np.zeros(10**6))
    assert checkpoints.restore_latest(made(), tmp_path) == 3
    assert [message.count("falling back") for message in caplog.messages] == [1, 1]


def test_nothing_falls_back_from_the_only_checkpoint(tmp_path, caplog):
    (tmp_path / "step_00000003.npz").write_text("nothing")
    with pytest.raises(UserError, match=r"step_00000003.npz cannot be read .*; do that$"):
        checkpoints.restore_latest(made(["float32"]), tmp_path, advice="do that")
    assert not caplog.messages


def test_a_checkpoint_of_another_step_or_with_a_number_that_is_not_finite_is_damaged(tmp_path):
    model = made(["int32", "float32"])
    model.step = model.layers[0].held[-1]
    model.step.assign(3)
    checkpoints.save(model, tmp_path, 3, keep=9)
    shutil.copy(tmp_path / "step_00000003.npz", tmp_path / "step_00000002.npz")
    with pytest.raises(checkpoints.CheckpointDamaged, match="holds step 3, not 2"):
        checkpoints.restore(model, tmp_path, 2)
    os.rename(tmp_path / "step_00000003.npz", tmp_path / "step_00000007.npz")
    with pytest.raises(checkpoints.CheckpointDamaged, match="holds step 3, not 7"):
        checkpoints.restore(model, tmp_path, 7)
    arrays = dict(np.load(tmp_path / "step_00000007.npz"))
    (held,) = (name for name in arrays if name.endswith("held1"))
    np.savez(tmp_path / "step_00000003.npz", **{**arrays, held: np.full((2, 3), np.inf, "float32")})
    with pytest.raises(checkpoints.CheckpointDamaged, match="held1 is not finite"):
        checkpoints.restore(model, tmp_path, 3)
