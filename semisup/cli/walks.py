"""The flags of how walks measure similarity, and what they are unless they are given.

Nothing here imports Keras.
"""

from semisup.cli import choices
from semisup.cli.options import option

AUTO = "auto"


def similarity_measure():
    """Make the option of the measure of similarity."""
    return option(
        AUTO,
        "Loss",
        "Similarity of two embeddings: dot product, its cosine, or negative squared Euclidean "
        "distance. auto: dot for the papers' networks on the papers' data sets, and cosine for all "
        "others, whose dot products may be so large that nothing is learnt from the walks.",
        one_of=(AUTO, *choices.SIMILARITY_MEASURES),
        before="dot",
    )


def temperature():
    """Make the option of the temperature."""
    return option(
        0.0,
        "Loss",
        "Number that divides the similarities; 0: 0.1 for the cosine, otherwise 1.",
        least=0,
        before=1.0,
    )


def resolved(measure, temperature, architecture, datasets):
    """Return the measure and the temperature that flags stand for.

    Args:
        measure: value of `--similarity_measure`.
        temperature: value of `--temperature`.
        architecture: name or path of the network.
        datasets: names of the data sets, aliases resolved.
    """
    if measure == AUTO:
        known = architecture.lower() in choices.PAPER_ARCHITECTURES and all(
            name.partition(":")[0].partition("/")[0] in choices.PAPER_DATASETS for name in datasets
        )
        measure = "dot" if known else "cosine"
    return measure, temperature or choices.TEMPERATURES[measure]
