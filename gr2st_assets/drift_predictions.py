"""What a champion predicts, gene by gene: of its training sections out of fold, of others by its fit.

Belongs here: finding the predictions of its own recipe, summing them up. Does not belong here: distances between them
(``gr2st_core.drift``), which sections (``drift_sections``).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gr2st_assets.champion_records import Contender
from gr2st_assets.lake import Lake
from gr2st_assets.models import load_champion, method_spec
from gr2st_assets.records import Slot
from gr2st_assets.section_images import query_section
from gr2st_core.errors import MissingArtifactError
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    from gr2st_core.drift.distances import PredictedGenes


def out_of_fold(lake: Lake, contender: Contender) -> dict[Slot, str]:
    """Predictions of the folds that the champion was judged in, digest by slot.

    Raises
    ------
    MissingArtifactError
        There are none, or they have been made anew by another recipe since.
    """
    found = {}
    for text in sorted(contender.scores):
        keys = Slot.parse(text).keys
        made = lake.require_head(Slot(f"predictions/predictions_{contender.name}", keys))
        model = lake.require_head(Slot(f"models/model_{contender.name}", keys))
        is_own = made.provenance.inputs.get(model.slot.table) == model.digest
        if not is_own or model.provenance.generation != contender.generation:
            raise MissingArtifactError(
                "the newest out-of-fold predictions are not of the champion's recipe",
                slot=made.slot,
                expected=contender.generation,
                found=model.provenance.generation,
            )
        found[made.slot] = made.digest
    return found


def summed_up(lake: Lake, tables: Mapping[Slot, str]) -> "dict[str, PredictedGenes]":
    """Mean and spread over spots of every gene that was predicted, by ``cohort/section``."""
    import numpy as np

    from gr2st_core.drift.distances import PredictedGenes

    found = {}
    for slot, digest in tables.items():
        rows = lake.read_table(slot, ["cohort", "section_id", "gene", "predicted"], digest=digest)
        # one thread: sums of floating point numbers depend on their order
        groups = rows.group_by(["cohort", "section_id", "gene"], use_threads=False)
        table = groups.aggregate([("predicted", "mean"), ("predicted", "stddev")]).to_pandas()
        for (cohort, section), part in table.groupby(["cohort", "section_id"], sort=True):
            own = part.sort_values("gene")
            numbers = (own[f"predicted_{name}"].to_numpy(dtype=np.float64) for name in ("mean", "stddev"))
            found[f"{cohort}/{section}"] = PredictedGenes(tuple(own.gene), *numbers)
    return found


def by_fit(lake: Lake, contender: Contender) -> "Callable[[SectionKey], PredictedGenes | None]":
    """Predict sections that the champion was not trained on; None for one without an image.

    Raises
    ------
    MissingArtifactError, DataError, CheckpointError
        The champion's fit is gone or damaged. Of a section: its features are not there.
    """
    import numpy as np

    from gr2st_core.drift.distances import PredictedGenes
    from gr2st_core.settings import Settings

    fitted, spec = load_champion(lake, contender), method_spec(contender.name)
    limits = Settings.model_validate(contender.settings).limits

    def predict(key: SectionKey) -> "PredictedGenes | None":
        image = query_section(lake, key, spec, limits)
        if not image.shows_tissue or not image.n_spots:
            return None
        made = fitted.predict(image)
        values = made.values.astype(np.float64)
        return PredictedGenes(made.genes, values.mean(axis=0), values.std(axis=0))

    return predict
