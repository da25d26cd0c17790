"""Which cohort layouts are known.

Belongs here: the list of readers and how one is chosen. Does not belong here: any reader.
"""

from __future__ import annotations

from pathlib import Path

from gr2st_core.cohorts.anndata_reader import AnnDataReader
from gr2st_core.cohorts.her2st import Her2stReader
from gr2st_core.cohorts.hest import HestReader
from gr2st_core.cohorts.legacy import LegacyReader
from gr2st_core.cohorts.records import CohortReader
from gr2st_core.cohorts.slides_only import SlidesReader
from gr2st_core.cohorts.spaceranger import SpaceRangerReader
from gr2st_core.cohorts.spatialdata_reader import SpatialDataReader
from gr2st_core.cohorts.wu2021 import Wu2021Reader
from gr2st_core.errors import MissingArtifactError

READERS: tuple[CohortReader, ...] = (
    Her2stReader(),
    HestReader(),
    SpatialDataReader(),
    SpaceRangerReader(),
    Wu2021Reader(),
    AnnDataReader(),
    LegacyReader(),
    SlidesReader(),
)
"""In the order in which they are tried; the reader of bare images is the last, since other cohorts hold images too."""


def find_reader(folder: Path) -> CohortReader:
    """Give the reader that recognises ``folder``.

    Raises
    ------
    MissingArtifactError
        If there is no such folder, or no reader knows its layout.
    """
    if not folder.is_dir():
        raise MissingArtifactError("there is no such cohort folder", file=folder)
    for reader in READERS:
        if reader.recognises(folder):
            return reader
    raise MissingArtifactError(
        "no reader knows the layout of this cohort folder",
        file=folder,
        found=sorted(path.name for path in folder.iterdir())[:10],
        expected={reader.layout: reader.expects for reader in READERS},
    )
