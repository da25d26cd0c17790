"""What runs are configured with.

Belongs here: the lake's root and the experiment, as Dagster resources. Does not belong here: defaults of the science
(``gr2st_core.settings``), secrets (environment only; run config is stored and shown).
"""

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from gr2st_assets.lake import Lake
from gr2st_assets.project import lake_root
from gr2st_assets.slots import Variant
from gr2st_core.errors import SettingsError
from gr2st_core.keys import TARGETS

if TYPE_CHECKING:
    from gr2st_core.settings import Settings

CHOSEN_PANELS = ("fold_safe", "breast_markers")


class LakeResource(dg.ConfigurableResource):
    """The lake that assets publish to and read from."""

    root: str = Field("", description="any fsspec URL; empty: GR2ST_LAKE, else lake/ in the project folder")

    def open(self) -> Lake:
        """Open the lake."""
        return Lake(self.root or lake_root())


class Experiment(dg.ConfigurableResource):
    """What a run predicts, and under which settings; panel, target and seed become columns and folders."""

    panel: str = Field(
        "fold_safe", description="fold_safe, breast_markers, or the path of a text file with one gene symbol a line"
    )
    target: str = Field("per_spot", description="per_spot, per_gene_legacy or cp10k")
    seed: int = Field(0, ge=0, description="seed of every random draw in training")
    cells: str = Field(
        "auto", description="auto (the cohort's own table, else marker genes), marker_genes, deconvolution, hovernet"
    )
    settings_file: str = Field("", description="YAML overrides of gr2st_core.settings; empty: the defaults")

    def variant(self) -> Variant:
        """Name panel, target and seed as they stand in columns and folders.

        Raises
        ------
        SettingsError
            No such target.
        """
        if self.target not in TARGETS:
            raise SettingsError("no such target", found=self.target, expected=TARGETS)
        file = self.panel_file()
        if file is None:
            return Variant(self.panel, self.target, self.seed)
        from gr2st_core.expression.panels import panel_from_file

        return Variant(panel_from_file(file).name, self.target, self.seed)

    def panel_file(self) -> Path | None:
        """File that lists the panel's genes, or None if the panel is chosen otherwise."""
        return None if self.panel in CHOSEN_PANELS else Path(self.panel)

    def settings(self) -> "Settings":
        """Read the settings."""
        from gr2st_core.settings import load_settings

        return load_settings(Path(self.settings_file) if self.settings_file else None)
