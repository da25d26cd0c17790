"""The literature's numbers add up to what it says of them."""

from __future__ import annotations

import pytest

from gr2st_core.evaluation.published import EVIDENCE, STATISTICS, published_digest, published_scores
from gr2st_core.keys import TARGETS

IDENTITY = ["publication", "method", "profile", "dataset", "section", "statistic", "genes"]


@pytest.mark.parametrize(
    ("publication", "dataset", "n_sections", "mean"),
    [
        ("reg2st_arrays", "her2st", 32, 0.1741),
        ("hggep_arrays", "her2st", 32, 0.1943),
        ("reg2st_arrays", "cscc", 12, 0.2021),
        ("hggep_arrays", "cscc", 12, 0.2108),
    ],
)
def test_section_means_average_to_the_published_mean(publication, dataset, n_sections, mean):
    table = published_scores()
    own = table[(table.publication == publication) & (table.dataset == dataset)]
    sections = own[own.section.notna()]
    assert len(sections) == n_sections
    assert sections.value.mean() == pytest.approx(mean, abs=6e-5)
    assert own[own.section.isna()].value.tolist() == [mean]


def test_box_plot_medians_lie_just_below_the_means_they_come_with():
    """Means run about 0.004 above the trimean; of Reg2ST both are known."""
    table = published_scores()
    digitised = table[(table.publication == "gr2st_boxplots") & (table.dataset == "her2st")]
    medians = digitised[digitised.statistic == "median"].groupby("method").value.agg(["mean", "size"])
    assert (medians["size"] == 32).all()
    assert len(medians) == 7
    for method, printed in (("reg2st", 0.1741), ("gr2st", 0.2340), ("mclstexp", 0.2281), ("histogene", 0.0818)):
        assert medians.loc[method, "mean"] == pytest.approx(printed, abs=0.008)


def test_quartiles_enclose_their_median():
    table = published_scores()
    boxes = table[(table.publication == "gr2st_boxplots") & (table.method == "gr2st")]
    wide = boxes.pivot(index=["dataset", "section"], columns="statistic", values="value")
    assert len(wide) == 32 + 12
    assert (wide.lower_quartile < wide["median"]).all()
    assert (wide["median"] < wide.upper_quartile).all()


@pytest.mark.parametrize("method", ["histogene", "hist2st", "thitogene", "hggep", "mclstexp", "reg2st"])
def test_each_comparator_has_figures_of_both_data_sets_with_their_target(method):
    table = published_scores()
    own = table[(table.method == method) & table.section.isna() & (table.statistic == "mean") & table.target.notna()]
    assert {"her2st", "cscc"} <= set(own.dataset)
    assert set(own.target) == {"per_gene_legacy" if method == "mclstexp" else "per_spot"}


def test_every_score_says_what_it_is_and_none_is_there_twice():
    table = published_scores()
    assert not table.duplicated(IDENTITY).any()
    assert table.value.between(-0.01, 1).all()
    assert set(table.statistic) <= set(STATISTICS)
    assert set(table.evidence) <= set(EVIDENCE)
    assert set(table.target.dropna()) <= set(TARGETS)
    assert set(table.split_unit) == {"section", "patient"}
    assert table[["publication", "citation", "method", "dataset"]].notna().all().all()
    assert len(published_digest()) == 64


def test_known_flaws_are_flagged():
    table = published_scores()
    assert table[table.publication == "hggep_arrays"].has_selection_leak.all()
    legacy = set(table[table.target == "per_gene_legacy"].method)
    assert legacy == {"gr2st", "mclstexp"}
    pasted = table[table.method == "stmcl"].set_index("dataset")
    assert "paste" in pasted.note["her2st"]
    assert pasted.note["alex"] is None
