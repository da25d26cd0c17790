"""What readers of the lake are given: one complete generation, as a DuckDB file.

Belongs here: from the newest artefacts to the catalogue, and going back. Does not belong here: when artefacts may be
shown together (``manifest``), the views (``catalog``), running queries (``sql``).
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gr2st_assets import manifest
from gr2st_assets.catalog import build_catalog
from gr2st_assets.lake import Lake
from gr2st_assets.model_costs import NAME as COSTS
from gr2st_assets.model_costs import cost_rows
from gr2st_assets.project import home
from gr2st_assets.publish import is_local
from gr2st_assets.records import Slot

CHECKS = "checks/"


@dataclass(frozen=True)
class Published:
    """The catalogue as it now stands.

    Attributes
    ----------
    number
        Manifest that it shows.
    waiting
        Fold sets, and tables that users added, that are made but not shown, and why.
    """

    path: Path
    number: int
    n_files: int
    waiting: list[str]


def catalog_path(lake: Lake) -> Path:
    """Where the DuckDB file is: in the lake, or in the project folder if the lake is remote."""
    return Path(lake.root.path) / "catalog.duckdb" if is_local(lake.root) else home() / "catalog.duckdb"


def publish_catalog(lake: Lake) -> Published:
    """Show readers the newest complete generation."""
    folds = _fold_sets(lake)
    return _write(lake, manifest.build_manifest(lake, folds), waiting(lake))


def waiting(lake: Lake) -> list[str]:
    """Tell which fold sets are made but not shown, and what they wait for; tables that wait alike in one line."""
    alike: dict[tuple[str, str], list[str]] = {}
    for held in manifest.held_back(lake, _fold_sets(lake)):
        place = " ".join(value for _, value in held.keys)
        if held.missing:
            reason = f"{len(held.missing)} of {len(held.expected)} folds missing: {', '.join(held.missing[:5])}"
        else:
            reason = f"{len(held.generations)} generations of code, settings or data: materialize all folds"
        alike.setdefault((f"{place}, {held.unit} unit", reason), []).append(held.table)
    return [
        f"{place}: {reason} ({tables[0]}{f' and {len(tables) - 1} more' if tables[1:] else ''})"
        for (place, reason), tables in sorted(alike.items())
    ]


def shown_next(lake: Lake, *tables: str) -> dict[Slot, str]:
    """Artefacts of some tables that the next catalogue will show, by slot: what may be averaged together."""
    entries = manifest.preview(lake, _fold_sets(lake))
    return {slot: entry.digest for slot, entry in sorted(entries.items()) if slot.table in tables}


@dataclass(frozen=True)
class Preview:
    """Artefacts of some tables that the next catalogue will show, all chosen at one moment."""

    shown: manifest.Manifest

    @property
    def digests(self) -> dict[str, str]:
        """One SHA-256 a table over the slots and digests of its artefacts."""
        tables = self.shown.tables().items()
        return {name: _sha256({str(slot): entry.digest for slot, entry in own.items()}) for name, own in tables}

    @property
    def digest(self) -> str:
        """SHA-256 that names this state of the tables."""
        return _sha256(self.digests)

    @contextmanager
    def catalog(self, lake: Lake) -> Iterator[Path]:
        """Give a catalogue of these artefacts alone; every other view is empty."""
        with tempfile.TemporaryDirectory(prefix="gr2st-") as folder:
            path = Path(folder) / "preview.duckdb"
            build_catalog(lake.root, _viewed(self.shown.parquet_files(lake)), path)
            yield path


def preview(lake: Lake, is_read: Callable[[str], bool]) -> Preview:
    """Choose what the next catalogue will show of the tables that ``is_read`` names."""
    entries = manifest.preview(lake, _fold_sets(lake))
    return Preview(manifest.Manifest(0, {slot: entry for slot, entry in entries.items() if is_read(slot.table)}))


def publish_shown(lake: Lake, shown: manifest.Manifest) -> Published:
    """Write the catalogue of a manifest that is current already."""
    return _write(lake, shown, [])


def rollback(lake: Lake, number: int) -> Published:
    """Show readers an earlier generation again, until something new is published."""
    return _write(lake, manifest.rollback(lake, number), [])


def _write(lake: Lake, shown: manifest.Manifest, waiting: list[str]) -> Published:
    files = shown.parquet_files(lake)
    path = catalog_path(lake)
    left_out = build_catalog(lake.root, _viewed(files), path, {COSTS: cost_rows(lake, shown.entries)})
    return Published(path, shown.number, sum(map(len, files.values())), [*waiting, *left_out])


def _viewed(files: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Files by view: what every asset's checks found is one table."""
    tables = {name: paths for name, paths in files.items() if not name.startswith(CHECKS)}
    return {
        **tables,
        "catalog/check_results": [p for name, paths in files.items() if name.startswith(CHECKS) for p in paths],
    }


def _sha256(digests: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _fold_sets(lake: Lake) -> Mapping[tuple[str, str], list[str]]:
    """Folds of each cohort and split unit, by their names in the lake's folders."""
    from gr2st_assets.sections import read_folds  # imports Dagster, which the command that asks starts without

    if lake.head(lake.slot("folds/fold_table")) is None:
        return {}
    sets: dict[tuple[str, str], list[str]] = {}
    for fold_id, fold in read_folds(lake).items():
        cohort, _, name = fold_id.partition("/")
        sets.setdefault((cohort, fold.split_unit), []).append(name)
    return sets
