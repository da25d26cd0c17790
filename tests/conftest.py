"""Fixtures shared by all tests: where the real sections are, samples that take long to make, a running server."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from samples.project import Project

ROOT = Path(__file__).parents[1]
if "OMP_NUM_THREADS" in os.environ:  # Numba, where it comes before torch, sets torch's number too
    os.environ.setdefault("NUMBA_NUM_THREADS", os.environ["OMP_NUM_THREADS"])


_ORDER = (
    "tests/pipeline/test_acceptance.py",
    "tests/pipeline/test_arrivals.py",
    "tests/ui/",
    "tests/pipeline/",
    "tests/real/",
    "tests/core/",
    "tests/assets/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that no worker is left alone with one at the end.

    While one worker makes the project that the pipeline's tests share, the other has the file that mostly waits.
    """

    def place(item: pytest.Item) -> int:
        name = item.path.relative_to(ROOT).as_posix()
        return next((place for place, start in enumerate(_ORDER) if name.startswith(start)), len(_ORDER))

    items.sort(key=place)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder that holds ``her2st/`` and ``panels/``; skips (fails in CI) where it is absent."""
    folder = Path(os.environ.get("GR2ST_SHARED", ROOT.parent / "shared"))
    if not (folder / "her2st").is_dir():
        reason = f"real sections not found at {folder}; set GR2ST_SHARED to the folder that holds her2st/ and panels/"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def spatialdata_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sound SpatialData store, to be copied: writing it takes longer than what is done with it."""
    from samples.spatialdata_store import write_store

    path = tmp_path_factory.mktemp("spatialdata") / "A1.zarr"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spatialdata's own dependencies warn when it writes
        write_store(path)
    return path


@pytest.fixture(scope="session")
def new_project() -> "Callable[[Path], Project]":
    """Give what makes an empty project folder."""
    from samples.project import Project

    return Project.create


@pytest.fixture(scope="session")
def serve() -> "Callable[[Project], AbstractContextManager[Any]]":
    """Give what starts ``dagster dev`` over a project and ends it."""
    from samples.project import Server

    @contextmanager
    def served(project: "Project") -> Iterator[Server]:
        server = Server(project)
        try:
            server.wait_until_up()
            yield server
        finally:
            server.close()

    return served


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[str, Callable[[Path], object]], Path]:
    """Make a folder once for all processes of the test run; the others wait and use it."""
    base = tmp_path_factory.getbasetemp()
    root = base if worker_id == "master" else base.parent

    def shared_folder(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = root / name, root / f"{name}.done"
        with FileLock(root / f"{name}.lock"):
            if not done.exists():
                make(folder)
                done.touch()
        return folder

    return shared_folder


@pytest.fixture(scope="session")
def cohort(once: Any) -> Path:
    """A synthetic cohort of two patients with two sections each; not to be changed."""
    from gr2st_core.cohorts.synthetic import make_synthetic_cohort

    def make(folder: Path) -> None:
        make_synthetic_cohort(folder / "tiny", n_patients=2, sections_per_patient=2, seed=3)

    return once("cohort", make) / "tiny"


@pytest.fixture(scope="session")
def materialized(cohort: Path, once: Any) -> "Project":
    """The whole graph over the cohort ``tiny``; not to be changed."""
    from samples.project import Project

    def make(folder: Path) -> None:
        project = Project.create(folder / "home")
        project.gr2st("cohort", "add", "tiny", str(cohort))
        project.materialize()

    return Project(once("project", make) / "home")
