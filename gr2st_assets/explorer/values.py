"""Predicted and measured expression of a section, and the intervals.

Belongs here: matrices by spot and gene, the order of genes. Does not belong here: how intervals are calibrated, scores
over sections.
"""

from typing import TYPE_CHECKING

from gr2st_assets.explorer.chosen import Chosen, Shown
from gr2st_assets.explorer.view import Expression
from gr2st_assets.lake import Lake
from gr2st_assets.matrices import spots_by_genes
from gr2st_assets.served import CALIBRATION, read_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pyarrow as pa

    from gr2st_assets.served import Rule
    from gr2st_core.predictor import Fitted
    from gr2st_core.types import ImageSection

OBSERVED = "predictions/observed"
NOT_CHAMPION = "they are calibrated for a cohort's champion, in the folds that hold its patients out"
NOT_CALIBRATED = "readers are shown no calibration of this champion"


def read_expression(
    lake: Lake, shown: Shown, chosen: Chosen, image: "ImageSection", fitted: "Fitted"
) -> tuple[Expression, str]:
    """Read, or else make, the prediction of a section.

    Returns
    -------
    The values, marker genes first and each part by falling r (in the prediction's order where nothing was measured),
    and the id of the model.

    Raises
    ------
    MissingArtifactError, AlignmentError
    LeakageError
        The champion was trained on the section.
    """
    import numpy as np

    ids = image.spot_ids.tolist()
    rows = _stored(lake, shown, chosen)
    observed, pearson = None, None
    if rows is None:
        made = fitted.predict(image)
        genes, predicted = list(made.genes), made.values.astype(np.float32)
        identity = chosen.event.contender.model_id if chosen.event else ""
    else:
        genes = rows.column("gene").unique().to_pylist()
        predicted = spots_by_genes(rows, "predicted", ids, genes, section=str(chosen.key))
        identity = rows.column("model_id")[0].as_py()
    if chosen.split_unit != "all":
        observed, pearson = _measured(lake, shown, chosen, ids, genes, predicted)
    half_width, note = _intervals(lake, shown, chosen, rows, ids, genes, predicted)
    order, groups = _order(genes, pearson)
    values = Expression(
        genes=tuple(genes[k] for k in order),
        groups=tuple(groups[k] for k in order),
        pearson=None if pearson is None else pearson[order],
        predicted=predicted[:, order],
        observed=None if observed is None else observed[:, order],
        half_width=None if half_width is None else half_width[:, order],
        interval_note=note,
    )
    return values, identity


def _of_section(rows: "pa.Table", chosen: Chosen) -> "pa.Table":
    import pyarrow.compute as pc

    key = chosen.key
    return rows.filter((pc.field("cohort") == key.cohort) & (pc.field("section_id") == key.section_id))


def _stored(lake: Lake, shown: Shown, chosen: Chosen) -> "pa.Table | None":
    """Rows of the prediction; None where the champion that serves has left none."""
    import pyarrow.compute as pc

    slot = chosen.predictions
    if slot is None:
        return None
    columns = ["cohort", "section_id", "spot_id", "gene", "predicted", "model_id"]
    if chosen.split_unit != "all":
        return _of_section(lake.read_table(slot, columns, shown.digest(slot)), chosen)
    rows = lake.read_table(slot, [*columns, "champion", "upper", "support"], shown.digest(slot))
    own = rows.filter(pc.field("champion") == chosen.event.number if chosen.event else pc.scalar(False))
    return own if len(own) else None


def _measured(
    lake: Lake, shown: Shown, chosen: Chosen, ids: "Sequence[str]", genes: "Sequence[str]", predicted: "np.ndarray"
) -> "tuple[np.ndarray, np.ndarray]":
    from gr2st_core.evaluation.metrics import pearson_per_gene

    slot = chosen.sibling(OBSERVED, "panel", "target")
    rows = lake.read_table(slot, ["cohort", "section_id", "spot_id", "gene", "observed"], shown.digest(slot))
    observed = spots_by_genes(_of_section(rows, chosen), "observed", ids, genes, section=str(chosen.key))
    return observed, pearson_per_gene(observed, predicted)


def _intervals(
    lake: Lake,
    shown: Shown,
    chosen: Chosen,
    rows: "pa.Table | None",
    ids: "Sequence[str]",
    genes: "Sequence[str]",
    predicted: "np.ndarray",
) -> "tuple[np.ndarray | None, str]":
    """Half widths as they were stored, else as the champion's calibration gives them, and what they support."""
    import numpy as np

    rule = _calibration(lake, shown, chosen, genes)
    if rows is not None and "upper" in rows.column_names:
        half = spots_by_genes(rows, "upper", ids, genes, section=str(chosen.key)) - predicted
        support = set(rows.column("support").unique().to_pylist())
    elif rule is None:
        return None, NOT_CALIBRATED if chosen.event else NOT_CHAMPION
    else:
        half, support = rule.errors.half_width(predicted), set(rule.support)
    if np.isnan(half).all():
        return None, "the calibration supports none"
    level = "" if rule is None else f"{rule.level:.0%} "
    return half.astype(np.float32), f"{level}intervals, support: {' or '.join(sorted(support - {'none'}))}"


def _calibration(lake: Lake, shown: Shown, chosen: Chosen, genes: "Sequence[str]") -> "Rule | None":
    """Intervals of the champion whose recipe is shown; None if readers are shown none of it."""
    digest = shown.digest(lake.slot(CALIBRATION))
    if digest is None or chosen.event is None:
        return None
    rule = read_rule(lake, chosen.event, genes, digest)
    return None if rule.level is None else rule


def _order(genes: "Sequence[str]", pearson: "np.ndarray | None") -> "tuple[list[int], list[str | None]]":
    """Places of the genes as they are listed, and what each marks."""
    import numpy as np

    from gr2st_core.expression.breast_markers import GROUP_OF

    groups = [GROUP_OF.get(gene) for gene in genes]
    worth = np.zeros(len(genes)) if pearson is None else np.nan_to_num(-pearson, nan=np.inf)
    return sorted(range(len(genes)), key=lambda k: (groups[k] is None, worth[k], k)), groups
