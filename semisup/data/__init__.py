"""Data sets, labelled subsets and batches."""
