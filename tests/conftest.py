"""Fixtures shared by all tests: where the real sections are, and that nothing leaves this machine."""

import os
import warnings
from pathlib import Path

import pytest

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
