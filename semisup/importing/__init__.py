"""What happens while the project is imported: lazy packages, classes for Keras to find, Ctrl-C."""
