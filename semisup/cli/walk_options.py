"""The flags of how walks measure similarity, and what they are unless they are given.

Nothing here imports Keras.
"""

from semisup.cli import choices
from semisup.cli.options import option


def similarity_measure():
    """Make the option of the measure of similarity."""
    return option(
        choices.AUTO,
        "Loss",
        "Similarity of two embeddings: dot product, its cosine, or negative squared Euclidean "
        "distance. auto: dot for the papers' networks on the papers' data sets, and cosine for all "
        "others, whose dot products may be so large that nothing is learnt from the walks.",
        one_of=(choices.AUTO, *choices.SIMILARITY_MEASURES),
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


def resolve(config):
    """Set the measure and the temperature that the flags of a configuration stand for.

    Args:
        config: a `RunConfig` with both options; changed in place, though it is frozen.
    """
    measure = config.similarity_measure
    if measure == choices.AUTO:
        is_known = (
            config.architecture.lower() in choices.PAPER_ARCHITECTURES and not config.has_head
        )
        names = [getattr(config, name) for name in config.DATASETS]
        are_known = all(
            name.partition(":")[0].partition("/")[0] in choices.PAPER_DATASETS for name in names
        )
        measure = "dot" if is_known and are_known else "cosine"
    object.__setattr__(config, "similarity_measure", measure)
    object.__setattr__(config, "temperature", config.temperature or choices.TEMPERATURES[measure])
