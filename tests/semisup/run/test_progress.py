"""Tests of the bar that shows progress."""

import sys

import pytest

from semisup.run import progress


@pytest.mark.parametrize(("terminal", "wanted"), [(True, True), (True, False), (False, True)])
def test_a_bar_is_drawn_on_terminals_alone_where_it_is_wanted(
    monkeypatch, capsys, terminal, wanted
):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    show = progress.image_bar(3, wanted)
    show(2)
    show(3)
    assert ("3/3" in capsys.readouterr().out) == (terminal and wanted)
