"""Finds the images of a folder that a sentence describes: `multimodal-search --help`."""

import dataclasses

from semisup.cli import run_options
from semisup.cli.options import option
from semisup.cli.run_options import RunOptions
from semisup.errors import UserError

SUMMARY = (
    "Finds the images that a sentence describes, by a trained run, in any folder:\n"
    'multimodal-search "a dog in the snow" --logdir=runs/photos_sentences --images=photos'
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchConfig(RunOptions):
    """Settings of a search (see the help of each field's flag)."""

    sentence: str = option(
        "", "Search", "What to look for; --sentence= may be left out (required)."
    )
    images: str = option("", "Search", "Folder of images, at any depth (required).")
    count: int = option(16, "Search", "How many images to find.", least=1)
    output: str = option(
        "found.csv",
        "Search",
        "File to write, CSV: path and cosine, the best first; and beside it a contact sheet with "
        "the same name that ends in .png.",
    )
    eval_batch_size: int = option(500, "Speed", "Images in a batch.", least=1)

    def __post_init__(self):
        super().__post_init__()
        for name, what in (("sentence", "what to look for"), ("images", "a folder of images")):
            if not getattr(self, name).strip():
                raise UserError(f"--{name} is required: {what}")
        if not self.output.endswith(".csv"):
            raise UserError(f"--output={self.output}: its name has to end in .csv")

    def check_paths(self):
        """Check that what is named exists, without opening any: see `RunOptions`."""
        super().check_paths()
        run_options.check_parent(self.output)
        run_options.check_images(self.images)


def main():
    """Run the command."""
    run_options.run_command(
        _search, SearchConfig, program="multimodal-search", summary=SUMMARY, positional="sentence"
    )


def _search(config):
    from multimodal import searching

    searching.search(config)


if __name__ == "__main__":
    main()
