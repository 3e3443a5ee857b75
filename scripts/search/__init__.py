"""The search of hyper-parameters: `python -m scripts.search --help`."""
