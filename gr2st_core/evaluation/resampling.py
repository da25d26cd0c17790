"""Draws of the bootstrap: which patients, sections, blocks of spots and genes each counts, and how often.

Belongs here: seeded draws with replacement, as counts. Does not belong here: scores under a draw (``bootstrap``).

Every stream of random numbers is named by what it draws for, so a draw does not depend on the order of sections or
genes, nor on which methods are compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import SchemaError
from gr2st_core.types import FloatArray

Floats = NDArray[np.float64]

MIN_PATIENTS = 6
"""Fewer are no sample of a population: they are kept as they are, and so are their sections."""


def spatial_blocks(pitch_xy: FloatArray, side: float) -> NDArray[np.int64]:
    """Assign spots to square blocks of the slide.

    Parameters
    ----------
    pitch_xy
        Spot centres in units of the spot pitch, shape ``(n_spots, 2)``.
    side
        Of a block, in pitches.

    Returns
    -------
    Block of each spot, numbered from 0 without gaps, shape ``(n_spots,)``.

    Notes
    -----
    Neighbouring spots are alike, in expression and in what a method gets wrong, so drawing single spots would make
    intervals too narrow. Whole blocks keep that likeness, up to their borders.
    """
    if side <= 0:
        raise SchemaError("a block has a positive side", field="side", found=side)
    cells = np.floor((pitch_xy - pitch_xy.min(axis=0)) / side).astype(np.int64)
    _, block = np.unique(cells, axis=0, return_inverse=True)
    return np.asarray(block, dtype=np.int64).ravel()


def stream(seed: int, *names: str) -> np.random.Generator:
    """Random numbers for one purpose, the same wherever and in whatever order they are asked for."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])


def draw_counts(n_items: int, n_draws: int, rng: np.random.Generator) -> Floats:
    """How often each of ``n_items`` is drawn, with replacement, as many as there are; ``(n_draws, n_items)``."""
    return rng.multinomial(n_items, np.full(n_items, 1 / n_items), size=n_draws).astype(np.float64)


def gene_counts(genes: Sequence[str], n_draws: int, seed: int) -> Floats:
    """How often each gene is drawn, shape ``(n_draws, n_genes)``; a gene's draws are the same in every section.

    Notes
    -----
    Poisson counts of mean 1, each gene for itself (the Poisson bootstrap): folds may have panels of their own, and a
    gene that two of them share is drawn in both alike.
    """
    return np.stack([stream(seed, "gene", gene).poisson(1.0, n_draws) for gene in genes], axis=1).astype(np.float64)


def section_counts(patients: Sequence[str], n_draws: int, seed: int) -> Floats:
    """How often each section is drawn, shape ``(n_draws, n_sections)``.

    Parameters
    ----------
    patients
        Donor of each section, in an order that does not depend on the data.

    Returns
    -------
    Patients are drawn with replacement, then sections within every drawn patient; all ones with fewer than
    ``MIN_PATIENTS`` patients.
    """
    counts = np.ones((n_draws, len(patients)))
    people = sorted(set(patients))
    if len(people) < MIN_PATIENTS:
        return counts
    rng = stream(seed, "patients")
    own = {person: [i for i, patient in enumerate(patients) if patient == person] for person in people}
    for draw in range(n_draws):
        counts[draw] = 0
        for person in rng.integers(len(people), size=len(people)):
            sections = own[people[person]]
            np.add.at(counts[draw], np.asarray(sections)[rng.integers(len(sections), size=len(sections))], 1)
    return counts
