"""What came of a run: what is measured, figures, and the page that shows it all."""
