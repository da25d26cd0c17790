"""Genes that a breast pathologist asks for first, named before any data was seen.

Belongs here: the prespecified ``breast_markers`` panel and its groups. Does not belong here: panels chosen from
counts (``panels``), or which class of cells a group stands for (``cells.markers``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gr2st_core.types import Panel

# Receptors and proliferation: routine breast immunohistochemistry (ER, PR, HER2, Ki-67) and the genes of common
# multigene assays. HER2 amplicon: the core of 17q12 that is amplified together with ERBB2. Keratins and lineage
# factors: luminal against basal stains. Immune, stromal and vascular cells: the canonical markers by which the
# breast cancer atlases (Wu et al., Nat Genet 2021) name their major cell types.
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "receptor": ("ESR1", "PGR", "AR"),
        "her2_amplicon": ("ERBB2", "GRB7", "MIEN1", "STARD3", "PGAP3"),
        "proliferation": ("MKI67", "TOP2A", "PCNA", "CCND1", "CCNB1", "BIRC5"),
        "epithelial": ("EPCAM", "KRT7", "KRT8", "KRT18", "KRT19", "CDH1", "MUC1"),
        "luminal": ("GATA3", "FOXA1", "XBP1", "TFF1", "TFF3"),
        "basal": ("KRT5", "KRT14", "KRT17", "TP63", "EGFR"),
        "t_cell": ("CD3D", "CD3E", "CD2", "CD4", "CD8A", "FOXP3", "GZMB", "TRBC2"),
        "b_cell": ("MS4A1", "CD19", "CD79A"),
        "plasma_cell": ("IGKC", "IGHG1", "IGHA1", "JCHAIN", "MZB1"),
        "myeloid": ("CD68", "CD163", "CD14", "LYZ", "AIF1", "C1QA", "ITGAX"),
        "checkpoint": ("CD274", "PDCD1", "CTLA4"),
        "antigen_presentation": ("HLA-A", "B2M", "HLA-DRA", "CD74"),
        "interferon": ("STAT1", "ISG15", "CXCL9", "CXCL10"),
        "stroma": ("COL1A1", "COL1A2", "COL3A1", "FN1", "DCN", "LUM", "POSTN", "FAP"),
        "contractile": ("ACTA2", "TAGLN", "PDGFRB", "RGS5"),
        "endothelial": ("PECAM1", "VWF", "CDH5", "CLDN5", "PLVAP"),
        "adipose": ("PLIN1", "PLIN4", "ADIPOQ", "FABP4", "LPL"),
        "hypoxia": ("CA9", "VEGFA"),
        "mesenchymal_transition": ("VIM", "CDH2", "ZEB1"),
    }
)
"""Symbols by group, groups in the order in which they are reported; no gene is in two groups."""

GROUP_OF: Mapping[str, str] = MappingProxyType({gene: group for group, genes in GROUPS.items() for gene in genes})
"""Group of each marker."""


def breast_markers() -> Panel:
    """List the prespecified breast panel, ``breast_markers``, group by group.

    Notes
    -----
    Not every section measures every gene: see ``panels.restrict``.
    """
    return Panel("breast_markers", tuple(gene for genes in GROUPS.values() for gene in genes))
