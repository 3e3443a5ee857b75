"""The report on a run: what is measured, figures, and a page that shows it all."""
