"""Where the project keeps things on this machine.

Belongs here: the home folder, the Dagster instance in it, the lake's root. Does not belong here: settings of the
science (``gr2st_core.settings``).
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg


def home() -> Path:
    """Folder with ``dagster.yaml`` and ``workspace.yaml``: ``GR2ST_HOME``, else the current folder."""
    return Path(os.environ.get("GR2ST_HOME", Path.cwd())).resolve()


def lake_root() -> str:
    """Root of the lake, any fsspec URL: ``GR2ST_LAKE``, else ``lake/`` in the home folder."""
    return os.environ.get("GR2ST_LAKE", str(home() / "lake"))


def dagster_home() -> Path:
    """Find or make the instance's folder, with the project's own ``dagster.yaml`` linked into it.

    Raises
    ------
    FileNotFoundError
        If the home folder holds no ``dagster.yaml``.
    """
    configured = os.environ.get("DAGSTER_HOME")
    if configured:
        return Path(configured)
    source = home() / "dagster.yaml"
    if not source.is_file():
        raise FileNotFoundError(f"no dagster.yaml in {home()}: run inside the project folder or set GR2ST_HOME to it")
    folder = home() / ".dagster_home"
    folder.mkdir(exist_ok=True)
    link = folder / "dagster.yaml"
    if not link.exists():
        link.symlink_to(os.path.relpath(source, folder))
    return folder


def prepare_environment() -> None:
    """Point Dagster at the project's instance, for this process and its children."""
    os.environ["DAGSTER_HOME"] = str(dagster_home())
    os.environ["GR2ST_HOME"] = str(home())
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    # threads that spin while they wait take the cores from the other steps
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def open_instance() -> "dg.DagsterInstance":
    """Open the project's Dagster instance, the one that ``make ui`` shows."""
    import dagster as dg  # the command that asks starts without it

    prepare_environment()
    return dg.DagsterInstance.get()
