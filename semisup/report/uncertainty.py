"""The uncertainty of a network with dropout, by Monte Carlo dropout (Gal and Ghahramani 2016).

Each image passes through the network several times, with dropout active and everything else as in
an evaluation. The differences between the passes show what the network does not know.
"""

import contextlib

import keras
import numpy as np
from scipy.special import entr

from semisup.architectures import layer_calls
from semisup.errors import UserError
from semisup.run import evaluation
from semisup.run.monitoring import kept_states

_DROPOUTS = (keras.layers.Dropout, keras.layers.GaussianDropout, keras.layers.AlphaDropout)


def predictive_entropy(probabilities):
    """Compute the entropy of distributions over classes.

    Args:
        probabilities: (..., classes) float.

    Returns:
        (...) float, in nats: 0 where one class is certain, log(classes) where all are alike.
    """
    return entr(probabilities).sum(axis=-1)


def mutual_information(probabilities):
    """Compute the mutual information of the class and of what dropout leaves of the network (BALD).

    Args:
        probabilities: (passes, ..., classes) float.

    Returns:
        (...) float, in nats: the entropy of the mean over the passes, less the mean of their
        entropies. 0 where all passes agree, however uncertain each is.
    """
    of_mean = predictive_entropy(probabilities.mean(axis=0))
    # Rounding may make it slightly negative.
    return np.maximum(of_mean - predictive_entropy(probabilities).mean(axis=0), 0)


class DropoutPredictor(keras.Model):
    """Class probabilities of an `EmbeddingClassifier` from passes with dropout.

    Keras' dropout layers are active, also in nested models, but not within other layers. Batch
    normalisation uses its moving statistics, and images are not augmented.

    Args:
        model: an `EmbeddingClassifier`.
        passes: how often each image passes.
        seed: seed of what is dropped.
        batch_size: images in a batch; what is dropped depends on it.

    Raises:
        UserError: if the network has no dropout.
    """

    def __init__(self, model, passes, seed, batch_size=500):
        super().__init__(name="dropout_predictor")
        self.model = model
        self.passes = passes
        self.seed = seed
        self.batch_size = batch_size
        self._dropouts = _active_dropouts(model.network)
        if not self._dropouts:
            raise UserError(
                f"--mc_dropout={passes} needs a network with dropout, and {model.network.name} has "
                "none: train --architecture=mnist_model_dropout, or a residual network with "
                "--dropout=0.2"
            )
        self.compile(jit_compile=keras.backend.backend() == "jax")

    def call(self, images):
        """Compute float32 probabilities (n, classes) of images in one pass."""

        def call(layer, arguments, options):
            return layer_calls.infer(layer, arguments, options, isinstance(layer, _DROPOUTS))

        embeddings = layer_calls.run(self.model.network, self.model.prepare(images), call)
        return keras.ops.softmax(self.model.classify(embeddings))

    def measure(self, images):
        """Average the passes, and measure how they differ; the model stays as it is.

        Args:
            images: (n, height, width, channels) uint8, in memory or memory-mapped.

        Returns:
            Mean probabilities (n, classes), their entropies (n,) and the mutual information (n,),
            float64; the same bits for the same model, images, seed and size of the batches.
        """
        measured = []
        with contextlib.ExitStack() as stack:
            for layer, seed in zip(self._dropouts, self._seeds(), strict=True):
                stack.enter_context(kept_states(layer))
                layer.seed_generator.state.assign([seed, 0])
            for batch in evaluation.image_batches(images, self.batch_size).as_numpy_iterator():
                passes = [self.predict_on_batch(batch) for _ in range(self.passes)]
                probabilities = np.stack(passes).astype("float64")
                mean = probabilities.mean(axis=0)
                entropy = predictive_entropy(mean)
                measured.append((mean, entropy, mutual_information(probabilities)))
        return tuple(np.concatenate(parts) for parts in zip(*measured, strict=True))

    def _seeds(self):
        sequence = np.random.SeedSequence([self.seed, 0xD509])
        # Both backends can hold positive numbers of 31 bits.
        return [int(seed) for seed in sequence.generate_state(len(self._dropouts)) >> 1]


def _active_dropouts(network):
    """Return the dropout layers with a rate above 0; none if the network's layers are not known."""
    if not layer_calls.is_functional(network):
        return []
    _, calls = layer_calls.trace(network)
    found = [
        call.layer for call in calls if isinstance(call.layer, _DROPOUTS) and call.layer.rate > 0
    ]
    return list(dict.fromkeys(found))


def summary(passes, entropy, wrong=None):
    """Summarize how well the uncertainty tells wrong predictions from right ones.

    Args:
        passes: how often each image has passed.
        entropy: (n,) entropies of the averaged predictions.
        wrong: (n,) bool, whether these are wrong; None if the classes are unknown.

    Returns:
        Dictionary ready for JSON with `passes`, `mean_entropy`, `error` (fraction of wrong
        predictions), `mean_entropy_right`, `mean_entropy_wrong` and `auroc`, the area under the
        receiver operating characteristic when the entropy is to detect the wrong ones. A value is
        None where there are no such predictions.
    """
    from sklearn.metrics import roc_auc_score

    known = wrong is not None
    right_entropy, wrong_entropy = (entropy[~wrong], entropy[wrong]) if known else ([], [])
    both = len(right_entropy) and len(wrong_entropy)
    return {
        "passes": passes,
        "mean_entropy": _mean(entropy),
        "error": _mean(wrong) if known else None,
        "mean_entropy_right": _mean(right_entropy),
        "mean_entropy_wrong": _mean(wrong_entropy),
        "auroc": float(roc_auc_score(wrong, entropy)) if both else None,
    }


def text(content):
    """Format a `summary` as a line for the screen."""
    error, area = content["error"], content["auroc"]
    entropies = [f"entropy {content['mean_entropy']:.3f} nats"]
    for kind in ("right", "wrong"):
        entropy = content[f"mean_entropy_{kind}"]
        entropies += [] if entropy is None else [f"{entropy:.3f} where {kind}"]
    parts = [
        *([] if error is None else [f"error {100 * error:.2f} %"]),
        ", ".join(entropies),
        *([] if area is None else [f"AUROC {area:.3f} to find the wrong ones by it"]),
    ]
    return f"average of {content['passes']} passes with dropout: {'; '.join(parts)}"


def _mean(values):
    return float(np.mean(values)) if len(values) else None
