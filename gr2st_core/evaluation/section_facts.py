"""One section's scores beyond means over genes: spots, top genes, patterns.

Belongs here: what a section's row has beside ``metrics.summarise``. Does not belong here: any formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gr2st_core.evaluation.against_training import beyond_training
from gr2st_core.evaluation.metrics import mean_of_defined
from gr2st_core.evaluation.moran import moran_preservation
from gr2st_core.evaluation.per_spot import pearson_per_spot
from gr2st_core.evaluation.top_genes import n_top_genes, top_gene_recall


@dataclass(frozen=True, slots=True)
class SectionFacts:
    """Scores of one section; NaN where undefined.

    Attributes
    ----------
    pearson_top
        Mean Pearson of the genes of highest training mean.
    r2_median, variance_ratio_median
        Medians over genes, since a few rare genes rule the means.
    moran_observed, moran_predicted, moran_error, moran_correlation
        See ``MoranPreservation``.
    """

    pearson_top: float
    r2_median: float
    variance_ratio_median: float
    moran_observed: float
    moran_predicted: float
    moran_error: float
    moran_correlation: float


@dataclass(frozen=True, slots=True)
class SpotFacts:
    """Scores of one section that need both matrices; NaN where undefined.

    Attributes
    ----------
    pearson_spot, pearson_spot_centred
        Mean over spots of the correlation over genes, as it is and after the training mean is removed.
    n_undefined_spots
        Spots without ``pearson_spot``.
    top_gene_recall, raised_gene_recall
        Of the section's highest genes, and of those highest above their training mean.
    """

    pearson_spot: float
    pearson_spot_centred: float
    n_undefined_spots: int
    top_gene_recall: float
    raised_gene_recall: float


def section_facts(scores: pd.DataFrame) -> SectionFacts:
    """Summarise the gene table of ``with_gene_facts``."""
    moran = moran_preservation(scores["moran_observed"], scores["moran_predicted"])
    is_top = scores["is_highly_expressed"].fillna(False).astype(bool)
    return SectionFacts(
        pearson_top=mean_of_defined(scores["pearson"][is_top]),
        r2_median=_median(scores["r2"]),
        variance_ratio_median=_median(scores["variance_ratio"]),
        moran_observed=moran.observed,
        moran_predicted=moran.predicted,
        moran_error=moran.error,
        moran_correlation=moran.correlation,
    )


def spot_facts(
    observed: ArrayLike, predicted: ArrayLike, *, training_mean: ArrayLike | None, most_top_genes: int
) -> SpotFacts:
    """Score spots and top genes; parameters as in ``with_gene_facts``."""
    truth, guess = np.asarray(observed, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    k = n_top_genes(truth.shape[1], most_top_genes)
    plain = pearson_per_spot(truth, guess)
    means = truth.mean(axis=0), guess.mean(axis=0)
    centred = raised = float("nan")
    if training_mean is not None:
        centred = mean_of_defined(pearson_per_spot(truth, guess, training_mean))
        above = [beyond_training(mean, training_mean) for mean in means]
        raised = top_gene_recall(above[0], above[1], k)
    return SpotFacts(
        mean_of_defined(plain), centred, int(np.isnan(plain).sum()), top_gene_recall(means[0], means[1], k), raised
    )


def _median(values: pd.Series[float]) -> float:
    defined = values.dropna()
    return float(defined.median()) if len(defined) else float("nan")
