"""Small pictures for asset metadata: what a person would rather look at than read.

Belongs here: matplotlib figures from arrays, as PNG bytes under ``MAX_BYTES`` (every materialization keeps its own
copy in the event log). Does not belong here: reading tables, scores, reports.

Sequential values are drawn in viridis, signed ones in RdBu_r centred at zero, categories in Okabe-Ito; observed and
predicted share one scale, the 2nd to 98th percentile of the observed.
"""

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MAX_BYTES = 100_000
_MOST_SECTIONS = 40
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")


def _figure(columns: int, rows: int = 1, size: float = 3.2) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size * columns, size * rows), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False).ravel()


def _png(figure: Any) -> bytes:
    """Encode with a small palette; lower the resolution until the picture is under ``MAX_BYTES``."""
    from PIL import Image

    for dpi in (80, 60, 40):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
        packed = io.BytesIO()
        Image.open(buffer).convert("RGB").quantize(128).save(packed, format="png", optimize=True)
        if packed.tell() <= MAX_BYTES:
            break
    return packed.getvalue()


def _map(axis: Any, x: "np.ndarray", y: "np.ndarray", values: "np.ndarray", title: str, **style: Any) -> Any:
    """Spots in image orientation: origin top left, y downwards, equal aspect."""
    drawn = axis.scatter(x, y, c=values, s=style.pop("s", 9), linewidths=0, **style)
    axis.set_title(title, fontsize=8)
    axis.set_aspect("equal")
    axis.invert_yaxis()
    axis.set_xticks([])
    axis.set_yticks([])
    return drawn


def slide_with_spots(thumbnail: "np.ndarray", x: "np.ndarray", y: "np.ndarray", title: str) -> bytes:
    """H&E thumbnail beside the same with its spots.

    Parameters
    ----------
    thumbnail
        uint8 RGB, shape ``(height, width, 3)``.
    x, y
        Spot centres in thumbnail pixels.
    title
        Drawn above the picture.
    """
    figure, (plain, marked) = _figure(2)
    for axis in (plain, marked):
        axis.imshow(thumbnail)
        axis.set_axis_off()
    marked.scatter(x, y, s=7, facecolors="none", edgecolors="black", linewidths=0.6)
    figure.suptitle(title, fontsize=9)
    return _png(figure)


def spot_values(spots: "pd.DataFrame", columns: dict[str, str]) -> bytes:
    """Map spot columns; ``columns`` gives each one's title."""
    figure, axes = _figure(len(columns))
    for axis, (column, title) in zip(axes, columns.items(), strict=True):
        drawn = _map(axis, spots.pixel_x, spots.pixel_y, spots[column], title, cmap="viridis")
        figure.colorbar(drawn, ax=axis, shrink=0.7)
    return _png(figure)


def hvg_scatter(table: "pd.DataFrame", title: str) -> bytes:
    """Normalised dispersion against mean expression, highly variable genes in colour."""
    figure, (axis,) = _figure(1, size=4)
    for variable, colour in ((False, "#bbbbbb"), (True, OKABE_ITO[1])):
        part = table[table.is_highly_variable == variable]
        axis.scatter(part.mean_expression, part.dispersion_norm, s=3, color=colour, linewidths=0)
    axis.set(xlabel="mean expression, log1p", ylabel="normalised dispersion", title=title)
    return _png(figure)


def shares(table: "pd.DataFrame", title: str) -> bytes:
    """Mean share of each class as bars; ``table`` has ``cell_class`` and ``proportion``."""
    mean = table.groupby("cell_class", observed=True).proportion.mean().sort_values()
    figure, (axis,) = _figure(1)
    axis.barh(list(mean.index), mean.to_numpy(), color=OKABE_ITO[0])
    axis.set(xlabel="mean proportion", title=title)
    return _png(figure)


def edges(spots: "pd.DataFrame", graph: "pd.DataFrame", title: str) -> bytes:
    """Graph edges between spot centres."""
    from matplotlib.collections import LineCollection

    place = spots.set_index("spot_id")[["pixel_x", "pixel_y"]]
    ends = [place.loc[graph[side]].to_numpy() for side in ("source_spot_id", "target_spot_id")]
    figure, (axis,) = _figure(1, size=4)
    axis.add_collection(LineCollection(list(zip(*ends, strict=True)), linewidths=0.3, colors=OKABE_ITO[0], alpha=0.3))
    _map(axis, spots.pixel_x, spots.pixel_y, "black", title, s=5)
    return _png(figure)


def loss_curves(history: "pd.DataFrame", title: str) -> bytes:
    """One panel per stage, one line per term, each over its first value so that terms share an axis."""
    stages = list(history.stage.unique())
    figure, axes = _figure(len(stages))
    for axis, stage in zip(axes, stages, strict=True):
        for colour, (term, part) in zip(OKABE_ITO * 4, history[history.stage == stage].groupby("term"), strict=False):
            scale = abs(part["value"].iloc[0]) or 1.0
            axis.plot(part.epoch, part["value"] / scale, label=term, color=colour, linewidth=1)
        axis.set(xlabel="epoch", ylabel="relative to epoch 1", title=stage)
        axis.legend(fontsize=6)
    figure.suptitle(title, fontsize=9)
    return _png(figure)


def observed_and_predicted(spots: "pd.DataFrame", genes: list[str], title: str) -> bytes:
    """Observed, predicted and error maps, a row per gene.

    Parameters
    ----------
    spots
        ``pixel_x``, ``pixel_y``, and per gene ``observed_<gene>``, ``predicted_<gene>``.
    genes
        Which to draw.
    title
        Drawn above the picture.
    """
    import numpy as np

    figure, axes = _figure(3, len(genes), size=2.3)
    for row, gene in enumerate(genes):
        observed, predicted = spots[f"observed_{gene}"], spots[f"predicted_{gene}"]
        low, high = np.percentile(observed, [2, 98])
        reach = float(np.abs(predicted - observed).max()) or 1.0
        panels = (
            (observed, f"{gene} observed", {"cmap": "viridis", "vmin": low, "vmax": high}),
            (predicted, f"{gene} predicted", {"cmap": "viridis", "vmin": low, "vmax": high}),
            (predicted - observed, f"{gene} error", {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}),
        )
        for axis, (values, label, style) in zip(axes[3 * row : 3 * row + 3], panels, strict=True):
            figure.colorbar(_map(axis, spots.pixel_x, spots.pixel_y, values, label, s=6, **style), ax=axis, shrink=0.6)
    figure.suptitle(title, fontsize=9)
    return _png(figure)


def score_histogram(scores: "pd.DataFrame", title: str) -> bytes:
    """Per-gene Pearson correlations, one outline per method, its mean dashed."""
    import numpy as np

    figure, (axis,) = _figure(1, size=4)
    bins = np.linspace(-0.4, 1.0, 57)
    for colour, (method, part) in zip(OKABE_ITO * 4, scores.dropna(subset=["pearson"]).groupby("name"), strict=False):
        axis.hist(part.pearson, bins=bins, histtype="step", color=colour, label=str(method))
        axis.axvline(part.pearson.mean(), color=colour, linestyle="--", linewidth=0.8)
    axis.set(xlabel="Pearson r per gene", ylabel="genes", title=title)
    axis.legend(fontsize=6)
    return _png(figure)


def scoreboard_bars(board: "pd.DataFrame", title: str) -> bytes:
    """Mean Pearson per method with the range over sections; diagnostics hatched, the ceiling as a line."""
    figure, (axis,) = _figure(1, size=4.5)
    board = board.sort_values("pearson")
    spread = [board.pearson - board.pearson_min, board.pearson_max - board.pearson]
    bars = axis.barh(board["name"], board.pearson, xerr=spread, color=OKABE_ITO[0], error_kw={"linewidth": 0.8})
    for bar, diagnostic in zip(bars, board.is_diagnostic, strict=True):
        bar.set_hatch("//" if diagnostic else "")
    axis.axvline(board.ceiling.max(), color="black", linestyle=":", label="noise ceiling")
    axis.set(xlabel="mean Pearson r over genes (range over sections)", title=title)
    axis.legend(fontsize=7)
    return _png(figure)


def forest(rows: "pd.DataFrame", reference: str, title: str) -> bytes:
    """Differences from a reference with their intervals; filled where they stay after the correction.

    Parameters
    ----------
    rows
        ``name``, ``difference``, ``low``, ``high``, ``p_holm``, one row a method.
    reference
        Subtracted from all.
    title
        Drawn above the picture.
    """
    figure, (axis,) = _figure(1, size=4.5)
    ordered = rows.sort_values("difference").reset_index(drop=True)
    axis.hlines(ordered.index, ordered.low, ordered.high, color=OKABE_ITO[0], linewidth=1.5)
    faces = [OKABE_ITO[0] if p < 0.05 else "white" for p in ordered.p_holm]
    axis.scatter(ordered.difference, ordered.index, c=faces, edgecolors=OKABE_ITO[0], s=30, zorder=3)
    axis.axvline(0, color="black", linestyle=":")
    axis.set_yticks(list(ordered.index), list(ordered.name))
    axis.set_xlabel(f"mean r minus that of {reference}, 95 % interval\nfilled: p < 0.05 after Holm", fontsize=7)
    figure.suptitle(title, fontsize=8, wrap=True)
    return _png(figure)


def paired_differences(patients: "pd.DataFrame", title: str) -> bytes:
    """One line a patient, from the opponent's score to the challenger's; blue gains, orange loses.

    Parameters
    ----------
    patients
        ``patient``, ``opponent``, ``challenger``, one row a patient.
    title
        Drawn above the picture.
    """
    figure, (axis,) = _figure(1, size=4.0)
    for row in patients.itertuples():
        color = OKABE_ITO[0] if row.challenger >= row.opponent else OKABE_ITO[1]
        axis.plot([0, 1], [row.opponent, row.challenger], color=color, marker="o", markersize=4, linewidth=1.2)
        axis.annotate(row.patient, (1.03, row.challenger), fontsize=7, va="center")
    axis.set_xlim(-0.1, 1.5)
    axis.set_xticks([0, 1], ["opponent", "challenger"])
    axis.set_ylabel("mean r of a patient, out of fold", fontsize=7)
    figure.suptitle(title, fontsize=8, wrap=True)
    return _png(figure)


def drift_dots(rows: "pd.DataFrame", title: str) -> bytes:
    """One line a section, one dot a measure; filled for new sections, hollow for training, beyond 1 is drift.

    Parameters
    ----------
    rows
        ``name``, ``measure``, ``ratio`` (value over threshold), ``is_training``, one row a section and measure.
    title
        Drawn above the picture.
    """
    worst = rows.groupby("name").agg(is_training=("is_training", "first"), ratio=("ratio", "max"))
    shown = worst.sort_values(["is_training", "ratio"], ascending=[True, False], kind="stable").index[:_MOST_SECTIONS]
    place = {name: -index for index, name in enumerate(shown)}
    figure, (axis,) = _figure(1, size=max(3.5, 0.16 * len(shown) + 1.5))
    for colour, (measure, part) in zip(OKABE_ITO, rows[rows.name.isin(shown)].groupby("measure"), strict=False):
        faces = ["white" if training else colour for training in part.is_training]
        axis.scatter(
            part.ratio, [place[name] for name in part.name], c=faces, edgecolors=colour, s=22, label=str(measure)
        )
    axis.axvline(1, color="black", linestyle=":")
    axis.set_xlim(left=0)
    axis.set_yticks(list(place.values()), list(place), fontsize=6)
    axis.set_xlabel("value / threshold (hollow: training section, left out)", fontsize=7)
    axis.legend(fontsize=6)
    figure.suptitle(title, fontsize=7, wrap=True)
    return _png(figure)


def recall_bars(rows: "pd.DataFrame", title: str) -> bytes:
    """Score after training on mates and on strangers, a pair of bars per method.

    Parameters
    ----------
    rows
        ``name``, ``mates``, ``strangers``, one row a method.
    title
        Drawn above the picture.
    """
    figure, (axis,) = _figure(1, size=4)
    ordered = rows.sort_values("mates").reset_index(drop=True)
    for offset, arm, colour in ((0.2, "mates", OKABE_ITO[0]), (-0.2, "strangers", OKABE_ITO[4])):
        axis.barh(ordered.index + offset, ordered[arm], height=0.4, color=colour, label=f"trained on {arm}")
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_yticks(list(ordered.index), list(ordered.name))
    axis.set_xlabel("mean Pearson r over genes, equal numbers of training spots", fontsize=8)
    axis.legend(fontsize=7)
    figure.suptitle(title, fontsize=8, wrap=True)
    return _png(figure)


def ablation_bars(rows: "pd.DataFrame", title: str) -> bytes:
    """Mean difference from the whole model for each part left out, a point a section.

    Parameters
    ----------
    rows
        ``parameter``, ``is_base``, ``difference``, one row a change and section.
    title
        Drawn above the picture.
    """
    from gr2st_core.studies.changes import LABELS

    figure, (axis,) = _figure(1, size=4.5)
    changed = rows[~rows.is_base]
    means = changed.groupby("parameter").difference.mean().sort_values(ascending=False, kind="stable")
    axis.barh(range(len(means)), means, color=OKABE_ITO[5], height=0.6)
    for place, name in enumerate(means.index):
        points = changed.difference[changed.parameter == name]
        axis.scatter(points, [place] * len(points), s=14, facecolors="white", edgecolors="black", zorder=3)
    axis.axvline(0, color="black", linestyle=":")
    axis.set_yticks(range(len(means)), [LABELS[name] for name in means.index], fontsize=7)
    axis.set_xlabel("Pearson r (mean over genes)\nminus that of the whole model\nbar: mean, point: section", fontsize=7)
    figure.suptitle(title, fontsize=8)
    return _png(figure)


def sensitivity_curves(rows: "pd.DataFrame", title: str) -> bytes:
    """Difference from the base along each setting: a thin line a section, the mean thick, base settings filled.

    Parameters
    ----------
    rows
        ``parameter``, ``value``, ``section_id``, ``is_base``, ``difference``, one row a change and section.
    title
        Drawn above the picture.
    """
    from gr2st_core.studies.changes import LABELS

    names = [name for name in LABELS if name in set(rows.parameter)]
    figure, axes = _figure(3, -(-len(names) // 3), size=2.6)
    reach = 1.1 * max(float(rows.difference.abs().max()), 1e-3)
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    for axis, name in zip(axes, names, strict=False):
        part = rows[rows.parameter == name].sort_values("value")
        for _, own in part.groupby("section_id"):
            axis.plot(own["value"], own.difference, color="#999999", linewidth=0.6)
        mean, base = part.groupby("value").difference.mean(), part[part.is_base]
        axis.plot(
            mean.index, mean, color=OKABE_ITO[0], linewidth=1.5, marker="o", markersize=4, markerfacecolor="white"
        )
        axis.scatter(base["value"], base.difference, color=OKABE_ITO[1], s=16, zorder=3)
        axis.axhline(0, color="black", linestyle=":", linewidth=0.8)
        if mean.index[0] > 0 and mean.index[-1] >= 8 * mean.index[0]:
            axis.set_xscale("log")
            axis.minorticks_off()
        shown = mean.index if len(mean) <= 5 else sorted({mean.index[0], *base["value"], mean.index[-1]})
        axis.set_xticks(shown, [f"{value:g}" for value in shown])
        axis.set_ylim(-reach, reach)
        axis.set_xlabel(LABELS[name], fontsize=7)
        axis.tick_params(labelsize=6)
    figure.supylabel("Pearson r (mean over genes) minus that of the base", fontsize=7)
    figure.suptitle(f"{title}\norange: the base's own setting; blue: mean; grey: sections", fontsize=8)
    return _png(figure)
