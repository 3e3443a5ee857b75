"""The report on a run as one HTML page that needs no other file: `write`.

The page is made from the run's directory alone, even while the training goes on or if it was never
evaluated. The same directory gives the same bytes.
"""

NAME = "report.html"


def write(run, task):
    """Write the report on a run into its directory.

    Args:
        run: a `RunDirectory`.
        task: its `Task`.

    Returns:
        Path of the page.

    Raises:
        UserError: if the directory holds no run, or a file of it is damaged.
    """
    # Imported here, since Matplotlib takes a while.
    from semisup.report.page.document import render

    run.write_text(NAME, render(run, task))
    return run.file(NAME)
