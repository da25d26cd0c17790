"""Group ``expression``: variable genes per section, the panel per fold.

Belongs here: which genes. Does not belong here: counts as read (``raw``), observed values beside predictions
(``predictions``).
"""

from collections.abc import Mapping

from gr2st_assets import pictures
from gr2st_assets.checks import domain
from gr2st_assets.kinds import fold_asset, section_asset
from gr2st_assets.schema import arrow_schema
from gr2st_assets.sections import counts, read_rows
from gr2st_assets.steps import Product
from gr2st_assets.tables import table_spec
from gr2st_assets.work import FoldWork, SectionWork

CODE = ("gr2st_core.expression",)


@section_asset(
    "expression/hvg_table",
    deps=("raw/counts", "raw/spots"),
    code=CODE,
    checks=("genes_vary",),
    kinds=frozenset({"scanpy"}),
)
def hvg_table(work: SectionWork) -> Product:
    """Every gene's mean, dispersion and rank by normalised dispersion (scanpy, flavour seurat); none without counts."""
    from gr2st_core.expression.hvg import hvg_table as rank_genes

    spots = work.rows("raw/spots")
    if not spots.has_counts.any():
        return Product(arrow_schema(table_spec("expression/hvg_table")).empty_table(), {"n_genes": 0})
    spot_ids = spots["spot_id"].to_numpy(dtype=str)
    table = rank_genes(counts(work.lake, work.key, spot_ids)).assign(**work.columns)
    return Product(
        table,
        {"n_genes": len(table), "n_highly_variable": int(table.is_highly_variable.sum())},
        pictures.hvg_scatter(table, str(work.key)),
        [domain.genes_vary(table)],
    )


def _panel_file(work: FoldWork) -> Mapping[str, str]:
    from gr2st_core.cohorts.files import file_sha256

    path = work.experiment.panel_file()
    return {"panel_file": file_sha256(path)} if path else {}


@fold_asset(
    "expression/panel",
    section_tables=("expression/hvg_table",),
    code=CODE,
    checks=("panel_from_training",),
    settings_hash=lambda settings: settings.panel.digest,
    files=_panel_file,
    kinds=frozenset({"python"}),
)
def panel(work: FoldWork) -> Product:
    """Ordered genes that this fold's models predict; chosen from its training sections unless the list is fixed."""
    import pandas as pd

    from gr2st_core.expression.breast_markers import GROUP_OF, breast_markers
    from gr2st_core.expression.panels import fold_safe_panel, panel_from_file, restrict

    tables = {key: read_rows(work.lake, "expression/hvg_table", key).to_pandas() for key in work.fold.train}
    measured = {gene for table in tables.values() for gene in table.gene}
    fixed = work.experiment.panel_file()
    if fixed:
        chosen, missing = restrict(panel_from_file(fixed), measured)
    elif work.variant.panel == "breast_markers":
        chosen, missing = restrict(breast_markers(), measured)
    else:
        chosen, missing = fold_safe_panel(tables, work.fold.patients, work.settings.panel), ()
    table = pd.DataFrame(
        {
            "fold_id": work.fold.fold_id,
            "panel": chosen.name,
            "position": range(len(chosen)),
            "gene": chosen.genes,
            "gene_group": [GROUP_OF.get(gene) for gene in chosen.genes],
            "panel_sha256": chosen.sha256,
        }
    )
    return Product(
        table,
        {"n_genes": len(chosen), "n_left_out": len(missing), "panel_sha256": chosen.sha256},
        findings=[domain.panel_from_training(table, measured, missing)],
    )
