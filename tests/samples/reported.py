"""Tables of a cohort that was trained, scored and served, of a few spots and genes, without a run.

Names of the second gene, section and patient are markup: pages must show them as text.
"""

import io
import itertools

import numpy as np
import pandas as pd
from PIL import Image

from gr2st_assets.tables import table_spec
from samples.small_lake import SmallLake, rows_of

MARKUP = "<script>alert(1)</script>"
COHORT = "tiny"
PLACE = {"panel": "p", "target": "per_spot", "seed": 0}
SERVED = ("low_rank", "m224")
METHODS = (SERVED, ("ridge", "m224"), ("knn", "m224"), ("null", "same_place"), ("oracle", "depth"))
PATIENTS = {"A1": "A", MARKUP: "B", "C1": "<b>C</b>"}
GENES = ("ERBB2", MARKUP, "O'Brien", "LPL")
N_SPOTS = 12
_SCORE = dict(zip(METHODS, (0.5, 0.4, 0.3, -0.1, 0.2), strict=True))


def add_reported(lake: SmallLake, *, champion: bool = True, calibration: bool = False) -> None:
    """Write the tables that a report reads; scores fall from method to method and gene to gene.

    Parameters
    ----------
    champion
        Whether the best method is served, or was refused.
    calibration
        Whether the champion's intervals were calibrated.
    """
    _add_scores(lake)
    _add_spots(lake)
    judged = {"method": SERVED[0], "profile": SERVED[1], "kind": "promoted" if champion else "refused", "event": 1}
    lake.add("serving/champion", _rows("serving/champion", 1, cohort=COHORT, **PLACE, **judged, is_serving=champion))
    if calibration:
        own = {"reference_cohort": COHORT, "champion": 1, "gene": GENES, "level": 0.9, "coverage": [0.9, 0.8, 0.7, 1]}
        width = {"quantile": 0.2, "scale_intercept": 1.0, "scale_slope": 0.0, "scale_floor": 1.0}
        lake.add("serving/calibration", _rows("serving/calibration", len(GENES), **own, **width, support="none"))
    _add_state(lake)


def _rows(name: str, n: int, **values: object) -> pd.DataFrame:
    return rows_of(table_spec(name), n, **values)


def _add_scores(lake: SmallLake) -> None:
    sections = list(PATIENTS)
    for unit in ("patient", "section"):
        board = _rows(
            "evaluation/scoreboard", len(METHODS), cohort=COHORT, split_unit=unit, **PLACE,
            method=[m for m, _ in METHODS], profile=[p for _, p in METHODS], training_patients="all",
            is_diagnostic=[m == "oracle" for m, _ in METHODS], n_sections=3, n_patients=3, ceiling=0.6,
            pearson_zero_filled=list(_SCORE.values()), pearson=list(_SCORE.values()), gr2st_share=np.nan,
        )  # fmt: skip
        lake.add("evaluation/scoreboard", board)
        pairs = list(itertools.product(METHODS, sections))
        scores = [_SCORE[m] + 0.02 * sections.index(s) for m, s in pairs]
        own = {
            "cohort": COHORT, **PLACE, "split_unit": unit, "method": [m for (m, _), _ in pairs],
            "profile": [p for (_, p), _ in pairs], "section_id": [s for _, s in pairs],
            "patient_id": [PATIENTS[s] for _, s in pairs], "fold_id": [f"{COHORT}/{unit}-{s}" for _, s in pairs],
        }  # fmt: skip
        lake.add(
            "evaluation/section_scores",
            _rows("evaluation/section_scores", len(pairs), **own, pearson_zero_filled=scores, pearson=scores),
        )
        genes = []
        for rank, gene in enumerate(GENES):
            values = [score - 0.1 * rank for score in scores]
            made = _rows("evaluation/gene_scores", len(pairs), **own, pearson=values, pearson_zero_filled=values)
            genes.append(made.assign(gene=gene, n_spots=N_SPOTS))
        lake.add("evaluation/gene_scores", pd.concat(genes))
        compared = _rows(
            "evaluation/comparisons", 2, cohort=COHORT, split_unit=unit, **PLACE, training_patients="all",
            method_a=["low_rank", "knn"], profile_a="m224", method_b="ridge", profile_b="m224", difference=[0.1, -0.1],
            low=[0.05, -0.2], high=[0.15, 0.01], p_holm=[0.01, 0.2], scope="describes these sections only",
        )  # fmt: skip
        lake.add("evaluation/comparisons", compared)
    published = {"method": "hist2st", "dataset": COHORT, "section": None, "statistic": "mean", "value": [0.1, 0.2]}
    lake.add("evaluation/published_scores", _rows("evaluation/published_scores", 2, **published, publication=MARKUP))
    panel = {"fold_id": f"{COHORT}/all", "panel": "p", "gene": GENES, "gene_group": ["her2_amplicon", None, None, None]}
    lake.add("expression/panel", _rows("expression/panel", len(GENES), **panel))
    for section in sections:
        found = {"cohort": COHORT, "section_id": section, "gene": GENES, "n_spots": N_SPOTS, "detected_spots": 9}
        lake.add("expression/hvg_table", _rows("expression/hvg_table", len(GENES), **found))


def _add_spots(lake: SmallLake) -> None:
    """Spots three in a row, 100 px apart at 2 um a pixel; observed values rise from spot to spot, predicted half so."""
    thumbnail = io.BytesIO()
    Image.new("RGB", (40, 50), "pink").save(thumbnail, format="png")
    spots = np.arange(N_SPOTS)
    for section, patient in PATIENTS.items():
        key = {"cohort": COHORT, "section_id": section}
        facts = {
            "um_per_px": 2.0,
            "pitch_um": 200.0,
            "thumbnail_um_per_px": 10.0,
            "thumbnail_png": thumbnail.getvalue(),
        }
        lake.add("raw/slides", _rows("raw/slides", 1, **key, **facts))
        ids = [f"{MARKUP}{i}" for i in spots]
        where = {"spot_id": ids, "pixel_x": 100.0 * (spots % 3), "pixel_y": 100.0 * (spots // 3)}
        lake.add("raw/spots", _rows("raw/spots", N_SPOTS, **key, patient_id=patient, **where))
        fold = {"fold_id": f"{COHORT}/patient-{section}", "panel": "p", "target": "per_spot"}
        role = {"role": "test", "split_unit": "patient", "patient_id": patient, "patient_in_training": False}
        lake.add("folds/fold_table", _rows("folds/fold_table", 1, **key, fold_id=fold["fold_id"], **role))
        own = {**fold, **key, "spot_id": ids * len(GENES), "gene": np.repeat(GENES, N_SPOTS)}
        n, values = N_SPOTS * len(GENES), np.tile(spots, len(GENES))
        lake.add("predictions/observed", _rows("predictions/observed", n, **own, observed=0.1 * values))
        name = "predictions/predictions_low_rank_m224"
        made = {**own, "seed": 0, "method": "low_rank", "profile": "m224", "model_id": "m", "weight": 0.0}
        lake.add(name, _rows(name, n, **made, predicted=0.05 * values))


def _add_state(lake: SmallLake) -> None:
    checks = {"asset": ["raw/spots", "evaluation/report"], "partition_key": [f"{COHORT}/A1", ""], "passed": False}
    lake.add("catalog/check_results", _rows("catalog/check_results", 2, **checks, found=MARKUP))
    measured = {"reference_cohort": COHORT, "champion": 1, "cohort": COHORT, "is_training": [True, False]}
    lake.add("serving/drift", _rows("serving/drift", 2, **measured, measure="image", is_drift=[False, True]))
