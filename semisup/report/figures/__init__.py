"""Figures that show what a network has learnt: thesis figures 3.2 to 3.4, 5.3 to 5.5, and others.

Every function takes NumPy arrays and returns a `matplotlib.figure.Figure` of its own: pyplot and
its global state stay out, so figures can be drawn in threads, in notebooks and without a display.
Write one with `drawing.save`. Only the module `excitation` takes a Keras model: it finds what
`kernels.excitation_figure` draws.
"""
