"""Named blocks of features that say what a spot and its surroundings look like.

Belongs here: what a block is, the sets of blocks that methods read, their numbers from an ``ImageSection``. Does not
belong here: scaling and weighing blocks (the methods), patch features themselves (``images``).

A block reads the features and positions of its own section, nothing else, so permuted spots give permuted rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gr2st_core.graphs.spatial import TOLERANCE, radius_edges
from gr2st_core.predictor import stack_features
from gr2st_core.types import ImageSection

Floats = NDArray[np.float64]

NEAR = 1.5
"""Pitches: on a square grid the spot and the eight around it."""
WIDE = 2.9
"""Pitches: on a square grid the window of 5 x 5."""

_COUNT_RADII = (1.5, 2.3, 2.9, 4.3, 6.2)
_OFFSET_RADII = (1.5, 2.9, 4.3)


@dataclass(frozen=True, slots=True)
class Block:
    """Some numbers of every spot.

    Attributes
    ----------
    name
        Unique within a set.
    encoder
        Whose patch features are read; None for the layout of the spots.
    radius
        In pitches: features are averaged over the spots this close, the spot itself included. None: its own alone.
    """

    name: str
    encoder: str | None = None
    radius: float | None = None

    def of(self, section: ImageSection) -> Floats:
        """Compute the block, shape ``(n_spots, width)``.

        Raises
        ------
        MissingArtifactError
            The section has no features of the encoder.
        """
        if self.encoder is None:
            return layout(section)
        own = stack_features(section, (self.encoder,)).astype(np.float64)
        return own if self.radius is None else _averaging(section, self.radius) @ own


def _with_surroundings(spot: str, context: str) -> tuple[Block, ...]:
    return (
        Block(spot, spot),
        Block(context, context),
        Block(f"{spot}_near", spot, NEAR),
        Block(f"{context}_wide", context, WIDE),
    )


M224_BLOCKS = (Block("efficientnet_lite0", "efficientnet_lite0"),)
CTX_BLOCKS = _with_surroundings("efficientnet_lite0", "efficientnet_lite0_309um")
TCG_BLOCKS = (
    *_with_surroundings("efficientnet_lite0_rot", "efficientnet_lite0_309um_rot"),
    Block("color_texture", "color_texture"),
    Block("color_texture_near", "color_texture", NEAR),
    Block("layout"),
)

BLOCK_SETS: Mapping[str, tuple[Block, ...]] = MappingProxyType(
    {"m224": M224_BLOCKS, "ctx": CTX_BLOCKS, "tcg": TCG_BLOCKS}
)
"""``m224``: the spot's own patch; ``ctx``: also a larger patch and the neighbours; ``tcg``: these averaged over
rotations, with colour, texture and the shape of the tissue (accuracy.md 2)."""


def blocks_named(features: str | Sequence[str]) -> tuple[Block, ...]:
    """Blocks of a set by its name, or one block for each of the encoders named."""
    return BLOCK_SETS[features] if isinstance(features, str) else tuple(Block(name, name) for name in features)


def stack_blocks(section: ImageSection, blocks: Sequence[Block]) -> tuple[Floats, tuple[int, ...]]:
    """Blocks side by side, ``(n_spots, width)``, and the width of each.

    Raises
    ------
    MissingArtifactError
    """
    computed = [block.of(section) for block in blocks]
    return np.concatenate(computed, axis=1), tuple(block.shape[1] for block in computed)


def encoders_of(blocks: Sequence[Block]) -> tuple[str, ...]:
    """Encoders that the blocks read, each once, in order of appearance."""
    return tuple(dict.fromkeys(block.encoder for block in blocks if block.encoder is not None))


def layout(section: ImageSection) -> Floats:
    """Where a spot lies in its tissue, shape ``(n_spots, 8)``.

    Returns
    -------
    Number of other spots within 1.5, 2.3, 2.9, 4.3 and 6.2 pitches; length in pitches of the mean offset to those
    within 1.5, 2.9 and 4.3: near 0 amid tissue, large at its rim, 0 without neighbours.
    """
    counts = [_edges(section, radius).sum(axis=1) for radius in _COUNT_RADII]
    offsets = [_offset(section, radius) for radius in _OFFSET_RADII]
    return np.stack([*counts, *offsets], axis=1)


def _offset(section: ImageSection, radius: float) -> Floats:
    others = _edges(section, radius)
    n_others = others.sum(axis=1)
    towards = others @ section.pitch_xy - n_others[:, None] * section.pitch_xy
    return np.asarray(np.linalg.norm(towards, axis=1) / np.maximum(n_others, 1))


def _averaging(section: ImageSection, radius: float) -> sparse.csr_array:
    """Means over a spot and its neighbours as a matrix ``(n_spots, n_spots)``."""
    adjacent = _edges(section, radius) + sparse.eye_array(section.n_spots, format="csr")
    return sparse.csr_array(sparse.diags_array(1 / adjacent.sum(axis=1)) @ adjacent)


def _edges(section: ImageSection, radius: float) -> sparse.csr_array:
    """Ones where two distinct spots are within ``radius`` pitches, shape ``(n_spots, n_spots)``."""
    # The radii here stand between distances of a square grid, so the graph's own allowance is taken out again.
    receiver, sender = radius_edges(section.pitch_xy, radius / (1 - TOLERANCE))[::-1]
    apart = receiver != sender
    ones = np.ones(int(apart.sum()))
    shape = (section.n_spots, section.n_spots)
    return sparse.csr_array((ones, (receiver[apart], sender[apart])), shape=shape)
