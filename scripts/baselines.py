"""Few labels: what association and other methods make of the features of a pretrained network.

    python scripts/baselines.py --dataset=folder:photos --new_size=224 \\
        --architecture=network.keras --sup_per_class=3 --seeds=5 --output=baselines.json

For each seed, some images of each class keep their labels; all methods see the other images
without, and are tested on those. The first two are the head of `--recipe=photos`, trained by
association, and on the labels alone. Of the baselines, two use no more than the labels or the
features' geometry (scikit-learn's `LogisticRegression` and `LabelSpreading`), two label images
themselves (`SelfTrainingClassifier`, and FixMatch's rule: a confident pseudo-label of an image is
the target of an augmented view of it).

With `--cross_validate=K`, settings of the baselines are chosen by K-fold cross-validation over the
labels, at least K of each class, the images of a fold joining the unlabelled ones. Otherwise the
settings are the first of each grid in `METHODS`. Those of the head are always the recipe's.

References:
    Sohn et al.: FixMatch, NeurIPS 2020.
"""

import itertools
import sys
import time
from pathlib import Path

import numpy as np

# Use the source tree of this script, whether it is installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts import heads
from semisup.cli import choices, flags
from semisup.errors import UserError, rephrased

BATCH = 64
PLACES = ("data_dir", "cache_dir", "output")
PLAIN = ("--fit=squash",)
"""Flags of the features beside the recipe's: images are resized whole."""


@rephrased(per_class="--sup_per_class={value}: {reason}")
def main():
    """Parse the command line, measure all methods, and write what was found."""
    parser = heads.parser(__doc__.splitlines()[0], seeds=5, new_size=0, has_to_write=False)
    parser.add_argument("--data_dir", help="folder of TFDS data sets")
    parser.add_argument(
        "--sup_per_class", type=heads.positive, default=3, help="labels of each class"
    )
    parser.add_argument("--feature_views", type=int, default=1, help="augmented views of an image")
    parser.add_argument(
        "--augmentation", default="stl10", choices=choices.AUGMENTATIONS, help="makes the views"
    )
    parser.add_argument("--cross_validate", type=int, default=0, help="folds; 0: no choice")
    parser.add_argument(
        "--methods", nargs="+", choices=(*HEADS, *METHODS), help="methods to measure; default: all"
    )
    arguments = parser.parse_args()

    from scripts import findings
    from semisup.data import labelled_subset

    folds = arguments.cross_validate
    if folds and not 2 <= folds <= arguments.sup_per_class:
        raise UserError(
            f"--cross_validate={folds}: give 0, or from 2 on up to --sup_per_class="
            f"{arguments.sup_per_class}, so that each part has a label of each class"
        )
    start = time.perf_counter()
    photographs = load(arguments)
    if len(photographs.labels) <= arguments.sup_per_class * len(photographs.class_names):
        raise UserError(
            f"--sup_per_class={arguments.sup_per_class} leaves no image to test on: there are "
            f"{len(photographs.labels)} of {len(photographs.class_names)} classes"
        )
    labels, features = photographs.labels, np.moveaxis(photographs.features, 1, 0)
    found = {
        "settings": {
            **{name: value for name, value in vars(arguments).items() if name not in PLACES},
            **heads.origin(arguments),
        },
        "images": len(labels),
        "classes": len(photographs.class_names),
        "feature_seconds": round(time.perf_counter() - start, 1),
        "methods": {
            name: {"accuracy": [], "seconds": [], "chosen": []}
            for name in arguments.methods or (*HEADS, *METHODS)
        },
    }
    for seed in range(arguments.seeds):
        chosen = labelled_subset.choose_labelled(
            labels, arguments.sup_per_class, photographs.class_names, seed
        )
        labelled = np.concatenate(chosen)
        for name, results in found["methods"].items():
            start = time.perf_counter()
            if name in HEADS:
                predicted, settings = predict_by_head(name, photographs, seed, arguments), {}
            else:
                predicted, settings = predict(
                    name, features, labelled, labels[labelled], seed, arguments.cross_validate
                )
            results["seconds"].append(round(time.perf_counter() - start, 2))
            results["accuracy"].append(accuracy(predicted, labels, labelled))
            results["chosen"].append(settings)
        if arguments.output:
            findings.write(arguments.output, found)
    for name, results in found["methods"].items():
        seconds = np.mean(results["seconds"])
        print(f"{name:20s} {findings.spread(results['accuracy'])}  {seconds:6.1f} s")


def load(arguments):
    """Load the labelled images of a data set, and look up their features.

    Args:
        arguments: those of the command line.

    Returns:
        `Photographs`, with the views that `--feature_views` asks for.

    Raises:
        UserError: if there is no such data set or network, or the data set has no labels.
    """
    from semisup.task import TASK

    names = ["data_dir"] if arguments.data_dir else []
    names += ["feature_views", "augmentation"] if arguments.feature_views else []
    given = [f"--{name}={getattr(arguments, name)}" for name in names]
    config = heads.configuration(arguments, *PLAIN, *given, "--progress")
    return heads.load(TASK, config, config.dataset)


def accuracy(predicted, labels, labelled):
    """Return the share, in %, of right predictions for the images that were not labelled."""
    rest = np.setdiff1d(np.arange(len(labels)), labelled)
    return float(np.mean(predicted[rest] == labels[rest]) * 100)


def predict_by_head(name, photographs, seed, arguments):
    """Predict the classes of all images by the head of `--recipe=photos`.

    Args:
        name: one of `HEADS`.
        photographs: the `Photographs`, of which only the plain images are seen.
        seed: seed of the training and of the choice of labelled images.
        arguments: those of the command line.

    Returns:
        (n,) classes.
    """
    from semisup.task import TASK

    own = (*PLAIN, f"--sup_per_class={arguments.sup_per_class}", f"--seed={seed}")
    config = heads.configuration(arguments, *HEADS[name], *own)
    plain = photographs._replace(features=photographs.features[:, :1])
    unlabelled = None if config.similarity == "none" else plain
    return heads.Heads(TASK, config, plain, plain, unlabelled).predictor()(plain).argmax(axis=1)


def predict(name, features, labelled, labels, seed=0, folds=0):
    """Predict the classes of all images from the labels of a few.

    Args:
        name: one of `METHODS`.
        features: (1 + views, n, d) float features, those of the plain images first.
        labelled: (l,) rows of the labelled images.
        labels: (l,) integer classes of them.
        seed: seed of what is drawn.
        folds: folds of the cross-validation that chooses the settings; 0 for the first ones.

    Returns:
        (n,) classes, and the settings that were used.
    """
    from threadpoolctl import threadpool_limits

    from semisup.run.features import centred

    method, grid = METHODS[name]
    features = centred(features)
    candidates = [
        dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
    ]
    settings = candidates[0]
    # Threads would wait for each other: the matrices are small.
    with threadpool_limits(limits=1):
        if folds:
            scores = [
                _cross_validated(method, candidate, features, labelled, labels, seed, folds)
                for candidate in candidates
            ]
            settings = candidates[int(np.argmax(scores))]
        return method(features, labelled, labels, seed, **settings), settings


def _cross_validated(method, settings, features, labelled, labels, seed, folds):
    from sklearn.model_selection import StratifiedKFold

    right = 0
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for kept, held_out in splits.split(labelled, labels):
        predicted = method(features, labelled[kept], labels[kept], seed, **settings)
        right += np.sum(predicted[labelled[held_out]] == labels[held_out])
    return right


def logistic_regression(features, labelled, labels, seed, c):
    """Predict by scikit-learn's `LogisticRegression`; `c` is the inverse of its regularisation."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=c, max_iter=300).fit(features[0][labelled], labels)
    return model.predict(features[0])


def label_spreading(features, labelled, labels, seed, neighbours, alpha):
    """Predict by scikit-learn's `LabelSpreading` along the nearest neighbours of each image."""
    from sklearn.semi_supervised import LabelSpreading

    model = LabelSpreading("knn", n_neighbors=neighbours, alpha=alpha, max_iter=100)
    return model.fit(features[0], _partly(labels, labelled, features)).transduction_


def self_training(features, labelled, labels, seed, threshold, c):
    """Predict by scikit-learn's `SelfTrainingClassifier` of logistic regressions.

    Images whose class has a probability of at least `threshold` join the labelled ones.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.semi_supervised import SelfTrainingClassifier

    model = SelfTrainingClassifier(
        LogisticRegression(C=c, max_iter=300), threshold=threshold, max_iter=10
    )
    return model.fit(features[0], _partly(labels, labelled, features)).predict(features[0])


def _partly(labels, labelled, features):
    """Return classes (n,) for scikit-learn, -1 where there is no label."""
    partly = np.full(features.shape[1], -1)
    partly[labelled] = labels
    return partly


def fixmatch(features, labelled, labels, seed, threshold, learning_rate=3e-3, steps=300):
    """Predict by a classifier that learns from its own confident predictions: FixMatch's rule.

    The class of a plain image is the target of an augmented view of it, where its probability is at
    least `threshold`. Without views, the image itself takes the view's place.

    Returns:
        (n,) classes of the plain images.
    """
    import keras
    from keras import ops

    keras.utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    classes, targets = np.unique(labels, return_inverse=True)
    starts = 0, BATCH, 2 * BATCH

    class FixMatch(keras.Model):
        def __init__(self):
            super().__init__()
            self.classifier = keras.layers.Dense(len(classes))

        def call(self, inputs):
            return self.classifier(inputs)

        def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
            supervised, plain, view = (y_pred[start : start + BATCH] for start in starts)
            crossentropy = keras.losses.sparse_categorical_crossentropy
            probabilities = ops.stop_gradient(ops.softmax(plain))
            is_sure = ops.cast(ops.max(probabilities, axis=1) >= threshold, "float32")
            consistency = crossentropy(ops.argmax(probabilities, axis=1), view, from_logits=True)
            labelled_loss = crossentropy(y[:BATCH], supervised, from_logits=True)
            return ops.mean(labelled_loss) + ops.mean(is_sure * consistency)

    views = features[1:] if len(features) > 1 else features
    plain, count = features[0], features.shape[1]

    def batches():
        while True:
            # A labelled image as it is or in one of its views; an unlabelled one as both.
            sup = generator.integers(len(labelled), size=BATCH)
            kinds = generator.integers(len(features), size=BATCH)
            rows = generator.integers(count, size=BATCH)
            seen = views[generator.integers(len(views), size=BATCH), rows]
            batch = np.concatenate([features[kinds, labelled[sup]], plain[rows], seen])
            # Keras wants a target for every row; those of unlabelled ones are not read.
            yield batch.astype("float32"), np.tile(targets[sup], 3)

    model = FixMatch()
    model.compile(keras.optimizers.Adam(learning_rate))
    model.fit(batches(), steps_per_epoch=steps, shuffle=False, verbose=0)
    return classes[np.argmax(model.predict(plain, batch_size=1024, verbose=0), axis=1)]


HEADS = {"association": (), "labels_alone": ("--similarity=none",)}
"""Flags beside `--recipe=photos` of each training of a head."""

METHODS = {
    "logistic_regression": (logistic_regression, {"c": (0.1, 0.01, 1.0, 10.0)}),
    "label_spreading": (label_spreading, {"neighbours": (10, 5, 20), "alpha": (0.8, 0.2, 0.99)}),
    "self_training": (self_training, {"threshold": (0.5, 0.75, 0.9), "c": (0.1, 1.0)}),
    "fixmatch": (fixmatch, {"threshold": (0.8, 0.5, 0.95)}),
}
"""Each method's function, and the settings that are tried; the first of each are the defaults."""


if __name__ == "__main__":
    flags.guard(main, program="baselines")
