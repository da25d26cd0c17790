"""A section, its prediction and all that is shown beside it, read from the lake.

Belongs here: rows that readers are shown, aligned by spot. Does not belong here: the choice of a prediction
(``chosen``), its values (``values``), the page.
"""

from typing import TYPE_CHECKING

from gr2st_assets.explorer.chosen import Chosen, Shown, section_entry
from gr2st_assets.explorer.neighbours import reference_spots
from gr2st_assets.explorer.slide import read_slide
from gr2st_assets.explorer.values import read_expression
from gr2st_assets.explorer.view import Spots, View
from gr2st_assets.lake import Lake
from gr2st_assets.matrices import edge_rows
from gr2st_assets.models import load_model, method_spec
from gr2st_assets.section_images import query_section
from gr2st_assets.sections import align

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DRIFT, GRAPH = "serving/spot_drift", "graphs/spatial_graph"


def gather(lake: Lake, shown: Shown, chosen: Chosen) -> View:
    """Read all that the page of a section shows.

    Raises
    ------
    MissingArtifactError, DataError, AlignmentError, CheckpointError
    """
    import numpy as np

    from gr2st_core.settings import Settings

    spots = _rows(lake, shown, "raw/spots", chosen)
    slide = _rows(lake, shown, "raw/slides", chosen).iloc[0]
    ids = spots.spot_id.to_numpy(dtype=np.str_)
    pixel_xy = spots[["pixel_x", "pixel_y"]].to_numpy(dtype=np.float64)
    spec = method_spec(chosen.name)
    settings = Settings.model_validate(chosen.event.contender.settings if chosen.event else {})
    fitted = load_model(lake, chosen.name, *chosen.model, settings)
    image = query_section(lake, chosen.key, spec, settings.limits)
    expression, identity = read_expression(lake, shown, chosen, image, fitted)
    drift = _drift(lake, shown, chosen, ids)
    from gr2st_core.cohorts.spot_size import spot_diameter

    diameter, note = spot_diameter(slide.pitch_um)
    held_out = "trained without this section" if chosen.split_unit == "all" else f"{chosen.split_unit} held out"
    return View(
        section=str(chosen.key),
        model_id=identity,
        facts={
            "patient": slide.patient_id,
            "method": f"{chosen.name}: {spec.description}",
            "fold": f"{chosen.fold_id}, {held_out}",
            "target": chosen.variant.target,
            "panel": f"{chosen.variant.panel}, {len(expression.genes)} genes",
            "seed": str(chosen.variant.seed),
            "model": identity[:16],
        },
        slide=read_slide(lake, chosen.key, slide, pixel_xy),
        spots=Spots(
            ids=tuple(ids.tolist()),
            pixel_xy=pixel_xy,
            diameter_um=diameter,
            diameter_note=note,
            regions=tuple(None if region is None else str(region) for region in spots.region),
            quantile=None if drift is None else drift["quantile"].to_numpy(dtype=np.float64),
            edges=_edges(lake, shown, chosen, ids),
            edge_note="They are those of the spatial graph. The functional graph joins training spots only.",
        ),
        expression=expression,
        references=reference_spots(fitted, image, chosen.name, drift),
    )


def _rows(lake: Lake, shown: Shown, table: str, chosen: Chosen) -> "pd.DataFrame":
    slot, digest = section_entry(lake, shown, table, chosen.key)
    return lake.read_table(slot, digest=digest).to_pandas()


def _edges(lake: Lake, shown: Shown, chosen: Chosen, ids: "np.ndarray") -> "np.ndarray":
    slot, digest = section_entry(lake, shown, GRAPH, chosen.key)
    edges = lake.read_table(slot, ["source_spot_id", "target_spot_id"], digest)
    return edge_rows(edges, ids.tolist(), section=str(chosen.key))


def _drift(lake: Lake, shown: Shown, chosen: Chosen, ids: "np.ndarray") -> "pd.DataFrame | None":
    """Scores of the section's spots beside its cohort's champion, else the first other; None if there are none."""
    slot = lake.slot(DRIFT)
    digest = shown.digest(slot)
    if digest is None:
        return None
    rows = lake.read_table(slot, digest=digest).to_pandas()
    own = rows[(rows.cohort == chosen.key.cohort) & (rows.section_id == chosen.key.section_id)]
    if own.empty:
        return None
    wanted = chosen.fold_id.partition("/")[0]
    cohort = wanted if (own.reference_cohort == wanted).any() else min(own.reference_cohort)
    return align(own[own.reference_cohort == cohort], ids, table=DRIFT, key=chosen.key)
