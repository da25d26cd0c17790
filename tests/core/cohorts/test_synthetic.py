"""The synthetic cohort looks and counts like a real one, can be learnt, and says how well."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.spatial.distance import cdist

from gr2st_core.cohorts.her2st import Her2stReader
from gr2st_core.cohorts.records import RawSection
from gr2st_core.cohorts.synthetic import make_synthetic_cohort
from gr2st_core.cohorts.synthetic_ceiling import ceiling_table, synthetic_ceiling
from gr2st_core.cohorts.synthetic_counts import draw_counts
from gr2st_core.cohorts.synthetic_genes import MARKERS
from gr2st_core.cohorts.synthetic_tissue import smooth_noise
from gr2st_core.errors import MissingArtifactError, PanelError, SettingsError
from gr2st_core.types import FloatArray, Panel


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic") / "cohort"
    make_synthetic_cohort(folder, n_patients=2, sections_per_patient=2, seed=3)
    return folder


@pytest.fixture(scope="module")
def sections(folder: Path) -> list[RawSection]:
    reader = Her2stReader()
    entries, faults = reader.entries("synthetic", folder)
    assert faults == []
    return [reader.read(entry) for entry in entries]


@pytest.fixture(scope="module")
def detected(sections: list[RawSection]) -> Panel:
    """Genes found in a tenth of all spots, as the fold-safe panel asks."""
    genes = sorted(set.intersection(*(set(section.counts.genes) for section in sections)))
    everything = Panel("all", tuple(genes))
    share = np.concatenate([section.counts.of(everything) > 0 for section in sections]).mean(axis=0)
    return Panel("detected", tuple(gene for gene, s in zip(genes, share, strict=True) if s >= 0.1))


def checksums(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def per_spot(counts: FloatArray) -> FloatArray:
    return np.log10(1 + 1e4 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def mean_pearson(a: FloatArray, b: FloatArray) -> float:
    return float(np.nanmean([np.corrcoef(x, y)[0, 1] for x, y in zip(a.T, b.T, strict=True) if x.std() and y.std()]))


def colours(section: RawSection, span_um: float = 154.0) -> FloatArray:
    """Colour statistics of each spot's patch: the least an encoder sees."""
    image = np.asarray(Image.open(section.image_path), dtype=np.float64)
    reach = int(span_um / 2 / section.um_per_px)
    patches = [
        image[y - reach : y + reach, x - reach : x + reach].reshape(-1, 3)
        for x, y in np.rint(section.pixel_xy).astype(int)
    ]
    density = [-np.log((patch + 1) / 244) for patch in patches]
    return np.array(
        [np.concatenate([d.mean(axis=0), d.std(axis=0), *np.quantile(d, [0.1, 0.5, 0.9], axis=0)]) for d in density]
    )


def test_sections_read_like_real_ones(sections: list[RawSection]) -> None:
    assert [str(section.key) for section in sections] == [f"synthetic/{name}" for name in ("A1", "A2", "B1", "B2")]
    assert [section.patient_id for section in sections] == ["A", "A", "B", "B"]
    for section in sections:
        assert 105 <= len(section.spot_ids) <= 160
        assert section.n_spots_without_counts == 2
        assert section.counts is not None
        assert section.counts.totals().min() == 1
    assert sections[0].um_per_px / sections[2].um_per_px == pytest.approx(4 / 3, rel=0.02)


def test_gene_sets_differ_but_markers_are_always_there(sections: list[RawSection]) -> None:
    gene_sets = [set(section.counts.genes) for section in sections]
    assert len({frozenset(genes) for genes in gene_sets}) > 1
    markers = {"ERBB2", "ESR1", "EPCAM", "KRT18", "CD8A", "CD3E", "CD68", "COL1A1", "PLIN1", "PECAM1", "IGKC", "ACTA2"}
    assert all(markers <= genes for genes in gene_sets)


def test_counts_have_the_statistics_of_real_sections(sections: list[RawSection]) -> None:
    for section in sections:
        totals = section.counts.totals()
        kept = totals >= 100
        log_total = np.log(totals[kept])
        assert 660 <= np.median(totals) <= 12_600
        assert 0.35 <= log_total.std() <= 0.9
        assert 0.3 <= moran(log_total, section.array_xy[kept]) <= 0.9
        mean = np.sort(np.asarray(section.counts.matrix.mean(axis=0)).ravel())
        assert mean[-len(mean) // 100 :].sum() > 0.1 * mean.sum()


def moran(values: FloatArray, array_xy: FloatArray) -> float:
    neighbours = np.isclose(cdist(array_xy, array_xy, "cityblock"), 1)
    centred = values - values.mean()
    return len(values) / neighbours.sum() * (centred @ neighbours @ centred) / (centred @ centred)


def test_drawn_counts_have_the_planned_mean_and_dispersion() -> None:
    rates = np.full((200_000, 1), 1.0)
    counts = draw_counts(rates, np.full(200_000, 20.0), np.array([0.1]), np.random.default_rng(0))
    assert counts.mean() == pytest.approx(20.0, rel=0.01)
    assert counts.var() == pytest.approx(20.0 + 0.1 * 20.0**2, rel=0.02)


def test_smooth_noise_is_standardised_and_as_wide_as_asked() -> None:
    def neighbour_correlation(length: float) -> float:
        noise = smooth_noise((400, 300), length, np.random.default_rng(1))
        assert noise.shape == (400, 300)
        assert (noise.mean(), noise.std()) == pytest.approx((0.0, 1.0), abs=1e-3)
        return float(np.corrcoef(noise[:, :-8].ravel(), noise[:, 8:].ravel())[0, 1])

    assert neighbour_correlation(4.0) < 0.1 < 0.8 < neighbour_correlation(40.0)


def test_markers_of_a_tissue_rise_and_fall_together(folder: Path, sections: list[RawSection]) -> None:
    tissue_of = {gene: tissue for tissue, symbols in MARKERS.items() for gene in symbols.split()}
    tissue = np.array(list(tissue_of.values()))
    same = (tissue[:, None] == tissue) & ~np.eye(len(tissue), dtype=bool)
    other = tissue[:, None] != tissue
    for section in sections:
        planted = pd.read_parquet(folder / f"truth/{section.key.section_id}.parquet").set_index("spot_id")
        np.testing.assert_allclose(planted.sum(axis=1), 1.0, rtol=1e-4)
        correlation = np.log(planted[list(tissue_of)]).corr().to_numpy()
        assert correlation[other].mean() < 0.1 < 0.6 < correlation[same].mean()


def test_the_deconvolution_agrees_with_the_tissue(folder: Path, sections: list[RawSection]) -> None:
    with zipfile.ZipFile(folder / "res/ST-deconv/props/major.zip") as archive:
        assert archive.namelist() == [f"major/{name}-proportion.tsv" for name in ("A1", "A2", "B1", "B2")]
        with archive.open("major/A1-proportion.tsv") as member:
            table = pd.read_csv(member, sep="\t", index_col=0)
    assert ",".join(table.columns) == "B-cells,CAFs,Endothelial,Epithelial,Myeloid,Plasma Cells,PVL,T-cells"
    np.testing.assert_allclose(table.sum(axis=1), 1.0, atol=1e-6)
    assert set(table.index) < set(sections[0].spot_ids.tolist())
    planted = pd.read_parquet(folder / "truth/A1.parquet").set_index("spot_id").loc[table.index]
    assert np.corrcoef(table["Epithelial"], np.log(planted["EPCAM"]))[0, 1] > 0.7
    assert np.corrcoef(table["T-cells"], np.log(planted["CD3E"]))[0, 1] > 0.6


def test_region_labels_have_float_places_and_missing_ones(folder: Path) -> None:
    table = pd.read_csv(folder / "data/ST-pat/lbl/B1_labeled_coordinates.tsv", sep="\t")
    assert list(table.columns) == ["Row.names", "x", "y", "pixel_x", "pixel_y", "label"]
    assert table["x"].isna().sum() == 1
    assert (table["x"] % 1).mean() > 0
    assert {"invasive cancer", "connective tissue"} <= set(table["label"])


def test_patches_lie_on_the_image_and_stains_differ_between_patients(sections: list[RawSection]) -> None:
    medians = []
    for section in sections:
        with Image.open(section.image_path) as image:
            assert image.mode == "RGB"
            reach = 309.0 / 2 / section.um_per_px
            assert section.pixel_xy.min() >= reach
            assert (section.pixel_xy <= np.array(image.size) - reach).all()
            tissue = np.asarray(image)[np.asarray(image).min(axis=2) < 200]
        red, green, blue = np.median(tissue, axis=0)
        assert green < blue
        assert green < red
        medians.append(np.array([red, green, blue]))
    within = max(np.abs(medians[0] - medians[1]).max(), np.abs(medians[2] - medians[3]).max())
    assert np.abs(medians[0] - medians[2]).max() > within


def test_the_ceiling_is_the_correlation_of_planted_and_drawn(folder: Path, sections: list[RawSection]) -> None:
    panel = Panel("three", ("ERBB2", "COL1A1", "CD74"))
    section = sections[1]
    planted = pd.read_parquet(folder / "truth/A2.parquet").set_index("spot_id").loc[section.spot_ids, list(panel.genes)]
    expected = [
        np.corrcoef(a, b)[0, 1]
        for a, b in zip(
            np.log10(1 + 1e4 * planted.div(planted.sum(axis=1), axis=0)).to_numpy(np.float64).T,
            per_spot(section.counts.of(panel)).T,
            strict=True,
        )
    ]
    table = ceiling_table(folder, panel)
    np.testing.assert_allclose(table[table["section_id"] == "A2"]["pearson"], expected, rtol=1e-4)
    assert synthetic_ceiling(folder, panel) == pytest.approx(table["pearson"].mean())


def test_the_ceiling_is_between_03_and_05(folder: Path, detected: Panel) -> None:
    assert len(detected) > 500
    assert 0.3 <= synthetic_ceiling(folder, detected) <= 0.5


def test_colour_reaches_most_of_the_ceiling_and_shuffled_patches_nothing(
    folder: Path, sections: list[RawSection], detected: Panel
) -> None:
    features = [colours(section) for section in sections]
    targets = [per_spot(section.counts.of(detected)) for section in sections]
    reached, shuffled = [], []
    for held_out in range(len(sections)):
        train = [index for index in range(len(sections)) if index != held_out]
        x, y = np.concatenate([features[i] for i in train]), np.concatenate([targets[i] for i in train])
        z = (x - x.mean(axis=0)) / x.std(axis=0)
        weights = np.linalg.solve(z.T @ z + 30 * np.eye(z.shape[1]), z.T @ (y - y.mean(axis=0)))
        predicted = (features[held_out] - x.mean(axis=0)) / x.std(axis=0) @ weights
        order = np.random.default_rng(held_out).permutation(len(predicted))
        reached.append(mean_pearson(predicted, targets[held_out]))
        shuffled.append(mean_pearson(predicted[order], targets[held_out]))
    assert np.mean(reached) > 0.7 * synthetic_ceiling(folder, detected)
    assert abs(np.mean(shuffled)) < 0.05


def test_equal_seeds_give_equal_bytes_in_any_process_and_cohort_size(folder: Path, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; import sys; from gr2st_core.cohorts.synthetic import make_synthetic_cohort;"
        "make_synthetic_cohort(Path(sys.argv[1]), n_patients=1, sections_per_patient=1, seed=3)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", code, tmp_path / "again"], check=True, env=environment)
    again, whole = checksums(tmp_path / "again"), checksums(folder)
    archive = again.pop("res/ST-deconv/props/major.zip")
    assert archive != whole["res/ST-deconv/props/major.zip"]  # it holds one section instead of four
    assert len(again) == 6
    assert again == {name: whole[name] for name in again}


def test_another_seed_gives_another_cohort(folder: Path, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    make_synthetic_cohort(
        tmp_path / "b", n_patients=1, sections_per_patient=1, seed=4, progress=lambda *step: steps.append(step)
    )
    assert steps == [("synthetic sections", 1, 1)]
    other, whole = checksums(tmp_path / "b"), checksums(folder)
    assert [name for name in other if other[name] == whole[name]] == ["truth/README"]


def test_an_interrupted_run_leaves_nothing_behind_and_can_be_repeated(folder: Path, tmp_path: Path) -> None:
    def interrupt(label: str, done: int, total: int) -> None:
        assert not (tmp_path / "b").exists()
        raise KeyboardInterrupt

    options = {"n_patients": 1, "sections_per_patient": 1, "seed": 3}
    with pytest.raises(KeyboardInterrupt):
        make_synthetic_cohort(tmp_path / "b", **options, progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "b").mkdir()
    make_synthetic_cohort(tmp_path / "b", **options)
    assert list(tmp_path.iterdir()) == [tmp_path / "b"]
    assert (tmp_path / "b").stat().st_mode == folder.stat().st_mode


def test_the_default_cohort_stays_small(folder: Path) -> None:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert 2 * size < 60e6


def test_a_folder_in_use_and_empty_cohorts_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must be empty"):
        make_synthetic_cohort(folder)
    with pytest.raises(SettingsError, match="has patients and sections"):
        make_synthetic_cohort(tmp_path / "none", n_patients=0)


def test_the_ceiling_needs_the_truth_and_known_genes(folder: Path, cohort: Path) -> None:
    with pytest.raises(PanelError) as caught:
        synthetic_ceiling(folder, Panel("unknown", ("ERBB2", "NOSUCH")))
    assert caught.value.context["found"] == ["NOSUCH"]
    with pytest.raises(MissingArtifactError, match="planted"):
        synthetic_ceiling(cohort, Panel("one", ("ERBB2",)))
