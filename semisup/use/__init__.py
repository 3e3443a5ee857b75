"""A trained run put to use: predictions for new images, what to label next, exported models."""
