"""What an asset's compute function gets, for one section or one fold.

Belongs here: the values of the partition, and how its inputs are read and named. Does not belong here: when it is
computed (``steps``), what Dagster sees of it (``kinds``).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gr2st_assets import register
from gr2st_assets.fingerprint import fingerprint
from gr2st_assets.lake import Lake
from gr2st_assets.project import home
from gr2st_assets.records import Slot
from gr2st_assets.resources import Experiment
from gr2st_assets.section_images import open_image, patch_reader
from gr2st_assets.sections import image_section, read_folds, read_panel, read_rows, train_section
from gr2st_assets.slots import Variant, fold_slot, section_slot
from gr2st_core.errors import MissingArtifactError
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    import pandas as pd

    from gr2st_core.cohorts.records import RawSection, SectionEntry
    from gr2st_core.images.pixels import SlideImage
    from gr2st_core.settings import Settings
    from gr2st_core.training.folds import Fold
    from gr2st_core.types import ImageSection, Panel, PatchReader, TrainSection

Progress = Callable[[str, int, int], None]
TRAINING = ".training"


@dataclass(frozen=True)
class SectionWork:
    """One section: its identity, its registered files, its rows in other tables."""

    key: SectionKey
    lake: Lake
    experiment: Experiment
    settings: "Settings"
    progress: Progress

    @property
    def entry(self) -> "SectionEntry":
        """The section's files."""
        return register.load(self.lake, self.key.cohort).entry(self.key)

    def slide(self, path: Path) -> "SlideImage":
        """Open the section's image; whichever asset needs its pixels first decodes it for all."""
        return open_image(path, self.key, self.settings.limits)

    def raw(self) -> "RawSection":
        """The section as its cohort's reader reads it."""
        from gr2st_assets.parsing import section_parser

        cohort = register.load(self.lake, self.key.cohort)
        return section_parser(self.settings.limits).read(cohort.layout, cohort.folder, cohort.entry(self.key))

    @property
    def columns(self) -> dict[str, str]:
        """Columns that identify the section in its tables."""
        return {"cohort": self.key.cohort, "section_id": self.key.section_id}

    def rows(self, table: str) -> "pd.DataFrame":
        """The section's rows of another table."""
        return read_rows(self.lake, table, self.key).to_pandas()

    def inputs(self, tables: Iterable[str]) -> dict[str, str]:
        """Digests of the section's artefacts in the named tables."""
        return {table: self.lake.require_head(section_slot(self.lake, table, self.key)).digest for table in tables}


@dataclass(frozen=True)
class FoldWork:
    """One fold under one panel, target and seed.

    Attributes
    ----------
    has_twin
        Whether another fold trains on the same sections.
    counts_only_of_set
        Sections without an image that any fold of the cohort and split unit learns from: a fold that holds out a
        patient does not learn from that patient's.
    """

    fold: "Fold"
    variant: Variant
    lake: Lake
    experiment: Experiment
    settings: "Settings"
    progress: Progress
    has_twin: bool
    counts_only_of_set: Sequence[SectionKey]

    @property
    def run_columns(self) -> dict[str, str | int]:
        """Columns that say what every row of the fold's tables was made for."""
        variant = self.variant
        return {"fold_id": self.fold.fold_id, "panel": variant.panel, "target": variant.target, "seed": variant.seed}

    def sections(self, roles: Iterable[str]) -> list[SectionKey]:
        """Sections with any of the roles, role by role, in key order."""
        return [key for role in roles for key in getattr(self.fold, role)]

    def panel(self) -> "Panel":
        """Genes to predict in this fold."""
        return read_panel(self.lake, self.slot("expression/panel"))

    def counts_only_sections(self) -> "list[TrainSection]":
        """Sections without an image that the fold may learn from."""
        return [train_section(self.lake, key, ()) for key in self.fold.counts_only]

    def train_sections(self, features: Sequence[str], *, pixels: bool = False) -> "list[TrainSection]":
        """Training sections with patch features of the named encoders, and readers of their images where asked."""
        return [train_section(self.lake, key, features, self._patches(key, pixels)) for key in self.fold.train]

    def test_sections(self, features: Sequence[str], *, pixels: bool = False) -> "list[ImageSection]":
        """Held-out sections as a query sees them; arguments as `train_sections`."""
        return [image_section(self.lake, key, features, self._patches(key, pixels)) for key in self.fold.test]

    def _patches(self, key: SectionKey, wanted: bool) -> "PatchReader | None":
        return patch_reader(self.lake, key, self.settings.limits) if wanted else None

    def truth_sections(self) -> "list[TrainSection]":
        """Held-out sections with their counts, for scoring only."""
        return [train_section(self.lake, key, ()) for key in self.fold.test]

    def slot(self, table: str) -> Slot:
        """Where another fold table has this fold."""
        return fold_slot(self.lake, table, self.fold.fold_id, self.variant)

    def rows(self, table: str) -> "pd.DataFrame":
        """The fold's rows of another fold table."""
        return self.lake.read_table(self.slot(table)).to_pandas()

    def section_inputs(self, tables: Iterable[str], roles: Iterable[str]) -> dict[str, str]:
        """Digests of the artefacts of the fold's sections in the named section tables."""
        return self._digests(tables, self.sections(roles))

    def _digests(self, tables: Iterable[str], keys: Sequence[SectionKey]) -> dict[str, str]:
        return {
            f"{table}:{key}": self.lake.require_head(section_slot(self.lake, table, key)).digest
            for table in tables
            for key in keys
        }

    def membership(self, roles: Iterable[str]) -> dict[str, str]:
        """What the fold table says of the sections with these roles, as an input."""
        return {
            f"fold:{role}": ",".join(f"{key}={self.fold.patients[key]}" for key in getattr(self.fold, role))
            for role in roles
        }

    def training_folder(self, table: str, facts: Mapping[str, str]) -> Path:
        """Folder for checkpoints of one training job, the same again for equal facts, in this fold or another."""
        return home() / TRAINING / fingerprint(table, "", "", facts)[:16]

    def generation(
        self,
        asset: str,
        mark: str,
        section_tables: Iterable[str],
        roles: Collection[str],
        fold_tables: Iterable[str],
        outside: Mapping[str, str],
    ) -> str:
        """Name what is equal in all folds of a set: code, settings, files outside, the cohort's data; not the fold."""
        upstream = {table: self.lake.require_head(self.slot(table)).provenance for table in fold_tables}
        keys = [*self.fold.test, *self.fold.train, *(self.counts_only_of_set if "counts_only" in roles else ())]
        inputs: Mapping[str, str] = {
            **dict(sorted(self._digests(section_tables, keys).items())),
            **{table: provenance.generation for table, provenance in upstream.items()},
            **outside,
        }
        return fingerprint(asset, mark, "", inputs)


def open_folds(
    lake: Lake, experiment: Experiment, settings: "Settings", progress: Callable[[str], Progress]
) -> Callable[[str], FoldWork]:
    """Read the fold table once, and open folds of it by key.

    Raises
    ------
    MissingArtifactError
        There is no fold table, or (on opening) no such fold in it.
    """
    folds = read_folds(lake)
    variant = experiment.variant()

    def open_fold(key: str) -> FoldWork:
        if key not in folds:
            raise MissingArtifactError(
                "the fold is not in the fold table", fold=key, hint="materialize folds/fold_table"
            )
        fold = folds[key]
        has_twin = sum(other.train == fold.train for other in folds.values()) > 1
        peers = [other for other in folds.values() if _set_of(other) == _set_of(fold)]
        counts_only = sorted({section for other in peers for section in other.counts_only})
        return FoldWork(fold, variant, lake, experiment, settings, progress(key), has_twin, counts_only)

    return open_fold


def _set_of(fold: "Fold") -> tuple[str, str]:
    """Folds of one cohort and split unit are shown together."""
    return fold.fold_id.partition("/")[0], fold.split_unit
