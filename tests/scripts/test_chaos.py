"""A short form of the trials that `python -m scripts.chaos` does at length."""

import running

from scripts import chaos

pytestmark = running.needs_commands


def test_a_killed_training_and_a_damaged_run_end_as_they_may(tmp_path, capsys):
    config = chaos.ChaosConfig(kills=1, damages=1, seed=1, tasks="semisup", folder=str(tmp_path))
    chaos.run(config)
    lines = capsys.readouterr().out.splitlines()
    assert "     1 killed: the same bits" in lines
    assert sum(line.strip().startswith("1 damaged: ") for line in lines) == 1
