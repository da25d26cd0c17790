"""Group ``catalog``: what readers see.

Belongs here: the next manifest and the DuckDB file made from it. Does not belong here: how they are made
(``gr2st_assets.manifest``, ``gr2st_assets.catalog``).
"""

import dagster as dg

from gr2st_assets.kinds import OWNERS, below_all
from gr2st_assets.readers import publish_catalog
from gr2st_assets.resources import LakeResource
from gr2st_assets.tables import TABLES


def catalog_asset(assets: list[dg.AssetsDefinition]) -> dg.AssetsDefinition:
    """Make the catalogue asset, downstream of all tables."""

    @dg.asset(
        key=["catalog", "catalog"],
        group_name="catalog",
        owners=OWNERS,
        kinds={"duckdb"},
        pool="catalog",
        deps=below_all(assets),
        output_required=False,
    )
    def catalog(lake: LakeResource) -> dg.MaterializeResult:
        """DuckDB views over one complete generation of the lake; rebuilt in whole, readers never wait."""
        published = publish_catalog(lake.open())
        return dg.MaterializeResult(
            metadata={
                "dagster/uri": str(published.path),
                "generation": published.number,
                "views": len(TABLES),
                "files": published.n_files,
                "waiting": dg.MetadataValue.json(published.waiting),
            }
        )

    return catalog
