"""The values that flags accept, in a module that imports nothing: `--help` answers at once."""

EMBEDDINGS = ("hypercolumn", "patch")

SIMILARITY_TERMS = ("association", "self_training", "none")

PIXEL_DRAWS = ("as_they_occur", "square_root", "balanced")

VISIT_PRIORS = ("class_shares", "batch")

TEST_SPLITS = ("test", "validation")

STRIDE = 4
"""Pixels between two embeddings, in both directions."""

NO_CLASS = 255
"""What a pixel has in place of a class if it is ignored."""
