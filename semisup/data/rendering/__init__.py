"""Images drawn by this package: digits and traffic signs, a pure function of seed and number."""
