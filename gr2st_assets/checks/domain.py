"""Rules about the science, in plain Python: what a table contract cannot say.

Belongs here: functions from rows to one ``CheckRow`` that says what was found. Does not belong here: columns, types
and ranges (``tables``, run by ``contracts``), anything that needs Dagster.

A rule whose breach would make results wrong is critical and blocking; one that deserves a look is a warning.
"""

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from gr2st_assets.checks.rows import CheckRow

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from gr2st_core.training.folds import Fold

SPAN_TOLERANCE = 0.02
_AGREE = "differences are those of the section scores, over spots and genes that were observed"
_SCORED_ONCE = "every held-out section is scored once per method"


def _rule(name: str, expectation: str, violations: Collection[Any] | int, **facts: Any) -> CheckRow:
    """Blocking rule that passes if nothing violates it."""
    return _result(name, expectation, violations, facts, critical=True)


def _remark(name: str, expectation: str, violations: Collection[Any] | int, **facts: Any) -> CheckRow:
    """Warning that passes if nothing violates it."""
    return _result(name, expectation, violations, facts, critical=False)


def _result(
    name: str, expectation: str, violations: Collection[Any] | int, facts: Mapping[str, Any], *, critical: bool
) -> CheckRow:
    n_found = violations if isinstance(violations, int) else len(violations)
    examples = [] if isinstance(violations, int) else [str(v) for v in list(violations)[:10]]
    found = {**facts, **({"examples": examples} if examples else {})}
    return CheckRow(
        name,
        expectation,
        n_found == 0,
        "critical" if critical else "warning",
        critical,
        int(n_found),
        json.dumps(found, sort_keys=True, default=float),
    )


def spots_on_image(spots: "pd.DataFrame", slide: "pd.Series[Any]") -> CheckRow:
    """Every spot centre lies on the image."""
    if slide.image_path is None:
        return _rule("spots_on_image", "spots lie on the image", 0, note="no image")
    inside = spots.pixel_x.between(0, slide.width_px - 1) & spots.pixel_y.between(0, slide.height_px - 1)
    return _rule("spots_on_image", "spots lie on the image", list(spots.spot_id[~inside]), n_spots=len(spots))


def spots_have_counts(spots: "pd.DataFrame", n_dropped: int) -> CheckRow:
    """Sequenced spots hold at least one molecule; says how many rows of the spot file had no counts."""
    empty = spots[spots.has_counts & (spots.total_count == 0)]
    return _remark("spots_have_counts", "no empty spot", list(empty.spot_id), spots_without_counts_dropped=n_dropped)


def counts_match_spots(counts: "pa.Table", spots: "pd.DataFrame") -> CheckRow:
    """Published counts are non-negative integers that add up to the published total of each spot, joined by id."""
    frame = counts.select(["spot_id", "count"]).to_pandas().astype({"spot_id": str})
    no_count = frame[(frame["count"] < 0) | (frame["count"] % 1 != 0)]
    sums = frame.groupby("spot_id")["count"].sum()
    found, expected = sums.align(spots.set_index("spot_id").total_count, fill_value=0)
    wrong = sorted({*no_count.spot_id, *found.index[found != expected]})
    facts = {"n_molecules": float(expected.sum()), "rows_not_counts": len(no_count)}
    return _rule("counts_match_spots", "non-negative integers that add up to the spot's total", wrong, **facts)


def genes_vary(table: "pd.DataFrame") -> CheckRow:
    """Some genes vary enough to be ranked."""
    ranked = int(table.dispersion_norm.notna().sum())
    return _rule("genes_vary", "at least ten genes vary over spots", int(ranked < 10), ranked=ranked, genes=len(table))


def patch_span(name: str, span_um: float, patch_px: int, um_per_px: float) -> CheckRow:
    """The crop on the image, rounded to whole pixels, has the encoder's span in micrometres."""
    found = patch_px * um_per_px
    wrong = abs(found - span_um) > SPAN_TOLERANCE * span_um
    return _rule("patch_span", f"{name} patches span {span_um:g} um", int(wrong), found_um=found, um_per_px=um_per_px)


def resolution(magnification: float) -> CheckRow:
    """The image is not much coarser than the encoder expects."""
    return _remark("resolution", "patches are enlarged less than twice", int(magnification > 2), enlarged=magnification)


def too_coarse(encoder: str, span_um: float, um_per_px: float) -> CheckRow:
    """What ``resolution`` reports of a section whose patches would have too few pixels to show anything."""
    why = f"{encoder} cannot use the image: {um_per_px:g} um per px for patches of {span_um:g} um; no features"
    return _remark("resolution", "the image is fine enough for the encoder", [why], um_per_px=um_per_px)


def embeddings_vary(features: "np.ndarray") -> CheckRow:
    """Features are finite and differ between spots."""
    import numpy as np

    not_finite = int((~np.isfinite(features)).any(axis=1).sum())
    # the spread, not the standard deviation: that of equal float32 numbers is rarely exactly zero
    is_constant = np.ptp(features, axis=0) == 0 if len(features) else np.zeros(features.shape[1], dtype=bool)
    constant = len(features) > 1 and bool(is_constant.all())
    facts = {"rows_not_finite": not_finite, "constant_columns": int(is_constant.sum())}
    return _rule("embeddings_vary", "finite features that differ between spots", not_finite + constant, **facts)


def every_spot_has_rows(table: "pa.Table | pd.DataFrame", spot_ids: Collection[str]) -> CheckRow:
    """A table of a section speaks of each of its spots, and of no other."""
    import pandas as pd

    spoken_of = set(pd.unique(table["spot_id"].to_pandas() if hasattr(table, "schema") else table["spot_id"]))
    faults = sorted(spoken_of ^ set(spot_ids))
    return _rule("every_spot_has_rows", "rows of every spot of the section and of no other", faults, n=len(spot_ids))


def proportions_sum_to_one(table: "pd.DataFrame") -> CheckRow:
    """A spot's class proportions sum to 1, or are all unknown."""
    sums = table.groupby("spot_id").proportion.sum(min_count=1)
    wrong = sums[sums.notna() & ((sums - 1).abs() > 1e-3)]
    return _rule(
        "proportions_sum_to_one",
        "proportions of a spot sum to 1",
        list(wrong.index),
        unknown_spots=int(sums.isna().sum()),
    )


def graph_degrees(edges: "pd.DataFrame", spot_ids: Collection[str]) -> CheckRow:
    """Every spot has its self loop and edges go both ways; a spot with no other edge is legal, and counted."""
    pairs = set(zip(edges.source_spot_id, edges.target_spot_id, strict=True))
    one_way = [f"{a}->{b}" for a, b in pairs if (b, a) not in pairs]
    without_self = [spot for spot in spot_ids if (spot, spot) not in pairs]
    connected = {spot for pair in pairs if pair[0] != pair[1] for spot in pair}
    isolated = [spot for spot in spot_ids if (spot, spot) in pairs and spot not in connected]
    degree = edges.groupby("target_spot_id").size()
    span = {"min_degree": int(degree.min()), "max_degree": int(degree.max())} if len(degree) else {}
    facts = {"isolated": len(isolated), "mean_degree": len(edges) / max(len(spot_ids), 1), **span}
    return _rule("graph_degrees", "symmetric edges with self loops", [*sorted(one_way), *without_self], **facts)


def functional_degrees(edges: "pd.DataFrame", max_degree: int) -> CheckRow:
    """No spot has more functional neighbours than allowed, itself apart."""
    degree = edges.groupby(["section_id", "target_spot_id"]).size()
    over = degree[degree > max_degree + 1]
    mean = float(degree.mean()) if len(degree) else None
    return _rule("functional_degrees", f"at most {max_degree} neighbours and itself", list(over.index), mean=mean)


def no_leakage(table: "pd.DataFrame") -> CheckRow:
    """No fold of the table tests what it trained on: sections, and patients where patients or cohorts are held out."""
    leaks = []
    for fold_id, fold in table.groupby("fold_id"):
        held, learnt = fold[fold.role == "test"], fold[fold.role != "test"]
        strangers = learnt[(learnt.split_unit != "section") | (learnt.role == "counts_only")]
        sections = set(zip(learnt.cohort, learnt.section_id, strict=True))
        people = set(zip(strangers.cohort, strangers.patient_id, strict=True))
        leaks += [
            f"{fold_id}: {row.cohort}/{row.section_id}"
            for row in held.itertuples()
            if (row.cohort, row.section_id) in sections or (row.cohort, row.patient_id) in people
        ]
    return _rule("no_leakage", "nothing held out is learnt from", leaks, n_folds=table.fold_id.nunique())


def panel_from_training(panel: "pd.DataFrame", measured: Collection[str], missing: Collection[str]) -> CheckRow:
    """Every panel gene was measured in training; says which genes of a fixed list were not."""
    unknown = sorted(set(panel.gene) - set(measured))
    return _rule("panel_from_training", "panel genes were measured in training", unknown, left_out=list(missing)[:20])


def predictions_complete(table: "pd.DataFrame", expected: Mapping[str, int], n_genes: int) -> CheckRow:
    """Every spot of every held-out section has one prediction per panel gene."""
    rows = table.groupby("section_id").size().to_dict() if len(table) else {}
    wrong = [f"{s}: {rows.get(s, 0)} of {n * n_genes}" for s, n in expected.items() if rows.get(s, 0) != n * n_genes]
    wrong += [f"{s}: unexpected" for s in set(rows) - set(expected)]
    return _rule("predictions_complete", "one prediction per held-out spot and gene", wrong, rows=len(table))


def predictions_vary(table: "pd.DataFrame", *, constant_by_design: bool) -> CheckRow:
    """Predictions differ between spots; a collapsed gene is counted, never dropped."""
    spread = table.groupby(["section_id", "gene"], observed=True).predicted.agg(lambda v: v.max() - v.min())
    collapsed = 0 if constant_by_design else [str(index) for index in spread[spread == 0].index]
    return _remark("predictions_vary", "no gene is predicted constant", collapsed, n=len(spread))


def scored_once(scores: "pd.DataFrame", folds: "Collection[Fold]") -> CheckRow:
    """Per method and split unit, every section that can be held out is scored exactly once."""
    expected = {(fold.split_unit, str(key)) for fold in folds for key in fold.test}
    names = scores.cohort + "/" + scores.section_id
    columns = ["panel", "target", "seed", "method", "profile"]
    faults = []
    for label, part in scores.assign(section=names).groupby(columns):
        found = part.groupby(["split_unit", "section"]).size()
        cohorts = set(part.cohort)
        missing = {e for e in expected if e[1].split("/")[0] in cohorts} - set(found.index)
        faults += [f"{label}: {unit} {section} missing" for unit, section in sorted(missing)]
        faults += [f"{label}: {index} scored {n} times" for index, n in found.items() if n > 1]
    return _remark("scored_once", _SCORED_ONCE, faults, rows=len(scores))


def no_set_is_complete() -> CheckRow:
    """What ``scored_once`` reports while no set of folds is complete and of one generation."""
    return _remark("scored_once", _SCORED_ONCE, ["no set of folds is complete yet: materialize all folds"], rows=0)


def comparisons_agree(table: "pd.DataFrame", scores: "pd.DataFrame | None", unlike: Collection[str]) -> CheckRow:
    """Each difference is that of the mean section scores of its two methods, where both are shown.

    Parameters
    ----------
    table, scores
        Rows of ``evaluation/comparisons`` and of ``evaluation/section_scores``.
    unlike
        Methods that were left out of a section since their spots or genes are not those observed.
    """
    faults, n_compared = [f"{text}: not the observed spots and genes" for text in unlike], 0
    if scores is not None:
        known = scores.patient_in_training.map({True: "mates", False: "strangers"})
        both = [scores.assign(training_patients="all"), scores.assign(training_patients=known)]
        keys = ["cohort", "split_unit", "panel", "target", "seed", "training_patients", "method", "profile"]
        means = {}
        for part in both:
            means.update(part.groupby(keys).pearson_zero_filled.mean().to_dict())
        for row in table.itertuples():
            place = (row.cohort, row.split_unit, row.panel, row.target, row.seed, row.training_patients)
            a, b = (
                means.get((*place, *side)) for side in ((row.method_a, row.profile_a), (row.method_b, row.profile_b))
            )
            if a is not None and b is not None:
                n_compared += 1
                if not abs(a - b - row.difference) < 1e-6:
                    faults.append(f"{place} {row.method_a}_{row.profile_a}: {row.difference:.6f}, scores {a - b:.6f}")
    return _remark("comparisons_agree", _AGREE, faults, rows=len(table), compared=n_compared)


def arms_are_equal(table: "pd.DataFrame") -> CheckRow:
    """Models that saw mates and models that saw strangers learnt from equally many spots, draw by draw."""
    keys = ["method", "profile", "section_id", "draw"]
    sizes = table.pivot_table(index=keys, columns="arm", values="n_training_spots")
    sizes = sizes.reindex(columns=["mates", "strangers"])
    wrong = sizes[sizes.mates != sizes.strangers]  # an arm that is missing differs too
    return _rule("arms_are_equal", "both arms hold as many training spots", list(wrong.index), rows=len(table))


def nothing_to_compare() -> CheckRow:
    """What ``comparisons_agree`` reports while no complete set of folds has two methods, one of them a reference."""
    return _remark("comparisons_agree", _AGREE, 0, rows=0, compared=0)


def beats_champion(problems: Collection[str], n_champions: int) -> CheckRow:
    """Every champion that serves beat the one before under the rule, or a person went back to it, and is whole.

    Parameters
    ----------
    problems
        What ``justified.unjustified`` says.
    """
    return _rule("beats_champion", "champions serve by the rule or a person's word", problems, champions=n_champions)


def sections_drift(table: "pd.DataFrame") -> CheckRow:
    """No new section is farther from a champion's training sections than the threshold of a measure.

    Parameters
    ----------
    table
        Rows of ``serving/drift``; training sections are what thresholds were learnt from, so they are not counted.
    """
    new = table[~table.is_training.astype(bool)]
    beyond = new[new.is_drift.fillna(False).astype(bool)]
    named = [
        f"{cohort}/{section} from {reference}: "
        + ", ".join(f"{row.measure} {row.value:.3g} > {row.threshold:.3g}" for row in part.itertuples())
        for (reference, cohort, section), part in beyond.groupby(["reference_cohort", "cohort", "section_id"])
    ]
    unknown = int(new.threshold.isna().sum())
    return _remark("drift", "no section is unlike training", named, rows=len(new), without_threshold=unknown)


def study_complete(table: "pd.DataFrame", sections: Collection[str], n_changes: int) -> CheckRow:
    """Every change has one row for each held-out section, and every parameter the base among its settings."""
    found = table.groupby("section_id").size().to_dict()
    wrong = [f"{s}: {found.get(s, 0)} of {n_changes}" for s in sections if found.get(s, 0) != n_changes]
    wrong += [f"{s}: unexpected" for s in sorted(set(found) - set(sections))]
    if not table.is_base.any():
        wrong.append("no base")
    strayed = table[table.is_base & ((table.pearson - table.pearson_base).abs() > 1e-6)]
    wrong += [f"{row.section_id} {row.parameter}: the base scores otherwise" for row in strayed.itertuples()]
    return _rule("study_complete", "one row per change and held-out section, the base among them", wrong)


def changes_matter(table: "pd.DataFrame") -> CheckRow:
    """A change moves some score: one that moves none changed nothing, as a part that the data never gave work."""
    changed = table[~table.is_base]
    same = (changed.pearson == changed.pearson_base).groupby([changed.parameter, changed.setting]).all()
    idle = [" ".join(index) for index in same[same].index]
    return _remark("changes_matter", "every change moves some score", idle, n_changes=len(same))
