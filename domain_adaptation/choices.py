"""The values that flags accept, in a module that imports nothing: `--help` answers at once."""

SIMILARITY_TERMS = ("association", "mmd", "coral", "none")

MMD_ESTIMATORS = ("quadratic", "linear")
