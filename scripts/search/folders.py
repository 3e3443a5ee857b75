"""The folder of a search, and the Optuna study in it.

search.json        what is searched: space, flags of all trainings, settings
trials.journal     Optuna's record of the trials, unless a database keeps it
trial_0007/        run directory of a training
trial_0007.log     what it printed
trials.csv, *.png  see `reports`
"""

import contextlib
import fcntl
import os
import uuid
from typing import Literal, TypedDict

import optuna
from optuna.storages import journal

from scripts.search import spaces
from semisup.errors import UserError, first_line
from semisup.files import locking
from semisup.files.opening import open_descriptor
from semisup.files.reading import Scalar
from semisup.run.directory import RunDirectory
from semisup.run.file_types import Settings

BACKEND = "KERAS_BACKEND"
_JOURNAL = "trials.journal"

# Optuna would log a traceback for each failed trial; the search says it in one line.
optuna.logging.set_verbosity(optuna.logging.ERROR)


class Description(TypedDict):
    """`search.json`."""

    study: str
    task: Literal["semisup", "domain_adaptation"]
    space: dict[str, dict[str, list[Scalar]]]
    flags: list[str]
    settings: Settings
    backend: str


class SearchFolder:
    """Paths and files of one search.

    Args:
        path: the folder; it need not exist.
        storage: URL of the database that keeps the trials; empty: a file in the folder does.
    """

    def __init__(self, path, storage=""):
        self.path = os.path.normpath(os.path.expanduser(path))
        self.storage = storage

    def file(self, name):
        """Return the path of a file or folder of the search."""
        return os.path.join(self.path, name)

    def trial(self, number, suffix=""):
        """Return the path of the run directory of a trial, or of a file beside it."""
        return self.file(f"trial_{number:04d}{suffix}")

    def description(self):
        """Return what is searched, or None if there is no search in this folder.

        Raises:
            UserError: if the file is damaged.
        """
        return RunDirectory(self.path).read_json("search.json", Description)

    def begin(self, task, space, fixed, config):
        """Begin a search, or join the one that is there.

        Args:
            task: name of the task's package.
            space: tuple of `Dimension`s.
            fixed: flags of all trainings.
            config: the configuration of one of them.

        Returns:
            Content of `search.json`.

        Raises:
            UserError: if the folder holds another search, or other files.
        """
        with self.lock():
            names = os.listdir(self.path)
            # The journal may exist already, since it is made before the description.
            strangers = sorted(name for name in names if not name.startswith((".", _JOURNAL)))
            if strangers and "search.json" not in names:
                raise UserError(
                    f"--folder={self.path} is not empty ({', '.join(strangers[:3])}) and holds no "
                    "search; give another"
                )
            saved = self.description()
            if saved is not None:
                self._compare(saved, task, space, config)
                return saved
            name = f"{os.path.basename(os.path.abspath(self.path))}-{uuid.uuid4().hex[:8]}"
            optuna.create_study(storage=self._open_storage(), study_name=name)
            description = {
                "study": name,
                "task": task,
                "space": {dim.name: {dim.kind: list(dim.values)} for dim in space},
                "flags": list(fixed),
                "settings": config.to_dict(),
                "backend": _backend(),
            }
            RunDirectory(self.path).write_json("search.json", description)
            return description

    def study(self, description, load=optuna.load_study, **options):
        """Return the Optuna study of this folder.

        Args:
            description: content of `search.json`.
            load: what makes a study of a name and a storage.
            **options: its further arguments.

        Raises:
            UserError: if the storage cannot be read, or is another one.
        """
        if not self.storage and not os.path.exists(self.file(_JOURNAL)):
            raise UserError(f"the trials of {self.path} are in a database: give its --storage=URL")
        try:
            return load(study_name=description["study"], storage=self._open_storage(), **options)
        except KeyError:
            raise UserError(
                f"--storage has no search {description['study']}: give what {self.path} was begun "
                "with"
            ) from None

    def _open_storage(self):
        path = self.file(_JOURNAL)
        try:
            if self.storage:
                return optuna.storages.RDBStorage(self.storage)
            lock = journal.JournalFileSymlinkLock(path)
            _cut_torn_line(path, lock)
            return optuna.storages.JournalStorage(journal.JournalFileBackend(path, lock))
        except Exception as error:
            # A missing driver, a silent server and an invalid URL raise different errors.
            name = "--storage" if self.storage else path
            raise UserError(f"{name} cannot be used: {first_line(error)}") from None

    def _compare(self, saved, task, space, config):
        ours = {dimension.name: str(dimension) for dimension in space}
        theirs = {dim.name: str(dim) for dim in spaces.parse(saved["space"], saved["task"])}
        differences = [
            f"{ours.get(name, f'without {name}')} (the search has {theirs.get(name, 'none')})"
            for name in {**ours, **theirs}
            if ours.get(name) != theirs.get(name)
        ]
        if task != saved["task"]:
            differences = [f"--task={task} (the search has {saved['task']})"]
        elif not differences:
            differences = config.differences(saved["settings"])
            # A training may go on with others of these, a search may not.
            before = {"cross_validate": 0, **saved["settings"]}
            differences += [
                f"--{name}={getattr(config, name)} (the run has {before.get(name)})"
                for name in ("max_steps", "cross_validate")
                if getattr(config, name) != before.get(name)
            ]
        if _backend() != saved["backend"]:
            differences.append(f"{BACKEND}={_backend()} (the search has {saved['backend']})")
        if differences:
            text = "; ".join(differences).replace("(the run has", "(the search has")
            raise UserError(f"{self.path} holds another search: {text}; give another --folder")

    @contextlib.contextmanager
    def lock(self):
        """Keep other processes from beginning trials; hold it for moments only."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locking.locked(self.file(".search.lock")))
            except OSError as error:
                raise UserError(f"--folder={self.path}: {error.strerror}") from None
            yield

    def lock_trial(self, number):
        """Keep other processes from training a trial, for as long as the file is open anywhere.

        Args:
            number: the trial's.

        Returns:
            The open file, or None if another process trains it.
        """
        path = self.file(f".trial_{number:04d}.lock")
        file = open(open_descriptor(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW), "r+b")  # noqa: SIM115 (see above)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file

    def is_free(self, number):
        """Return whether no process trains a trial; the caller holds the search's lock."""
        lock = self.lock_trial(number)
        if lock is not None:
            lock.close()
        return lock is not None

    def is_training(self, number):
        """Return whether a process is training a trial."""
        # With the lock held, nobody who looks for a trial finds this one locked by mistake.
        with self.lock():
            return not self.is_free(number)


def _cut_torn_line(path, lock):
    """Cut off a half-written line, as of a full disk: Optuna refuses to read more."""
    lock.acquire()
    try:
        # Not through a link: a folder of somebody else may have one to a file of yours.
        descriptor = open_descriptor(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        with open(descriptor, "r+b") as file:
            file.truncate(file.read().rfind(b"\n") + 1)
    finally:
        lock.release()


def _backend():
    return os.environ.get(BACKEND, "tensorflow")
