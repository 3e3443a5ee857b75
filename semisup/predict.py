"""Says what new images show, by a trained run of any task: `semisup-predict --help`."""

import dataclasses

from semisup.cli import dataset_names, run_options
from semisup.cli.options import check_unused, option
from semisup.cli.run_options import RunOptions, calibrated_by
from semisup.errors import UserError

SUMMARY = (
    "Predicts the class of each of many images by a trained run of any task; a clustering gives\n"
    "their clusters. Sorts them into folders, and finds those that should be labelled next.\n"
    "Without --images, --list and --dataset, it predicts the run's own unlabelled images."
)
MEASURES = ("entropy", "margin")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictConfig(RunOptions):
    """Settings of a prediction (see the help of each field's flag)."""

    calibrated_by: str = calibrated_by()
    images: str = option("", "Images", "Folder of images, at any depth, or one image.")
    list: str = option("", "Images", "File with the path of an image a line; -: standard input.")
    dataset: str = option("", "Images", "Data set, a TFDS name or folder:PATH.")
    split: str = option(
        "", "Images", "Split of --dataset; default: test, or the only one that it has."
    )
    output: str = option(
        "predictions.csv",
        "Predictions",
        "File to write, by its ending CSV (.csv) or JSON lines (.jsonl): path, class, probability, "
        "entropy (in nats), and the five most probable classes.",
    )
    sort_into: str = option(
        "",
        "Predictions",
        "Folder, empty or new, that gets a link to each image in a folder for each class.",
    )
    copy: bool = option(False, "Predictions", "Copies instead of links.")
    least_sure: int = option(
        0,
        "Labels to get next",
        "Number of images that are to be labelled next, those of which the run is least sure: "
        "least_sure.csv and the contact sheet least_sure.png beside --output; 0: none. "
        "semisup-label then moves them into the folders of their classes.",
        least=0,
    )
    uncertainty: str = option(
        "entropy",
        "Labels to get next",
        "What unsure means: a great entropy of all classes, or a small margin between the two most "
        "probable ones.",
        one_of=MEASURES,
    )
    duplicates: float = option(
        0.98,
        "Labels to get next",
        "Cosine of two embeddings from which on images count as near duplicates, of which one is "
        "enough to label; above 1: none do.",
        above=0,
    )
    eval_batch_size: int = option(100, "Speed", "Images in a batch.", least=1)

    def __post_init__(self):
        super().__post_init__()
        given = [name for name in ("images", "list", "dataset") if getattr(self, name)]
        if len(given) > 1:
            raise UserError(f"give one of {', '.join(f'--{name}' for name in given)}")
        for name, owner in (("split", "dataset"), ("copy", "sort_into")):
            if not getattr(self, owner):
                check_unused(self, [name], f"without --{owner}")

    def check_paths(self):
        """Check that what is named exists, without opening any: see `RunOptions`."""
        super().check_paths()
        run_options.check_parent(self.output)
        if self.images:
            run_options.check_images(self.images)
        dataset_names.check_dataset("dataset", self.dataset)


def main():
    """Run the command."""
    run_options.run_command(_predict, PredictConfig, program="semisup-predict", summary=SUMMARY)


def _predict(config):
    from semisup.use import prediction

    prediction.predict_images(config)


if __name__ == "__main__":
    main()
