"""What genes are called: Ensembl ids, and a table in the cohort folder that gives their symbols.

Belongs here: recognising ids, finding and reading that table, renaming columns of counts. Does not belong here: any
table of genes that ships with this project, panels (``expression``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import sparse

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.table_stream import first_lines
from gr2st_core.cohorts.text_table import read_rows
from gr2st_core.types import Counts

GENES = "genes"
"""Role of the table of gene names."""

COLUMNS = ("gene_id", "gene_name")

_ENSEMBL = re.compile(r"ENS[A-Z]*G[0-9]{11}(?:\.[0-9]+)?")


def gene_table(paths: Sequence[Path]) -> dict[str, Path]:
    """Find the table of gene names among files, by its header; nothing where there is none, the first of several."""
    tables = (path for path in paths if path.name.endswith((".tsv", ".tsv.gz")))
    for path in tables:
        if sorted(first_lines(path)[0].split("\t")) == sorted(COLUMNS):
            return {GENES: path}
    return {}


def are_ensembl(genes: Sequence[str]) -> bool:
    """Tell whether most genes are named by Ensembl ids."""
    return 2 * sum(bool(_ENSEMBL.fullmatch(gene)) for gene in genes) > len(genes)


def with_symbols(counts: Counts, table: Path | None, faults: Faults) -> tuple[Counts, str | None]:
    """Name genes by their symbols where they are Ensembl ids and the table knows them.

    Molecules of ids that share a symbol are added up; an id without a symbol keeps its name.

    Returns
    -------
    The counts, and what is to be said about their names: None where they were symbols.
    """
    if not are_ensembl(counts.genes):
        return counts, None
    if table is None:
        return counts, (
            "genes are named by Ensembl ids and keep them: no panel of symbols will find them. "
            f"For symbols add a table with the columns {' and '.join(COLUMNS)}"
        )
    symbol_of = _read(table, faults)
    symbols = [symbol_of.get(gene) or symbol_of.get(gene.partition(".")[0]) or gene for gene in counts.genes]
    unnamed = sum(symbol == gene for symbol, gene in zip(symbols, counts.genes, strict=True))
    names = sorted(set(symbols))
    column = {name: index for index, name in enumerate(names)}
    places = np.array([column[symbol] for symbol in symbols], dtype=np.int32)
    ones = np.ones(len(places), dtype=np.int64)  # sums may leave 32 bits
    merge = sparse.csr_matrix((ones, (np.arange(len(places)), places)), shape=(len(places), len(names)))
    merged = sparse.csr_matrix(counts.matrix @ merge)
    merged.sort_indices()
    return Counts(merged, tuple(names)), (
        f"{len(symbols) - unnamed} Ensembl ids became {len(set(symbols)) - unnamed} symbols by {table.name}, "
        f"{unnamed} keep their id"
    )


def _read(table: Path, faults: Faults) -> dict[str, str]:
    symbol_of: dict[str, str] = {}
    for label, (gene, symbol) in read_rows(table, COLUMNS, faults):
        if symbol_of.setdefault(gene, symbol) != symbol:
            faults.add(
                "a gene has two names",
                file=table,
                field=label,
                found=[gene, symbol_of[gene], symbol],
                expected="one row a gene",
            )
    return symbol_of
