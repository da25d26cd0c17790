"""Champions as they serve: what each predicts with, its intervals, and which sections it may predict.

Belongs here: a champion taken from the lake, a section's expression by it. Does not belong here: which model is
champion (``champions``), whole tables (``assets``), slides that are not in the lake (``slide_files``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gr2st_assets.champion_records import Contender, Event
from gr2st_assets.drift_sections import Comparison, comparisons
from gr2st_assets.lake import Lake
from gr2st_assets.models import load_champion, method_spec, section_tables
from gr2st_assets.section_images import query_section
from gr2st_assets.sections import read_panel
from gr2st_assets.slots import section_slot
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    import pandas as pd

    from gr2st_core.evaluation.conformal import ErrorRule
    from gr2st_core.predictor import Fitted
    from gr2st_core.types import Prediction

CALIBRATION = "serving/calibration"
_RULE = ("quantile", "scale_intercept", "scale_slope", "scale_floor")


@dataclass(frozen=True)
class Rule:
    """Intervals of some genes.

    Attributes
    ----------
    errors
        Half widths; NaN for a gene without calibration.
    support
        Whom each gene's interval speaks of.
    level
        Nominal coverage; None without any calibration.
    """

    errors: "ErrorRule"
    support: tuple[str, ...]
    level: float | None


def champion_genes(lake: Lake, contender: Contender) -> tuple[str, ...]:
    """Genes that a champion predicts, in the order of its columns."""
    return read_panel(lake, *contender.genes).genes


def read_rule(lake: Lake, event: Event, genes: Sequence[str], digest: str | None = None) -> Rule:
    """Intervals of a champion's genes, none where none were calibrated for it; ``digest`` as `calibration_rows`."""
    import numpy as np

    from gr2st_core.evaluation.conformal import ErrorRule

    rows = calibration_rows(lake, event, digest).set_index("gene").reindex(list(genes))
    numbers = (rows[name].to_numpy(dtype=np.float64) for name in _RULE)
    levels = rows["level"].dropna()
    support = tuple(rows["support"].fillna("none").astype(str))
    return Rule(ErrorRule(*numbers), support, float(levels.iloc[0]) if len(levels) else None)


def no_rule(n_genes: int) -> Rule:
    """Intervals of genes that were never calibrated."""
    import numpy as np

    from gr2st_core.evaluation.conformal import ErrorRule

    unknown = np.full(n_genes, np.nan)
    return Rule(ErrorRule(unknown, unknown, unknown, unknown), ("none",) * n_genes, None)


def calibration_rows(lake: Lake, event: Event, digest: str | None = None) -> "pd.DataFrame":
    """Rows that are about a champion, of the newest calibration or of the artefact ``digest``."""
    from gr2st_assets.tables import arrow_schema, table_spec

    slot = lake.slot(CALIBRATION)
    known = digest is not None or lake.head(slot) is not None
    table = lake.read_table(slot, digest=digest) if known else arrow_schema(table_spec(CALIBRATION)).empty_table()
    rows = table.to_pandas()
    own = (rows.reference_cohort == event.contender.cohort) & (rows.champion == event.number)
    return rows[own & (rows.model_id == event.contender.model_id)]


class Champions:
    """All champions of a lake beside its sections; a model is loaded when it is first asked.

    Parameters
    ----------
    lake
        As it is now: what is promoted later is not seen.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._all = comparisons(lake)
        self._loaded: dict[str, tuple[Fitted, Rule]] = {}

    @property
    def sections(self) -> set[SectionKey]:
        """Sections that some champion predicts: it was not trained on them."""
        return {key for each in self._all for key in each.others}

    def of(self, key: SectionKey) -> list[Comparison]:
        """Champions that predict a section."""
        return [each for each in self._all if key in each.others]

    def inputs(self, key: SectionKey) -> dict[str, str]:
        """What decides a section's predictions: champions, their intervals, spots, the features that they read."""
        head = self._lake.head(self._lake.slot(CALIBRATION))
        found = {"calibration": head.digest if head else "absent"}
        for each in self.of(key):
            contender = each.event.contender
            found[contender.cohort] = f"{each.event.number} {contender.model_id}"
            for table in _tables(each):
                own = self._lake.head(section_slot(self._lake, table, key))
                found[table] = own.digest if own else "absent"
        return found

    def lacking(self, each: Comparison, key: SectionKey) -> list[str]:
        """Tables that a champion reads of a section and that were not made."""
        return [table for table in _tables(each) if self._lake.head(section_slot(self._lake, table, key)) is None]

    def predict(self, each: Comparison, key: SectionKey) -> "tuple[Prediction, Rule] | None":
        """Predict a section by one champion; None without an image.

        Raises
        ------
        MissingArtifactError
            The image is too coarse for an encoder, or the champion's fit is gone.
        DataError, CheckpointError
            The fit is damaged.
        """
        from gr2st_core.settings import Settings

        contender = each.event.contender
        limits = Settings.model_validate(contender.settings).limits
        image = query_section(self._lake, key, method_spec(contender.name), limits)
        if not image.shows_tissue or not image.n_spots:
            return None
        if contender.cohort not in self._loaded:
            rule = read_rule(self._lake, each.event, champion_genes(self._lake, contender))
            self._loaded[contender.cohort] = load_champion(self._lake, contender), rule
        fitted, rule = self._loaded[contender.cohort]
        return fitted.predict(image), rule


def _tables(each: Comparison) -> tuple[str, ...]:
    return section_tables(method_spec(each.event.contender.name), query=True)
