"""Panels come from training sections alone, in one order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gr2st_core.errors import MissingArtifactError, PanelError
from gr2st_core.expression.breast_markers import GROUP_OF, GROUPS, breast_markers
from gr2st_core.expression.panels import fold_safe_panel, panel_from_file, restrict
from gr2st_core.keys import SectionKey
from gr2st_core.settings import PanelSettings
from gr2st_core.types import Panel

A1, A2, B1, C1 = (SectionKey("toy", name) for name in ("A1", "A2", "B1", "C1"))
PATIENTS = {A1: "A", A2: "A", B1: "B", C1: "C"}


def settings(n_genes: int = 10, n_top: int = 3, min_detected: float = 0.1) -> PanelSettings:
    return PanelSettings(n_genes=n_genes, n_top=n_top, min_detected=min_detected)


def table(ranked: str, n_spots: int = 100, **detected: int) -> pd.DataFrame:
    """An HVG table: one-letter genes, most variable first; detected in half of the spots unless told otherwise."""
    return pd.DataFrame(
        {
            "gene": list(ranked),
            "n_spots": n_spots,
            "detected_spots": [detected.get(gene, n_spots // 2) for gene in ranked],
            "rank": np.arange(1, len(ranked) + 1),
            "dispersion_norm": np.linspace(3, -3, len(ranked)),
        }
    )


def test_recurrence_over_patients_comes_first_then_mean_rank_then_symbol() -> None:
    tables = {A1: table("abcdef"), B1: table("badcef"), C1: table("bfacde")}
    # In the top three of: b, a 3; then c, d, f once each, with mean ranks 11/3, 13/3 and 14/3.
    panel = fold_safe_panel(tables, PATIENTS, settings())
    assert panel.name == "fold_safe"
    assert panel.genes == ("b", "a", "c", "d", "f")


def test_ties_are_broken_by_symbol() -> None:
    assert fold_safe_panel({A1: table("ab"), B1: table("ba")}, PATIENTS, settings()).genes == ("a", "b")


def test_a_patient_with_many_sections_counts_once() -> None:
    tables = {A1: table("xyzabc"), A2: table("xyzabc"), B1: table("abcxyz"), C1: table("abcxyz")}
    assert fold_safe_panel(tables, PATIENTS, settings()).genes == ("a", "b", "c", "x", "y", "z")


def test_a_patients_sections_are_averaged_before_its_top_is_taken() -> None:
    tables = {A1: table("abcde"), A2: table("cdeab")}
    # Mean ranks: a 2.5, b 3.5, c 2, d 3, e 4.
    assert fold_safe_panel(tables, PATIENTS, settings(n_top=2)).genes == ("c", "a")


def test_detection_is_counted_over_all_training_spots() -> None:
    tables = {A1: table("abc", n_spots=900, a=10), B1: table("abc", n_spots=100, a=100)}
    assert "a" in fold_safe_panel(tables, PATIENTS, settings(min_detected=0.11)).genes
    assert "a" not in fold_safe_panel(tables, PATIENTS, settings(min_detected=0.12)).genes


def test_a_gene_that_a_section_lacks_is_undetected_there_and_ranked_last() -> None:
    tables = {A1: table("abcd"), B1: table("bcd")}
    assert "a" not in fold_safe_panel(tables, PATIENTS, settings(min_detected=0.3)).genes
    # Patient B never measured a, so a recurs in one patient only however long the lists are.
    assert fold_safe_panel(tables, PATIENTS, settings(n_top=4)).genes == ("b", "c", "d", "a")


def test_a_gene_without_variation_does_not_recur() -> None:
    flat = table("bcda")
    flat.loc[3, "dispersion_norm"] = np.nan
    tables = {A1: table("abcd"), B1: flat}
    assert fold_safe_panel(tables, PATIENTS, settings(n_top=4)).genes == ("b", "c", "d", "a")


def test_at_most_the_asked_number_of_genes_is_taken() -> None:
    tables = {A1: table("abcdef"), B1: table("badcef")}
    assert fold_safe_panel(tables, PATIENTS, settings(n_genes=2)).genes == ("a", "b")


def test_neither_the_order_of_sections_nor_of_genes_matters() -> None:
    rng = np.random.default_rng(0)
    letters = [chr(97 + k) for k in range(26)]
    tables = {key: table("".join(rng.permutation(letters))) for key in PATIENTS}
    expected = fold_safe_panel(tables, PATIENTS, settings(n_top=8))
    turned = {key: tables[key].sample(frac=1, random_state=3) for key in reversed(tables)}
    assert fold_safe_panel(turned, dict(reversed(PATIENTS.items())), settings(n_top=8)) == expected


def test_sections_that_are_not_given_play_no_part() -> None:
    tables = {A1: table("abcdef"), B1: table("badcef")}
    alone = fold_safe_panel(tables, {A1: "A", B1: "B"}, settings())
    assert fold_safe_panel(tables, PATIENTS, settings()) == alone


def test_equal_patient_ids_of_two_cohorts_are_two_patients() -> None:
    other = SectionKey("other", "A1")
    tables = {A1: table("abxy"), A2: table("abxy"), other: table("xyab")}
    names = {A1: "P1", A2: "P1", other: "P1"}
    # Each has a top two of its own; as one patient, a and x would be all.
    assert fold_safe_panel(tables, names, settings(n_top=2)).genes == ("a", "x", "b", "y")


def test_a_section_without_a_patient_is_refused_by_name() -> None:
    with pytest.raises(MissingArtifactError) as caught:
        fold_safe_panel({A1: table("ab"), B1: table("ab")}, {A1: "A"}, settings())
    assert caught.value.context["found"] == ["toy/B1"]


def test_no_section_and_no_qualified_gene_are_refused() -> None:
    with pytest.raises(PanelError, match="needs training sections"):
        fold_safe_panel({}, {}, settings())
    with pytest.raises(PanelError) as caught:
        fold_safe_panel({A1: table("ab", a=1, b=2)}, PATIENTS, settings())
    assert caught.value.context["found"] == "2.0% at most"


def test_a_panel_file_is_read_in_its_order_and_named_by_its_stem(tmp_path: Path) -> None:
    file = tmp_path / "My-Panel 2.txt"
    file.write_text("# chosen by hand\nERBB2\nHLA-DRA\n  GAPDH\n", encoding="utf-8")
    assert panel_from_file(file) == Panel("my_panel_2", ("ERBB2", "HLA-DRA", "GAPDH"))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"ERBB2\n\nGAPDH\n", ["line 2: blank"]),
        (b"ERBB2\nGAPDH\nERBB2\n", ["line 1: ERBB2", "line 3: ERBB2"]),
        (b"ERBB2\nGAPDH ACTB\n", ["line 2: GAPDH ACTB"]),
    ],
    ids=["blank", "doubled", "two a line"],
)
def test_faults_of_a_panel_file_are_named_by_line(tmp_path: Path, content: bytes, found: list[str]) -> None:
    file = tmp_path / "panel.txt"
    file.write_bytes(content)
    with pytest.raises(PanelError) as caught:
        panel_from_file(file)
    assert caught.value.context == {"file": file, "found": found}


def test_unreadable_panel_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifactError, match="not found"):
        panel_from_file(tmp_path / "none.txt")
    (tmp_path / "empty.txt").write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(PanelError, match="at least one gene"):
        panel_from_file(tmp_path / "empty.txt")
    (tmp_path / "latin.txt").write_bytes(b"ERBB\xe9\n")
    with pytest.raises(PanelError, match="UTF-8"):
        panel_from_file(tmp_path / "latin.txt")


def test_the_breast_panel_has_every_marker_once_in_its_group() -> None:
    panel = breast_markers()
    assert panel.name == "breast_markers"
    assert set(panel.genes) == set(GROUP_OF)
    assert len(panel) == sum(len(genes) for genes in GROUPS.values())
    asked = {"ERBB2", "ESR1", "PGR", "MKI67", "EPCAM", "KRT8", "KRT5", "CD8A", "CD68", "MS4A1", "COL1A1", "PECAM1"}
    assert asked <= set(panel.genes)
    assert GROUP_OF["CD8A"] == "t_cell"


def test_genes_that_nobody_measured_are_left_out_and_named() -> None:
    panel, missing = restrict(Panel("p", ("a", "b", "c", "d")), {"d", "a", "z"})
    assert panel == Panel("p", ("a", "d"))
    assert missing == ("b", "c")
    with pytest.raises(PanelError, match="no gene of the panel"):
        restrict(Panel("p", ("a",)), {"z"})
