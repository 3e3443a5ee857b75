"""The values that flags accept, in a module that imports nothing: `--help` answers at once."""

AUGMENTATIONS = ("auto", "none", "mnist", "svhn", "stl10", "cifar10", "frgc", "coil20", "ytf")
