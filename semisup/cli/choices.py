"""The values that flags accept, in a module that imports nothing: `--help` answers at once."""

AUGMENTATIONS = ("none", "affine", "inversion", "stl10", "svhn")

NORMALIZATIONS = ("auto", "unit", "range", "channel", "pixel", "image", "image_variance")

SIMILARITY_TERMS = ("association", "none")

SIMILARITY_MEASURES = ("dot", "cosine", "euclidean")

ENVELOPES = ("none", "linear", "sigmoid")

PRECISIONS = ("float32", "bfloat16")

JIT_COMPILE = ("auto", "on", "off")

AUTO = "auto"

FITS = ("squash", "crop", "pad")
"""How an image that is not square becomes one."""

EMBEDDED = ("mnist_5k", "optdigits")
"""Data sets that come with packages."""

OWN_BUILDERS = (
    "frgc",
    "gtsrb",
    "gtsrb_cropped",
    "mnist_m",
    "mnist_m_generated",
    "synthetic_digits",
    "synthetic_digits_generated",
    "synthetic_signs",
    "synthetic_signs_generated",
    "usps",
)
"""Data sets of `semisup.data.builders`."""

SPLIT_ALIASES = {"unlabeled": "unlabelled", "val": "validation", "valid": "validation"}

DATASET_ALIASES = {
    "svhn": "svhn_cropped",
    "mnist3": "mnist",
    "mnistm": "mnist_m",
    "synth": "synthetic_digits",
    "synth_signs": "synthetic_signs",
}
