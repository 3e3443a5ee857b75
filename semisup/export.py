"""Exports the model of a run for programs without this package: `semisup-export --help`."""

import dataclasses

from semisup.cli import flags
from semisup.cli.options import check, option
from semisup.cli.settings import relocated
from semisup.errors import UserError

SUMMARY = (
    "Exports the model of a run of any task: stock Keras layers alone, from pixels 0 to 255 to\n"
    "probabilities, which are calibrated if the run is. A JSON file beside it has the classes."
)
FORMATS = ("keras", "saved_model", "litert", "onnx")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Settings of an export (see the help of each field's flag)."""

    logdir: str = option("", "Run", "Folder of the run (required).")
    step: int = option(-1, "Run", "Step of the checkpoint; -1: the newest.", least=-1)
    data_dir: str = option(
        "",
        "Run",
        "Folder of the data, where it is not that of the training any more. The data is read only "
        "to calibrate the probabilities of a run with --validation_samples.",
    )
    calibrated_by: str = option(
        "",
        "Run",
        "Folder of an evaluated run with the same settings and --validation_samples, whose "
        "temperature is taken.",
    )
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
        check(self)
        for name, what in (("logdir", "the folder of a run"), ("output", "what to write")):
            if not getattr(self, name):
                raise UserError(f"--{name} is required: {what}")

    def relocated(self, config):
        """Return the configuration of a run with the data where it is now."""
        return relocated(config, self.data_dir)


def main():
    """Run the command."""
    flags.run(_export, ExportConfig, program="semisup-export", summary=SUMMARY)


def _export(config):
    from semisup.cli import terminal

    terminal.import_quietly()
    from semisup.use import export

    export.export_run(config)


if __name__ == "__main__":
    main()
