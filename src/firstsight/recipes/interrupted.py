"""The run to continue if neither a recipe nor a run is named."""

from collections.abc import Callable
from pathlib import Path

from firstsight.arguments import ignore
from firstsight.engine.rundir import ROOT, describe_resume
from firstsight.errors import UsageError
from firstsight.recipes.config import SavedConfig, load_config
from firstsight.recipes.runs import list_runs

MAX_NAMED = 2
"""Maximum number of finished runs in a message."""


def run_to_resume(out: Path | None, *, notify: Callable[[str], None] = ignore) -> SavedConfig:
    """Return the configuration of the run in a directory, or of the newest interrupted run below ``runs``.

    Parameters
    ----------
    out : Path | None
        Run directory.
    notify : Callable[[str], None]
        Called with the run that was found.

    Raises
    ------
    UsageError
        If there is no such run.
    RunError
        If its configuration cannot be read.
    """
    if out is not None:
        if not (out / "config.json").is_file():
            raise UsageError(f"{out}: holds no run to continue; name a recipe or a network to start one")
        return load_config(out)
    runs = list_runs()
    interrupted = next((run.path for run in runs if run.state == "interrupted"), None)
    if interrupted is None:
        finished = [describe_resume(run.path) for run in runs if run.state == "finished"][:MAX_NAMED]
        advice = f"extend a finished run with a larger `epochs`, as in {' or '.join(finished)}" if finished else ""
        raise UsageError(f"there is no interrupted run in {ROOT}; {advice or 'name a recipe or a network'}")
    notify(f"the newest interrupted run: {interrupted}")
    return load_config(interrupted)
