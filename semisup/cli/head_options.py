"""The flags of what is trained of a network, and of a head on top of it.

Nothing here imports Keras.
"""

from semisup.cli import architecture_names
from semisup.cli.options import GREATEST, check_unused, is_whole_number, option
from semisup.errors import UserError


def trainable():
    """Make the option of what is trained."""
    return option(
        "all",
        "Network",
        "What is trained. all: the whole network; head: only a small head on top of the network, "
        "whose features are computed once and cached in --cache_dir; N: the head and the last N "
        "layers of the network that have weights.",
    )


def head_units():
    """Make the option of the size of a head."""
    return option(
        -1,
        "Network",
        "Units of the hidden layer of a head on top of the network, which ends in an embedding of "
        "--emb_size; 0: no hidden layer; -1: 256 if something is frozen, else there is no head.",
        least=-1,
        most=100_000,
    )


def centre_features():
    """Make the option of where a head has its zero."""
    return option(
        False,
        "Network",
        "Let the head of a frozen network (--trainable=head) bring its features to length 1, move "
        "them so that their mean over the first 100 batches is 0, and scale them all alike.",
    )


def feature_views():
    """Make the option of the number of cached views."""
    return option(
        0,
        "Network",
        "Views of each image, changed by --augmentation, whose features are cached beside those of "
        "the image as it is, for --trainable=head.",
        least=0,
        most=100,
    )


def network_learning_rate():
    """Make the option of the learning rate below a head."""
    return option(
        0.0,
        "Optimisation",
        "Learning rate of the network below the head; 0: that of everything else.",
        least=0,
        most=100,
    )


def check(config):
    """Check that the settings of a head, and of what is trained below it, agree.

    Args:
        config: a `RunConfig`.

    Raises:
        UserError: if they contradict each other.
    """
    trained = config.trainable
    if trained not in ("all", "head") and not (
        is_whole_number(trained, GREATEST[int]) and int(trained)
    ):
        raise UserError(
            f"--trainable={trained}: give all, head, or the number of the network's last layers to "
            "train"
        )
    is_saved = architecture_names.brings_weights(config.architecture)
    if trained != "all" and not (config.pretrained or config.initial_run or is_saved):
        raise UserError(
            f"--trainable={trained} keeps weights that have learnt nothing: give a .keras file or "
            "keras_hub:PRESET as --architecture, a network of keras.applications with "
            "--pretrained, or --initial_run"
        )
    if trained == "head":
        _check_views(config.feature_views, getattr(config, "augmentation", "none"))
        why = "with --trainable=head, which keeps the network as it is"
        check_unused(config, ["network_learning_rate"], why)
    else:
        check_unused(config, ("feature_views", "centre_features"), "without --trainable=head")
    rate = config.network_learning_rate
    if rate and not config.has_head:
        raise UserError(
            f"--network_learning_rate={rate} is for a network with a head: give --head_units"
        )


def _check_views(views, augmentation):
    if augmentation == "none" and views:
        raise UserError(f"--feature_views={views} needs an --augmentation to make views with")
    if augmentation != "none" and not views:
        raise UserError(
            f"--augmentation={augmentation} changes images, and --trainable=head trains on "
            "features: give the number of changed views of each image, --feature_views=4 say"
        )
