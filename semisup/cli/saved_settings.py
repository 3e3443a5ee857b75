"""Settings as a run keeps them: written, read back and compared. Nothing here imports Keras."""

import dataclasses
from typing import ClassVar

from semisup.cli.dataset_names import is_folder
from semisup.cli.options import value_before
from semisup.errors import UserError, shown


class SavedSettings:
    """Base of dataclasses of settings that are saved with a run.

    Attributes:
        DATASETS: names of the settings that name a data set.
    """

    DATASETS: ClassVar[tuple[str, ...]] = ()

    def to_dict(self):
        """Return the settings by name, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings):
        """Make a configuration from what `to_dict` returned.

        Args:
            settings: settings by name. One that is missing did not exist yet when they were saved,
                and gets the value that says what was done before.

        Raises:
            UserError: if a setting is unknown, of another type or out of range.
        """
        before = {field.name: value_before(field) for field in dataclasses.fields(cls)}
        unknown = sorted(settings.keys() - before.keys())
        if unknown:
            raise UserError(f"unknown settings, of another version: {shown(', '.join(unknown))}")
        return cls(**{**before, **settings})

    def may_change(self, field):
        """Return whether the value of an option may differ when a run is resumed.

        Args:
            field: the field, made by `option`.
        """
        return field.metadata["resume"]

    def differences(self, saved):
        """List what keeps this configuration from resuming a run.

        Args:
            saved: the run's settings by name.

        Returns:
            Texts `--name=ours (the run has theirs)`. A setting that did not exist yet when the run
            began is one of them unless its value says what was done before.
        """
        return [
            f"--{field.name}={getattr(self, field.name)} "
            f"(the run has {shown(saved.get(field.name, 'none: it is older'))})"
            for field in dataclasses.fields(self)
            if not self.may_change(field)
            and getattr(self, field.name) != saved.get(field.name, value_before(field))
        ]

    def moved(self, saved):
        """Name the settings whose folder of data may be that of a run, in another place.

        Args:
            saved: the run's settings by name.

        Returns:
            Names of the settings that are folders here and there, but not the same.
        """
        return [
            name
            for name in self.DATASETS
            if getattr(self, name) != saved.get(name)
            and is_folder(getattr(self, name))
            and is_folder(str(saved.get(name)))
        ]
