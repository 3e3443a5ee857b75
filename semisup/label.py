"""Puts newly labelled images into the folders of their classes: `semisup-label --help`."""

import dataclasses

from semisup.cli import flags
from semisup.cli.options import check, option
from semisup.errors import UserError

SUMMARY = (
    "Moves images into the folders of their classes, as a list says that `semisup-predict\n"
    "--least_sure` has written and in whose column `label` you have filled in classes."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """Settings of a labelling (see the help of each field's flag)."""

    list: str = option(
        "least_sure.csv",
        "Labels",
        "CSV file with the columns path and label; images without a label stay where they are.",
    )
    into: str = option(
        "",
        "Labels",
        "Folder with a folder for each class, such as photos/train (required). For a new class, "
        "make its folder first.",
    )
    copy: bool = option(False, "Labels", "Copy the images instead of moving them.")

    def __post_init__(self):
        check(self)
        if not self.into:
            raise UserError("--into is required: the folder that has a folder for each class")


def main():
    """Run the command."""
    flags.run(_label, LabelConfig, program="semisup-label", summary=SUMMARY)


def _label(config):
    from semisup.use import labelling

    labelling.label_images(config)


if __name__ == "__main__":
    main()
