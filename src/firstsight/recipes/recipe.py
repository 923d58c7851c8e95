"""Recipe: a named experiment as data."""

from dataclasses import dataclass

from firstsight.tasks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Named experiment: a network, its data and settings, and the measured result.

    Attributes
    ----------
    name : str
        Name on the command line and of the run directories.
    model : str
        Name of the network in the model registry, which determines the kind of task.
    result : str
        Result measured with this code: mean and standard deviation over n seeds, and the time.
    settings : Settings
        Settings of the task.
    """

    name: str
    model: str
    result: str
    settings: Settings

    @property
    def data(self) -> str:
        """Data set of the recipe."""
        return self.settings.data
