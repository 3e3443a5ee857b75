"""Says of the pixels of new images what they show: `segmentation-predict --help`."""

import dataclasses

from semisup.cli import run_options
from semisup.cli.options import option
from semisup.cli.run_options import RunOptions
from semisup.errors import UserError

SUMMARY = (
    "Writes label maps of the images of any folder, by a trained run, and overlays to look at:\n"
    "segmentation-predict --logdir=runs/streets_segmentation --images=holiday --output=maps"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictConfig(RunOptions):
    """Settings of a prediction (see the help of each field's flag)."""

    images: str = option("", "Images", "Folder of images, at any depth, or one image (required).")
    output: str = option(
        "maps",
        "Predictions",
        "Folder, empty or new, for the label maps: PNG files with a palette and the numbers of the "
        "classes, of the size and at the place of their images.",
    )
    overlays: bool = option(
        True, "Predictions", "Write each image under its map, too, into overlays in --output."
    )
    eval_batch_size: int = option(8, "Speed", "Images in a batch.", least=1)

    def __post_init__(self):
        super().__post_init__()
        if not self.images:
            raise UserError("--images is required: a folder of images")

    def check_paths(self):
        """Check that what is named exists, without opening any: see `RunOptions`."""
        super().check_paths()
        run_options.check_images(self.images)


def main():
    """Run the command."""
    run_options.run_command(
        _predict, PredictConfig, program="segmentation-predict", summary=SUMMARY
    )


def _predict(config):
    from segmentation import prediction

    prediction.predict_images(config)


if __name__ == "__main__":
    main()
