"""A recipe: a named experiment as data."""

from dataclasses import dataclass

from firstsight.tasks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A named experiment: network, data, settings, and the result that they reach.

    Parameters
    ----------
    name : str
        Name on the command line and of the run directories.
    model : str
        Name of the network in the model registry, which determines the kind of task.
    result : str
        Measured with this code: mean and standard deviation over seeds, n, time.
    settings : Settings
        Settings of the task.
    """

    name: str
    model: str
    result: str
    settings: Settings

    @property
    def data(self) -> str:
        """Data set that the recipe was made for."""
        return self.settings.data
