"""Out-of-fold scores that contenders are judged by, read from the artefacts that they name.

Belongs here: from digests to frames, and from frames to the rule. Does not belong here: the rule itself
(``gr2st_core.evaluation.promotion``), which artefacts are a contender's (``contenders``).

Artefacts never change, so a champion is judged by the scores that it was chosen on, whatever has been made since.
"""

from collections.abc import Mapping, Sequence
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
_SHUFFLED = [*_SECTION, "pearson_shuffled"]


class Evidence:
    """Scores of a lake's artefacts, each of which is read once.

    Parameters
    ----------
    lake
        Where the artefacts are.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._tables: dict[tuple[str, str], pd.DataFrame] = {}

    def genes(self, scores: Mapping[str, str], name: str) -> "pd.DataFrame":
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
        return self._rows(scores, name, _GENE)

    def out_of_fold(self, contender: Contender) -> "pd.DataFrame":
        """A contender's own score for every gene and section.

        Raises
        ------
        LeakageError
            A score is not out of fold.
        MissingArtifactError
            Scores are gone.
        """
        from gr2st_core.evaluation.pairing import require_out_of_fold

        rows = self.genes(contender.scores, contender.name)
        require_out_of_fold(rows, contender.model_id, contender.trained_on)
        return rows

    def judge(self, contender: Contender, champion: Contender | None, rule: "ServingSettings") -> "Decision":
        """Hold a contender against the nulls, its own shuffled control and the champion, if there is one.

        Raises
        ------
        LeakageError, MissingArtifactError
            As `out_of_fold`.
        """
        from gr2st_core.evaluation.pairing import pair, pair_with_control
        from gr2st_core.evaluation.promotion import decide

        own = self.out_of_fold(contender)
        controls = {name: pair(own, self.genes(contender.scores, name)) for name in NULLS}
        shuffled = self._rows(contender.controls, contender.name, _SHUFFLED)
        controls["its shuffled control"] = pair_with_control(own, shuffled)
        against = pair(own, self.out_of_fold(champion)) if champion else None
        return decide(against, controls, rule)

    def _rows(self, artefacts: Mapping[str, str], name: str, columns: Sequence[str]) -> "pd.DataFrame":
        import pandas as pd

        spec = method(name)
        tables = []
        for text, digest in sorted(artefacts.items()):
            table = self._table(text, digest, columns)
            found = table[(table.method == spec.method) & (table.profile == spec.profile)]
            if found.empty:
                raise MissingArtifactError(
                    "a method was not scored", slot=text, method=name, hint=f"gr2st materialize --method {name}"
                )
            tables.append(found)
        return pd.concat(tables, ignore_index=True)

    def _table(self, text: str, digest: str, columns: Sequence[str]) -> "pd.DataFrame":
        place = (text, digest)
        if place not in self._tables:
            self._tables[place] = self._lake.read_table(Slot.parse(text), columns, digest=digest).to_pandas()
        return self._tables[place]
