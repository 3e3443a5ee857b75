"""Files: opened without surprises, locked, replaced at once, read as typed values, and named."""
