"""The values that flags accept, in a module that imports nothing: `--help` answers at once."""

ENCODERS = ("bag_of_words", "recurrent", "convolutional")

LOSSES = {
    "pearson": ("pearson",),
    "infonce": ("infonce",),
    "hinge": ("hinge",),
    "association": ("walker", "visit"),
}
"""For each loss that `--loss` may name, those with a weight, as the flags name them."""
