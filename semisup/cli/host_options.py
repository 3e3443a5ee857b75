"""The flags of a training that several hosts share.

Nothing here imports Keras.
"""

from semisup.cli.options import check_unused, is_whole_number, option
from semisup.errors import UserError

GREATEST_PORT = 65_535


def hosts():
    """Make the option of the number of hosts."""
    return option(
        1,
        "Speed",
        "Processes, as a rule one on each machine, that share each batch, under JAX; every one is "
        "started with the same flags. 0: as many as SLURM, Open MPI or Kubernetes says.",
        least=0,
        most=65_536,
        resume=True,
    )


def host_index():
    """Make the option of the place of this process among the hosts."""
    return option(
        -1,
        "Speed",
        "Number of this process among the --hosts; 0 alone writes the run. -1: as the cluster "
        "says.",
        least=-1,
        most=65_535,
        resume=True,
    )


def coordinator():
    """Make the option of the address at which the hosts meet."""
    return option(
        "",
        "Speed",
        "ADDRESS:PORT of host 0, at which all hosts meet; default: as the cluster says.",
        resume=True,
    )


def check(config):
    """Check that the settings of the hosts agree.

    Args:
        config: a `RunConfig`.

    Raises:
        UserError: if they contradict.
    """
    count, index = config.hosts, config.host_index
    if count == 1:
        check_unused(config, ("host_index", "coordinator"), "without --hosts")
    if count and index >= count:
        raise UserError(f"--host_index={index} is not below --hosts={count}: hosts count from 0")
    if count == 0 and (index, config.coordinator) != (-1, ""):
        raise UserError("--hosts=0 asks the cluster for everything: give the number of hosts")
    if (index < 0) != (not config.coordinator):
        raise UserError(
            "--host_index and --coordinator belong together: give both, or neither on a cluster "
            "that says them"
        )
    address, _, port = config.coordinator.rpartition(":")
    is_port = is_whole_number(port, GREATEST_PORT) and int(port)
    if config.coordinator and not (address and is_port):
        raise UserError(
            f"--coordinator={config.coordinator} has to be ADDRESS:PORT, such as node1:1234"
        )
