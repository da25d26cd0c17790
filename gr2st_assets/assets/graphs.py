"""Group ``graphs``: which spots a model connects.

Belongs here: the spatial graph of each section, and the functional graph that a trained GR2ST used, exported per
fold. Does not belong here: how they are built (``gr2st_core.graphs``).
"""

from gr2st_assets import pictures
from gr2st_assets.checks import domain
from gr2st_assets.kinds import fold_asset, section_asset
from gr2st_assets.models import load_fitted, method_spec, model_id
from gr2st_assets.steps import Product
from gr2st_assets.work import FoldWork, SectionWork

GR2ST = "gr2st_ours"


@section_asset(
    "graphs/spatial_graph",
    deps=("raw/spots", "raw/slides"),
    code=("gr2st_core.graphs",),
    checks=("graph_degrees",),
    settings_hash=lambda settings: settings.gr2st.graph.digest,
    kinds=frozenset({"pyg"}),
)
def spatial_graph(work: SectionWork) -> Product:
    """Spots less than the radius apart, in units of the spot pitch, each with itself."""
    import pandas as pd

    from gr2st_core.graphs.spatial import spatial_graph as connect

    spots, slide = work.rows("raw/spots"), work.rows("raw/slides").iloc[0]
    centres = spots[["pixel_x", "pixel_y"]].to_numpy() / slide.pitch_px
    graph = connect(centres, work.settings.gr2st.graph.radius_pitches)
    source, target = graph.edge_index.numpy()
    ids = spots.spot_id.to_numpy()
    table = pd.DataFrame(
        {
            **work.columns,
            "source_spot_id": ids[source],
            "target_spot_id": ids[target],
            "distance_pitches": graph.edge_attr.numpy().ravel(),
        }
    )
    return Product(
        table,
        {"n_edges": len(table), "mean_degree": len(table) / max(len(ids), 1)},
        pictures.edges(spots, table, f"{work.key}: {len(table)} edges"),
        [domain.graph_degrees(table, ids)],
    )


@fold_asset(
    "graphs/functional_graph",
    section_tables=("raw/slides", "raw/spots", "raw/counts", "cells/cell_types"),
    fold_tables=("expression/panel", f"models/model_{GR2ST}"),
    code=("gr2st_core.graphs", "gr2st_core.models.gr2st"),
    checks=("functional_degrees",),
    kinds=frozenset({"torch"}),
)
def functional_graph(work: FoldWork) -> Product:
    """Edges that the trained GR2ST drew between spots of alike expression and cell type, in its training sections."""
    import pandas as pd

    from gr2st_core.models.gr2st.fitted import functional_edges

    fitted = load_fitted(work, GR2ST)
    tables = []
    for section in work.train_sections(method_spec(GR2ST).needs.features):
        edges = functional_edges(fitted, section)
        renamed = edges.rename(columns={"spot_id": "target_spot_id", "neighbour_id": "source_spot_id"})
        tables.append(renamed.assign(cohort=section.key.cohort, section_id=section.key.section_id))
    table = pd.concat(tables).assign(**work.run_columns, model_id=model_id(work, GR2ST))
    max_degree = work.settings.gr2st.graph.max_degree
    return Product(table, {"n_edges": len(table)}, findings=[domain.functional_degrees(table, max_degree)])
