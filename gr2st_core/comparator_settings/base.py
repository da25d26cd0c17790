"""What all comparators' settings have.

Belongs here: how long and how fast to train. Does not belong here: anything of one system's network.
"""

from __future__ import annotations

from pydantic import Field

from gr2st_core.frozen import Frozen


class ComparatorSettings(Frozen):
    """Training of a comparator.

    No system's published code holds a validation section back, and one chooses its epoch on the test section. Here all
    choose it alike: the epoch with the best score on one inner split, and as many again on all training sections.
    """

    epochs: int = Field(ge=1, description="most epochs of the inner run; the refit takes the best epoch's number")
    patience: int | None = Field(
        None, ge=1, description="epochs without a better inner score before the inner run stops; None: never"
    )
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(0.0, ge=0, description="L2 term in Adam's gradient, or AdamW's decay")
    n_positions: int = Field(64, ge=1, description="rows of each position table; larger grids are shrunk to fit")

    def rate(self, epoch: int) -> float:  # noqa: ARG002 - those with a schedule read it
        """Learning rate after ``epoch`` epochs."""
        return self.learning_rate
