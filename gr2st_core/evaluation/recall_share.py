"""Recall share: how much of a score comes from having seen the same patient.

Belongs here: which spots two models of equal training size learn from, and what their scores say. Does not belong
here: training them.

Leaving one section out keeps the patient's other sections (mates) in training; leaving the patient out takes them
away, and with them a part of the training spots. Comparing the two mixes knowing the patient with knowing more. Here
every section with mates is predicted twice, by a model that saw mates only and one that saw strangers only, from
equally many spots, several seeds each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gr2st_core.errors import SchemaError
from gr2st_core.evaluation.resampling import stream
from gr2st_core.keys import SectionKey

ArmName = Literal["mates", "strangers"]
ARMS: tuple[ArmName, ...] = ("mates", "strangers")
MIN_SPOTS = 40
"""Models of fewer training spots say little of either side, and some methods refuse to be trained on them."""
SET = ["cohort", "panel", "target", "seed", "method", "profile"]
_SECTION = ["cohort", "section_id", "patient_id"]


@dataclass(frozen=True, slots=True)
class Arm:
    """One model to train: the spots of its training sections, and the section that it is scored on.

    Attributes
    ----------
    rows
        Row numbers per training section, sorted; for ``TrainSection.rows``. The fold around them holds out ``test``,
        split unit ``section`` for mates and ``patient`` for strangers.
    """

    test: SectionKey
    name: ArmName
    seed: int
    rows: Mapping[SectionKey, NDArray[np.int64]]

    @property
    def n_spots(self) -> int:
        """Training spots."""
        return sum(len(rows) for rows in self.rows.values())


def recall_arms(n_spots: Mapping[SectionKey, int], patients: Mapping[SectionKey, str], *, seed: int) -> list[Arm]:
    """Make both arms of every section with enough mates and strangers, of as many spots as the smaller side has.

    Parameters
    ----------
    n_spots, patients
        Spots and donor of every section with an image, of one cohort.
    seed
        Of the draw of spots; repeat with several.

    Returns
    -------
    Two arms a section, mates first, in key order. Spots are drawn without replacement from all of a side alike, so a
    larger section gives more of them. No arms where the smaller side has less than ``MIN_SPOTS``.
    """
    arms = []
    for test in sorted(n_spots):
        others = [key for key in sorted(n_spots) if key != test and key.cohort == test.cohort]
        sides = {
            "mates": [key for key in others if patients[key] == patients[test]],
            "strangers": [key for key in others if patients[key] != patients[test]],
        }
        size = min(sum(n_spots[key] for key in side) for side in sides.values())
        if size >= MIN_SPOTS:
            arms += [Arm(test, name, seed, _draw(sides[name], n_spots, size, test, name, seed)) for name in ARMS]
    return arms


def _draw(
    side: list[SectionKey], n_spots: Mapping[SectionKey, int], size: int, test: SectionKey, name: str, seed: int
) -> dict[SectionKey, NDArray[np.int64]]:
    owner = np.repeat(np.arange(len(side)), [n_spots[key] for key in side])
    row = np.concatenate([np.arange(n_spots[key]) for key in side])
    chosen = np.sort(stream(seed, "recall", str(test), name).choice(len(owner), size, replace=False))
    drawn = {key: row[chosen[owner[chosen] == i]] for i, key in enumerate(side)}
    return {key: rows for key, rows in drawn.items() if len(rows)}


@dataclass(frozen=True, slots=True)
class RecallShare:
    """What the same patient in training adds, at equal numbers of training spots.

    Attributes
    ----------
    mates, strangers
        Mean scores, every patient of equal weight.
    share
        ``(mates - strangers) / mates``: the part of the score that strangers cannot give; NaN unless ``mates`` is
        positive.
    sections
        cohort, section_id, patient_id, mates, strangers, n_training_spots: means over seeds, one row a section.
    """

    mates: float
    strangers: float
    share: float
    sections: pd.DataFrame

    @property
    def difference(self) -> float:
        """Mates minus strangers."""
        return self.mates - self.strangers


def recall_share(scores: pd.DataFrame, *, column: str = "pearson") -> RecallShare:
    """Compare the two arms.

    Parameters
    ----------
    scores
        One row per section, arm and seed of one method: cohort, section_id, patient_id, arm, seed, n_training_spots
        and ``column``. NaN is left out of the mean over seeds.

    Raises
    ------
    SchemaError
        An arm is missing, or the arms of a section differ in training spots or seeds: not a fair comparison.
    """
    means = {}
    for arm in ARMS:
        part = scores[scores.arm == arm]
        if part.duplicated([*_SECTION, "seed"]).any():
            raise SchemaError("an arm is scored once a seed", field="seed", found=arm)
        means[arm] = part.groupby(_SECTION).agg(
            score=(column, "mean"),
            seeds=("seed", lambda seeds: tuple(sorted(seeds))),
            n_training_spots=("n_training_spots", lambda spots: tuple(sorted(set(spots)))),
        )
    table = means["mates"].join(means["strangers"], how="outer", lsuffix="_mates", rsuffix="_strangers")
    for name in ("seeds", "n_training_spots"):
        unequal = table[table[f"{name}_mates"] != table[f"{name}_strangers"]]
        if len(unequal):
            raise SchemaError(f"both arms of a section have the same {name}", section=list(unequal.index)[:5])
    sections = pd.DataFrame(
        {
            "mates": table.score_mates,
            "strangers": table.score_strangers,
            "n_training_spots": [spots[0] for spots in table.n_training_spots_mates],
        }
    ).reset_index()
    both = sections.dropna(subset=list(ARMS)).groupby(["cohort", "patient_id"])[list(ARMS)].mean().mean()
    mates, strangers = float(both["mates"]), float(both["strangers"])
    share = (mates - strangers) / mates if mates > 0 else float("nan")
    return RecallShare(mates, strangers, share, sections)


def recall_table(scores: pd.DataFrame, *, column: str = "pearson") -> pd.DataFrame:
    """Recall share of every method.

    Parameters
    ----------
    scores
        One row per section, arm, ``draw`` and set: cohort, panel, target, seed, method, profile, section_id,
        patient_id, arm, n_training_spots and ``column``.

    Returns
    -------
    One row a set: mates, strangers, difference, share (see ``RecallShare``), sections_above (in which mates are
    better), n_sections, n_patients, n_draws, mean_training_spots (mean over sections).

    Raises
    ------
    SchemaError
        As ``recall_share``.
    """
    rows = []
    for values, part in scores.groupby(SET):
        found = recall_share(part.drop(columns="seed").rename(columns={"draw": "seed"}), column=column)
        rows.append(
            {
                **dict(zip(SET, values, strict=True)),
                "mates": found.mates,
                "strangers": found.strangers,
                "difference": found.difference,
                "share": found.share,
                "sections_above": int((found.sections.mates > found.sections.strangers).sum()),
                "n_sections": len(found.sections),
                "n_patients": len(found.sections[["cohort", "patient_id"]].drop_duplicates()),
                "n_draws": part.draw.nunique(),
                "mean_training_spots": found.sections.n_training_spots.mean(),
            }
        )
    return pd.DataFrame(rows)
