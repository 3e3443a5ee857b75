"""Exports the model of a run for programs without this package: `semisup-export --help`."""

import dataclasses

from semisup.cli import run_options
from semisup.cli.options import option, redefault
from semisup.cli.run_options import RunOptions, calibrated_by
from semisup.errors import UserError

SUMMARY = (
    "Exports the model of a run of any task: stock Keras layers alone, from pixels 0 to 255 to\n"
    "probabilities, which are calibrated if the run is. A JSON file beside it has the classes."
)
FORMATS = ("keras", "saved_model", "litert", "onnx")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig(RunOptions):
    """Settings of an export (see the help of each field's flag)."""

    data_dir: str = redefault(
        RunOptions,
        "data_dir",
        "",
        help="Folder of the data, where it is not that of the training any more. The data is read "
        "only to calibrate the probabilities of a run with --validation_samples.",
    )
    calibrated_by: str = calibrated_by()
    format: str = option(
        "keras",
        "Export",
        "A .keras file, a folder for TensorFlow, a .tflite file for LiteRT, or an .onnx file.",
        one_of=FORMATS,
    )
    output: str = option(
        "", "Export", "File or folder to write (required); the JSON file adds .json to its name."
    )

    def __post_init__(self):
        super().__post_init__()
        if not self.output:
            raise UserError("--output is required: what to write")

    def check_paths(self):
        """Check that what is named exists, without opening any: see `RunOptions`."""
        super().check_paths()
        run_options.check_parent(self.output)


def main():
    """Run the command."""
    run_options.run_command(_export, ExportConfig, program="semisup-export", summary=SUMMARY)


def _export(config):
    from semisup.use import export

    export.export_run(config)


if __name__ == "__main__":
    main()
