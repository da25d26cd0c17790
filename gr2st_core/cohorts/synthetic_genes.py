"""Genes of the synthetic cohort and how strongly each tissue expresses them.

Belongs here: symbols, abundances, tissue programmes, dispersions. Does not belong here: spots, depth, drawing counts
(``synthetic_counts``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gr2st_core.cohorts.synthetic_tissue import TISSUES
from gr2st_core.types import FloatArray

MARKERS = {
    "tumour": (
        "ERBB2 GRB7 MIEN1 STARD3 PGAP3 ESR1 PGR AR MKI67 TOP2A PCNA CCND1 CCNB1 BIRC5 EPCAM KRT7 KRT8 KRT18 KRT19 CDH1 "
        "MUC1 GATA3 FOXA1 XBP1 TFF1 TFF3 KRT5 KRT14 KRT17 TP63 EGFR CD274 CA9 FASN SCD GNAS"
    ),
    "stroma": (
        "COL1A1 COL1A2 COL3A1 COL6A2 FN1 DCN LUM POSTN FAP SPARC BGN THY1 VIM CDH2 ZEB1 ACTA2 TAGLN MYL9 PDGFRB TIMP1"
    ),
    "immune": (
        "CD3D CD3E CD2 CD4 CD8A FOXP3 GZMB TRBC2 MS4A1 CD19 CD79A IGKC IGHG1 IGHG3 IGHA1 IGLC2 JCHAIN MZB1 CD68 CD163 "
        "CD14 LYZ AIF1 C1QA ITGAX PDCD1 CTLA4 HLA-DRA CD74 STAT1 ISG15 CXCL9 CXCL10 CCL5"
    ),
    "fat": "PLIN1 PLIN4 ADIPOQ FABP4 LPL CIDEC LEP",
    "vessel": "PECAM1 VWF CDH5 CLDN5 PLVAP RGS5 HBA2 HBB ENG EMCN",
}
"""Real symbols by the tissue that expresses them."""

UBIQUITOUS = "ACTB GAPDH TMSB10 B2M HLA-A HLA-B FTL FTH1 EEF1A1 RPLP0 RPL13 RPS18 MALAT1 TPT1 VEGFA MYL12B"
"""Real symbols that every tissue expresses alike."""

N_GENES = 800

_DOMINANT = ("IGKC", "IGHG3", "IGHA1", "IGLC2", "ERBB2", "COL1A1", "COL3A1", "TMSB10", "ACTB", "GAPDH", "MIEN1")
_HOME_CHANCE = np.array([0.27, 0.22, 0.16, 0.08, 0.07, 0.20])  # tissues, then none
_LOG_ABUNDANCE_SD = 1.7
_DOMINANT_FOLD = 25.0
_LEAST_MARKER_ABUNDANCE = 0.6
_LOG_FOLD = (1.8, 0.45)  # mean and sd of ln(expression at home / elsewhere)
_LOG_DISPERSION = (np.log(0.1), 0.6)


@dataclass(frozen=True, slots=True)
class Programmes:
    """What each gene does.

    Attributes
    ----------
    genes
        Symbols.
    profiles
        Expression per cell of each tissue, relative, shape ``(n_tissues, n_genes)``.
    dispersion
        phi of ``variance = mean + phi * mean^2``, shape ``(n_genes,)``.
    """

    genes: tuple[str, ...]
    profiles: FloatArray
    dispersion: FloatArray


def draw_programmes(rng: np.random.Generator) -> Programmes:
    """Draw abundances, tissue programmes and dispersions of ``N_GENES`` genes; markers keep their tissue."""
    home_of = {gene: TISSUES.index(tissue) for tissue, symbols in MARKERS.items() for gene in symbols.split()}
    home_of |= dict.fromkeys(UBIQUITOUS.split(), len(TISSUES))
    n_rest = N_GENES - len(home_of)
    genes = (*home_of, *(f"SYN{number:04d}" for number in range(1, n_rest + 1)))
    homes = np.concatenate([list(home_of.values()), rng.choice(len(TISSUES) + 1, n_rest, p=_HOME_CHANCE)])
    abundance = rng.lognormal(0.0, _LOG_ABUNDANCE_SD, N_GENES)
    abundance[: len(home_of)] = np.maximum(abundance[: len(home_of)], _LEAST_MARKER_ABUNDANCE)
    abundance[[genes.index(gene) for gene in _DOMINANT]] = _DOMINANT_FOLD * rng.uniform(0.5, 1.5, len(_DOMINANT))
    fold = np.exp(rng.normal(*_LOG_FOLD, N_GENES))
    at_home = homes == np.arange(len(TISSUES))[:, None]
    profiles = abundance * np.where(at_home, fold, 1.0)
    return Programmes(genes, profiles, rng.lognormal(*_LOG_DISPERSION, N_GENES))
