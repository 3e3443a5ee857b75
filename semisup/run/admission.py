"""Who may write into the directory of a run: a training that begins or goes on, an evaluation."""

import os

from semisup.data import sampling
from semisup.errors import UserError, shown
from semisup.files import locking, replacing
from semisup.machine import environment
from semisup.run import belongings
from semisup.run.directory import check_name

# Settings that runs of every version and task have.
_ALWAYS_SET = {"dataset", "seed", "max_steps", "logdir"}


def strangers(run):
    """Return the names in a run's directory that keep a training from beginning in it, sorted.

    Args:
        run: a `RunDirectory`.
    """
    # Earlier versions wrote under that last name.
    names = set(os.listdir(run.path)) - {locking.OF_RUN, "config.json.tmp"}
    return sorted(name for name in names if not replacing.is_temporary(name))


def prepare_output(run):
    """Make the directory that an evaluation writes to ready, before it measures anything.

    Args:
        run: a `RunDirectory`.

    Raises:
        UserError: if the directory for it cannot be written, or holds something else.
    """
    check_name("output" if run.output != run.path else "logdir", run.output)
    if run.output != run.path:
        try:
            os.makedirs(run.output, exist_ok=True)
            names = os.listdir(run.output)
        except OSError as error:
            raise UserError(f"--output={run.output}: {error.strerror}") from None
        if names and not {"evaluation.json", "evaluations"} & set(names):
            raise UserError(
                f"--output={run.output} is not empty, and holds no evaluation: give another"
            )
        if "config.json" in names:
            raise UserError(f"--output={run.output} holds a run of its own: give another")
    belongings.check_places(run.output)
    for folder in (run.output, *map(run.written, ("eval", "figures", "evaluations"))):
        if os.path.exists(folder) and not os.access(folder, os.W_OK | os.X_OK):
            raise UserError(
                f"{folder} cannot be written: --output names another folder for what is measured"
            )
    belongings.remove_leftovers(run.output)


def check(run, config, task_name, overwrite=False):
    """Check that the directory is free for a configuration, or holds a run of it.

    Args:
        run: a `RunDirectory`.
        config: the configuration.
        task_name: name of its task.
        overwrite: whether it may hold any run.

    Raises:
        UserError: if it holds a run of another configuration, a damaged one, or other files, or
            more than a run where that is to be deleted.
    """
    saved = run.read_config()
    if overwrite and saved is not None:
        _check_deletion(run, saved)
        return
    if saved is None:
        if found := strangers(run):
            raise UserError(
                f"{run.path} is not empty ({shown(', '.join(found[:3]))}) and holds no "
                "run; give another --logdir"
            )
        return
    belongings.check_places(run.path)
    if saved["task"] != task_name:
        raise UserError(
            f"{run.path} holds a run of {shown(saved['task'])}, not of {task_name}; give "
            "another --logdir, or --overwrite to delete it"
        )
    run.read_settings(type(config))
    # A folder of data may have moved: what is in it is compared once it is read.
    moved = {name: getattr(config, name) for name in config.moved(saved["settings"])}
    differences = config.differences({**saved["settings"], **moved})
    if saved["backend"] != environment.backend():
        differences.append(
            f"KERAS_BACKEND={environment.backend()} (the run has {shown(saved['backend'])})"
        )
    if differences:
        raise UserError(
            f"{run.path} holds a run with other settings: {'; '.join(differences)}; give "
            "another --logdir, or --overwrite to delete it"
        )


def begin(run, config, task_name, overwrite):
    """Write the configuration of a run that begins or goes on, and remove old results.

    Args:
        run: a `RunDirectory`.
        config: the configuration.
        task_name: name of its task.
        overwrite: whether to delete an earlier run first.

    Raises:
        UserError: if there is more than a run to delete; nothing is deleted then.
    """
    if overwrite:
        # Once more, since loading the data may have taken long.
        belongings.check_owned(run.path)
    belongings.remove(run.path, belongings.PARTS if overwrite else belongings.OUTCOMES)
    belongings.remove_leftovers(run.path)
    run.write_json(
        "config.json",
        {
            "task": task_name,
            "settings": config.to_dict(),
            "backend": environment.backend(),
            "sampler": sampling.VERSION,
            "versions": environment.versions(),
            "environment": environment.variables(),
            "git_commit": environment.git_commit(),
        },
    )


def check_sampler(run):
    """Check that a training which goes on will see the batches it would have seen.

    Args:
        run: a `RunDirectory`.

    Raises:
        UserError: if the run was begun with a version of the sampler that draws others.
    """
    if run.sampler != sampling.VERSION:
        raise UserError(
            f"{run.path} was begun by a version of this program that draws other batches, and "
            "cannot go on: evaluate it as it is, or start again with --overwrite"
        )


def _check_deletion(run, saved):
    """Check that a run, and nothing else, is what is to be deleted."""
    if not saved["settings"].keys() >= _ALWAYS_SET:
        raise UserError(
            f"{run.file('config.json')} is not that of a run, and nothing is deleted: give "
            "another --logdir"
        )
    belongings.check_owned(run.path)
