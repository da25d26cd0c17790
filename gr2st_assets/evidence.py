"""Out-of-fold scores that contenders are judged by, read from the artefacts that they name.

Belongs here: from digests to frames, and from frames to the rule. Does not belong here: the rule itself
(``gr2st_core.evaluation.promotion``), which artefacts are a contender's (``contenders``).

Artefacts never change, so a champion is judged by the scores that it was chosen on, whatever has been made since.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gr2st_assets.champion_records import Contender
from gr2st_assets.lake import Lake
from gr2st_assets.records import Slot
from gr2st_core.errors import MissingArtifactError
from gr2st_core.models.registry import method

if TYPE_CHECKING:
    import pandas as pd

    from gr2st_core.evaluation.promotion import Decision
    from gr2st_core.settings import ServingSettings

NULLS = ("null_training_mean", "null_same_place")
"""Methods that never look at the image, which whatever is served has to beat."""

_SECTION = ["cohort", "patient_id", "section_id", "method", "profile"]
_GENE = [*_SECTION, "n_spots", "gene", "pearson_zero_filled", "split_unit", "patient_in_training", "model_id"]


def gene_rows(lake: Lake, scores: Mapping[str, str], name: str) -> "pd.DataFrame":
    """Score of one method for every gene and section of some ``gene_scores``.

    Parameters
    ----------
    scores
        Digest by slot (text form).

    Raises
    ------
    MissingArtifactError
        An artefact is gone, or the method was not scored in one.
    """
    return _rows(lake, scores, name, _GENE)


def judge(lake: Lake, contender: Contender, champion: Contender | None, rule: "ServingSettings") -> "Decision":
    """Hold a contender against the nulls, its own shuffled control and the champion, if there is one.

    Raises
    ------
    LeakageError
        A score is not out of fold.
    MissingArtifactError
        Scores are gone.
    """
    from gr2st_core.evaluation.pairing import pair, pair_with_control
    from gr2st_core.evaluation.promotion import decide

    own = _out_of_fold(lake, contender)
    controls = {name: pair(own, gene_rows(lake, contender.scores, name)) for name in NULLS}
    shuffled = _rows(lake, contender.controls, contender.name, [*_SECTION, "pearson_shuffled"])
    controls["its shuffled control"] = pair_with_control(own, shuffled)
    against = pair(own, _out_of_fold(lake, champion)) if champion else None
    return decide(against, controls, rule)


def _out_of_fold(lake: Lake, contender: Contender) -> "pd.DataFrame":
    from gr2st_core.evaluation.pairing import require_out_of_fold

    rows = gene_rows(lake, contender.scores, contender.name)
    require_out_of_fold(rows, contender.model_id, contender.trained_on)
    return rows


def _rows(lake: Lake, artefacts: Mapping[str, str], name: str, columns: Iterable[str]) -> "pd.DataFrame":
    import pandas as pd
    import pyarrow.compute as pc

    spec = method(name)
    wanted = (pc.field("method") == spec.method) & (pc.field("profile") == spec.profile)
    tables = []
    for text, digest in sorted(artefacts.items()):
        found = lake.read_table(Slot.parse(text), list(columns), digest=digest).filter(wanted)
        if not found.num_rows:
            raise MissingArtifactError(
                "a method was not scored", slot=text, method=name, hint=f"gr2st materialize --method {name}"
            )
        tables.append(found.to_pandas())
    return pd.concat(tables, ignore_index=True)
