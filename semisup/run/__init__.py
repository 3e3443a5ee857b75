"""One training: its directory, steps, checkpoints, log, evaluation, and loading what it left."""
