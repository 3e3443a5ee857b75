"""Which images to label next: those of which a run is least sure, none like another among them."""

import logging

import numpy as np

from semisup.errors import UserError
from semisup.files import writing
from semisup.report.uncertainty import predictive_entropy
from semisup.run.features import unit_lengths

HEADER = ("path", "label", "predicted", "probability", "uncertainty")

_logger = logging.getLogger(__name__)


def uncertainty(probabilities, measure):
    """Compute how unsure predictions are.

    Args:
        probabilities: (n, classes) float.
        measure: "entropy" for that of the classes in nats; "margin" for 1 less the difference of
            the two greatest probabilities.

    Returns:
        (n,) float, the greater the less sure.
    """
    if measure == "entropy":
        return predictive_entropy(probabilities)
    second, first = np.partition(probabilities, -2, axis=1)[:, -2:].T
    return 1 - (first - second)


def choose(uncertainties, embeddings, count, duplicates=1.0):
    """Choose the least sure examples, one of each group of near duplicates.

    The least sure comes first; whatever is too similar to one that is chosen is passed over.

    Args:
        uncertainties: (n,) float.
        embeddings: (n, d) float.
        count: how many to choose at most.
        duplicates: cosine of two embeddings from which on they are near duplicates.

    Returns:
        (k,) int, k at most `count`: the chosen ones, the least sure first.
    """
    units = unit_lengths(embeddings)
    chosen = []
    for place in np.argsort(-uncertainties, kind="stable"):
        if len(chosen) == count:
            break
        if not chosen or (units[chosen] @ units[place]).max() < duplicates:
            chosen.append(place)
    return np.array(chosen, int)


class Candidates:
    """The images that may be chosen to be labelled, gathered block by block.

    Args:
        count: how many to choose.
        measure: see `uncertainty`.
        duplicates: see `choose`.
        output: the file of predictions, beside which `least_sure.csv` and `least_sure.png` will be.

    Raises:
        UserError: if one of these files exists: somebody may have filled in labels.
    """

    def __init__(self, count, measure, duplicates, output):
        self.count = count
        self.measure = measure
        self.duplicates = duplicates
        self.table, self.sheet = (output.parent / f"least_sure.{end}" for end in ("csv", "png"))
        for path in (self.table, self.sheet):
            if path.exists():
                raise UserError(
                    f"--least_sure: {path} exists, and may hold labels of yours: move it away first"
                )
        self._blocks = []

    def add(self, indices, probabilities, embeddings):
        """Add the images of a block: their places, (k, classes) probabilities and embeddings."""
        unsure = uncertainty(probabilities, self.measure)
        guesses, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
        self._blocks.append((indices, unsure, guesses, confidence, embeddings))

    def write(self, images, class_names):
        """Choose, and write the list and the contact sheet.

        Args:
            images: the images, `new_images.ImageFiles` or `SplitImages`.
            class_names: names of the classes.
        """
        indices, unsure, guesses, confidence, embeddings = map(
            np.concatenate, zip(*self._blocks, strict=True)
        )
        chosen = choose(unsure, embeddings, self.count, self.duplicates)
        names = [class_names[guess] for guess in guesses[chosen]]
        writing.write_table(
            self.table,
            HEADER,
            [
                [images.names[indices[place]], "", name, f"{probability:.4f}", f"{value:.4f}"]
                for place, name, probability, value in zip(
                    chosen, names, confidence[chosen], unsure[chosen], strict=True
                )
            ],
        )
        captions = [
            (f"{number}. {name}", f"{probability:.0%}")
            for number, (name, probability) in enumerate(
                zip(names, confidence[chosen], strict=True), start=1
            )
        ]
        # Not before: Matplotlib takes a second to import.
        from semisup.use.contact_sheet import contact_sheet

        contact_sheet(images.images(indices[chosen]), captions, self.sheet)
        _logger.info(
            "wrote %s and %s: the %d least sure images, to be labelled next",
            self.table,
            self.sheet,
            len(chosen),
        )
        if len(chosen) < min(self.count, len(indices)):
            _logger.info(
                "all others are near duplicates of these; --duplicates, a cosine, says what is one"
            )
