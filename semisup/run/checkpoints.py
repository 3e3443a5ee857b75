"""Checkpoints: every variable of model and optimizer, written so that a kill loses one at most.

A checkpoint is a NumPy archive `step_NNNNNNNN.npz` with an entry for each variable: the weights,
the step, the states of the seed generators, and the optimizer's; besides, what else the training
has to know when it is resumed. Dtypes that NumPy lacks, such as
bfloat16, are stored as bits, and named in an entry of their own. A file with the final name is
whole: see `replacing`. Its checksums reveal later damage.
"""

import logging
import os
import re

import keras
import ml_dtypes
import numpy as np

from semisup.errors import TrainingError, UserError
from semisup.files import replacing
from semisup.files.archives import read_archive
from semisup.files.names import printable

_logger = logging.getLogger(__name__)

_NAME = re.compile(r"step_(\d{8,})\.npz")
# No variable has this name: their names begin with that of their owner.
_DTYPES = "dtypes"
_FURTHER = "further/"
# In earlier versions, optimizers kept the averages of the weights.
_EARLIER_AVERAGE = re.compile(r"optimizer/.*_average(#\d+)?")


class CheckpointDamaged(Exception):
    """A checkpoint that cannot be read, or does not fit the model."""


def named_variables(model):
    """Name the variables of a model and its optimizer, the same way in every process.

    Keras numbers layers and seed generators by a counter of the process (`dropout_3`). The numbers
    are dropped, and variables that then share a name are numbered in the model's own order. The
    `transient_variables` of model and optimizer are left out.

    Args:
        model: a compiled model; its optimizer's variables are created if they don't exist yet.

    Returns:
        Dictionary from names to `keras.Variable`s.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    named = {}
    transient = {
        id(variable)
        for owner in (model, model.optimizer)
        for variable in getattr(owner, "transient_variables", ())
    }
    for owner, variables in (("model", model.variables), ("optimizer", model.optimizer.variables)):
        for variable in variables:
            if id(variable) in transient:
                continue
            name = f"{owner}/" + re.sub(r"_\d+(?=[_/]|$)", "", variable.path)
            number = 1
            while (unique := name if number == 1 else f"{name}#{number}") in named:
                number += 1
            named[unique] = variable
    return named


def path_of(folder, step):
    """Return the path of the checkpoint of a step."""
    return os.path.join(folder, f"step_{step:08d}.npz")


def save(model, folder, step, keep, further=None):
    """Write a checkpoint and remove the oldest ones.

    Args:
        model: a compiled model.
        folder: folder of the checkpoints, created if need be.
        step: training step.
        keep: number of newest checkpoints to keep, at least 1; the very first is kept too, to
            show what training began with.
        further: arrays by their names that belong to neither model nor optimizer.

    Returns:
        Path of the checkpoint.

    Raises:
        TrainingError: if a variable is not finite; nothing is written then.
    """
    arrays = {
        name: keras.ops.convert_to_numpy(variable)
        for name, variable in named_variables(model).items()
    }
    arrays.update({_FURTHER + name: array for name, array in (further or {}).items()})
    if name := _not_finite(arrays):
        raise TrainingError(f"at step {step}, {name} is not finite; no checkpoint is written")
    os.makedirs(folder, exist_ok=True)
    path = path_of(folder, step)
    # Left by trainings that were killed: nobody else writes here.
    replacing.remove_temporary(folder)
    if os.path.isdir(path):
        _set_aside(folder, step)
    with replacing.replacing(path) as temporary:
        np.savez(temporary, **_as_bits(arrays))
    for later in (other for other in list_steps(folder) if other > step):
        # The training restarted from an earlier step because this one could not be restored.
        _set_aside(folder, later)
    for old in list_steps(folder)[1:-keep]:
        old_path = path_of(folder, old)
        if os.path.isdir(old_path):
            _set_aside(folder, old)
        else:
            os.remove(old_path)
    return path


def _not_finite(arrays):
    """Return the name of an array with a NaN or an infinity, or None if there is none."""
    for name, array in arrays.items():
        if keras.backend.is_float_dtype(array.dtype.name) and not np.all(np.isfinite(array)):
            return name
    return None


def _as_bits(arrays):
    """Return the entries of an archive; `_from_bits` is the inverse."""
    # NumPy would write the bits, but lose the dtype.
    foreign = {name: array for name, array in arrays.items() if array.dtype.isbuiltin != 1}
    bits = {name: array.view(f"u{array.itemsize}") for name, array in foreign.items()}
    dtypes = [[name, array.dtype.name] for name, array in foreign.items()]
    return {**arrays, **bits, **({_DTYPES: np.array(dtypes)} if dtypes else {})}


def _from_bits(entries):
    """Return the arrays of an archive by their names."""
    arrays = dict(entries)
    for name, dtype in arrays.pop(_DTYPES, ()):
        arrays[str(name)] = arrays[str(name)].view(getattr(ml_dtypes, str(dtype)))
    return arrays


def further_entries(path):
    """Return what a checkpoint holds that belongs to neither model nor optimizer.

    Args:
        path: a checkpoint that has been restored.

    Returns:
        Arrays by the names under which `save` got them.
    """
    arrays = read_archive(path).items()
    return {
        name.removeprefix(_FURTHER): array for name, array in arrays if name.startswith(_FURTHER)
    }


def _set_aside(folder, step):
    """Rename what stands where a checkpoint should, so that nothing is lost."""
    path = path_of(folder, step)
    aside, number = f"{path}.damaged", 1
    while os.path.isdir(aside):
        number += 1
        aside = f"{path}.damaged{number}"
    os.replace(path, aside)


def list_steps(folder):
    """Return the steps of the checkpoints in a folder, ascending; empty if there are none."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))


def restore(model, folder, step, to_evaluate=False):
    """Set the variables of a model and its optimizer to those of a checkpoint.

    Args:
        model: a compiled and built model.
        folder: folder of the checkpoints.
        step: step of the checkpoint.
        to_evaluate: whether the model will not be trained further; its weights are then the
            averages that an earlier version stored with its optimizer, if it did, and integers may
            have the width of another backend.

    Raises:
        CheckpointDamaged: if the file cannot be read or is that of another step, or an entry is
            missing, left over, not finite or of another shape; the model is then as it was.
        UserError: if an entry is of another dtype, or the checkpoint is of an earlier version
            whose trainings cannot be continued.
    """
    path = path_of(folder, step)
    try:
        arrays = _from_bits(read_archive(path))
    except Exception as error:
        # A flipped bit in an archive's headers can raise nearly anything.
        raise CheckpointDamaged(f"{path} cannot be read ({error})") from None
    arrays = {name: array for name, array in arrays.items() if not name.startswith(_FURTHER)}
    variables = named_variables(model)
    if any(map(_EARLIER_AVERAGE.fullmatch, arrays.keys() - variables.keys())):
        if not to_evaluate:
            raise UserError(
                f"{path} holds an average of the weights as earlier versions kept it: it can be "
                "evaluated, but not trained further; start again with --overwrite"
            )
        arrays = _with_earlier_average(arrays, model, variables)
    missing = sorted(variables.keys() - arrays.keys())
    extra = sorted(arrays.keys() - variables.keys())
    if missing or extra:
        raise CheckpointDamaged(
            f"{path} does not fit the model: it lacks {missing[:3]}, and {extra[:3]} are left over"
        )
    for name, variable in variables.items():
        if arrays[name].shape != tuple(variable.shape):
            raise CheckpointDamaged(
                f"{path} does not fit the model: {name} has shape {arrays[name].shape}, "
                f"not {tuple(variable.shape)}"
            )
        # Ask the value, not Keras: by default, JAX has no integers of 64 bits.
        dtype = keras.backend.standardize_dtype(variable.value.dtype)
        if to_evaluate and _are_same_integers(arrays[name], dtype):
            # The backends count steps and seeds with integers of different widths.
            arrays[name] = arrays[name].astype(dtype)
        if arrays[name].dtype.name != dtype:
            advice = "" if to_evaluate else "; start again with --overwrite"
            raise UserError(
                f"{path} does not fit the model: {name} has dtype {arrays[name].dtype.name}, "
                f"not {dtype}{advice}"
            )
    if name := _not_finite(arrays):
        raise CheckpointDamaged(f"{path} is damaged: {name} is not finite")
    for name, variable in variables.items():
        if variable is getattr(model, "step", None) and arrays[name] != step:
            raise CheckpointDamaged(f"{path} holds step {arrays[name]}, not {step}")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _are_same_integers(array, dtype):
    """Return whether an array holds integers that a dtype holds, too."""
    if "int" not in array.dtype.name or "int" not in dtype:
        return False
    return np.array_equal(array.astype(dtype).astype(array.dtype), array)


def _with_earlier_average(arrays, model, variables):
    """Return entries whose weights are the averages that the optimizer kept, as evaluated then."""
    names = {id(variable): name for name, variable in variables.items()}
    averages = [
        name for name in arrays if name not in variables and _EARLIER_AVERAGE.fullmatch(name)
    ]
    if len(averages) != len(model.trainable_variables):
        return arrays
    kept = {name: array for name, array in arrays.items() if name not in averages}
    # The optimizer made them in the order of the weights.
    for variable, average in zip(model.trainable_variables, averages, strict=True):
        kept[names[id(variable)]] = arrays[average]
    if model.average is not None:
        for variable in model.average.variables:
            kept[names[id(variable)]] = np.zeros(variable.shape, variable.dtype)
    return kept


def restore_latest(model, folder, to_evaluate=False, advice="start again with --overwrite"):
    """Restore the newest checkpoint that is whole, and warn of those that aren't.

    Args:
        model: a compiled and built model.
        folder: folder of the checkpoints.
        to_evaluate: see `restore`.
        advice: what a user may do if none can be restored.

    Returns:
        Step of the checkpoint, or 0 if there is none.

    Raises:
        UserError: if there are checkpoints, and none can be restored.
    """
    damage = None
    for step in reversed(list_steps(folder)):
        if damage is not None:
            _logger.warning("%s; falling back to the one before", printable(str(damage)))
        try:
            restore(model, folder, step, to_evaluate)
        except CheckpointDamaged as error:
            damage = error
        else:
            return step
    if damage is not None:
        raise UserError(f"no checkpoint can be restored: {damage}; {advice}")
    return 0
