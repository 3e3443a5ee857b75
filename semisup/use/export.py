"""Exported models: files and folders that programs without this package load."""

import importlib.util
import logging
import shutil
import tempfile
from pathlib import Path

import keras

from semisup.errors import ArgumentError, UserError, first_line
from semisup.files import writing
from semisup.models import exporting
from semisup.models.stock_layers import hub_layers, stock_model
from semisup.run import belongings
from semisup.use.trained import TrainedRun

_ENDINGS = {"keras": ".keras", "saved_model": "", "litert": ".tflite", "onnx": ".onnx"}

_logger = logging.getLogger(__name__)


def export_run(settings):
    """Export the model of a run, and write what else one has to know of it into a JSON file.

    Args:
        settings: an `ExportConfig`.

    Raises:
        UserError: if the format does not fit the output, the backend or the model, or there is
            such a file already.
    """
    output = Path(settings.output).expanduser()
    if not output.name:
        raise UserError(f"--output={settings.output} names nothing: give a name in that folder")
    described = output.with_name(f"{output.name}.json")
    _check(settings, output, described)
    trained = TrainedRun(settings.logdir, settings.step, relocated=settings.relocated)
    calibration = trained.calibration(settings.calibrated_by)
    try:
        model = stock_model(trained.model, calibration.temperature)
    except ArgumentError as error:
        raise UserError(f"{settings.logdir} cannot be exported: {error.reason}") from None
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
        path = Path(folder) / output.name
        _write(model, path, settings.format)
        shutil.move(path, output)
    height, width, channels = trained.preparation.shape
    writing.write_json(
        described,
        {
            "classes": list(trained.class_names),
            "height": height,
            "width": width,
            "channels": channels,
            "pixels": "0 to 255",
            "fit": trained.preparation.fit,
            "temperature": calibration.temperature,
            "calibrated_on": calibration.fitted_on or None,
            "step": trained.step,
        },
    )
    _logger.info(calibration.describe())
    _logger.info("wrote %s, and its classes into %s", output, described)
    if settings.format == "keras" and (needed := hub_layers(model)):
        _logger.info("import keras_hub before it is loaded, for %s", ", ".join(needed))


def _check(settings, output, described):
    ending = _ENDINGS[settings.format]
    if output.suffix != ending and (ending or output.suffix in _ENDINGS.values()):
        wanted = f"has to end in {ending}" if ending else "is that of a folder"
        raise UserError(f"--output={settings.output}: the name {wanted}")
    for path in (output, described):
        belongings.check_is_no_part("output", path)
        if path.exists():
            raise UserError(f"{path} exists, and nothing is overwritten: give another --output")
    backend = keras.backend.backend()
    if settings.format in ("litert", "onnx") and backend != "tensorflow":
        raise UserError(f"--format={settings.format} needs KERAS_BACKEND=tensorflow, not {backend}")
    if settings.format == "onnx":
        missing = [name for name in ("onnx", "tf2onnx") if importlib.util.find_spec(name) is None]
        if missing:
            raise UserError(
                f"--format=onnx needs {' and '.join(missing)}: pip install '.[onnx]' brings them"
            )


def _write(model, path, format):
    if format == "keras":
        model.save(path)
        return
    name = {"saved_model": "tf_saved_model"}.get(format, format)
    try:
        exporting.export_functional(model, str(path), name, verbose=False)
    except ImportError as error:
        raise UserError(f"--format={format}: {first_line(error)}") from None
