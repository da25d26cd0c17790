"""The h5ad file of a predicted slide says what it says; squidpy draws it unchanged, and draws the right thing."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from PIL import Image

from gr2st_core.exports.h5ad import write_h5ad
from gr2st_core.exports.predicted_slide import Thumbnail
from samples.predicted_slides import GENES, SUPPORT, bare_slide, picture, predicted_slide

pytestmark = pytest.mark.filterwarnings("ignore")  # squidpy's and scanpy's dependencies warn when they are imported

SLIDE = predicted_slide()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("h5ad") / "A1.h5ad"
    write_h5ad(SLIDE, path)
    return path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No connection, and no window."""

    def refuse(*_: object) -> None:
        raise AssertionError("a plot asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with mpl.rc_context():
        mpl.use("agg")
        yield
    plt.close("all")


def test_values_and_ends_are_layers(path: Path) -> None:
    data = ad.read_h5ad(path)
    assert SLIDE.intervals is not None
    assert data.obs_names.tolist() == SLIDE.section.spot_ids.tolist()
    assert tuple(data.var_names) == GENES
    assert data.X.dtype == np.float32
    np.testing.assert_array_equal(data.X, SLIDE.prediction.values)
    np.testing.assert_array_equal(data.layers["predicted"], SLIDE.prediction.values)
    np.testing.assert_array_equal(data.layers["lower"], SLIDE.intervals.lower)
    np.testing.assert_array_equal(data.layers["upper"], SLIDE.intervals.upper)


def test_spots_genes_and_slide_are_described(path: Path) -> None:
    data = ad.read_h5ad(path)
    assert SLIDE.intervals is not None
    assert SLIDE.regions is not None
    assert set(data.obs["section_id"]) == {"A1"}
    assert set(data.obs["patient_id"]) == {"P1"}
    assert data.obs["region"].isna().tolist() == (SLIDE.regions == "").tolist()
    assert set(data.obs["region"].dropna()) == {"tumour"}
    np.testing.assert_array_equal(data.obs[["array_col", "array_row"]], SLIDE.section.array_xy)
    np.testing.assert_array_equal(data.obs["ood_distance"], SLIDE.ood_distance)
    np.testing.assert_array_equal(data.obs["ood_quantile"], SLIDE.ood_quantile)
    np.testing.assert_array_equal(data.obs["is_unusual"], SLIDE.is_unusual)
    np.testing.assert_array_equal(data.obsm["reference_spots"], SLIDE.reference_spots)
    assert data.var["in_panel"].all()
    assert data.var["has_interval"].tolist() == [True] * 4 + [False]
    assert data.var["support"].tolist() == list(SUPPORT)
    width = (SLIDE.intervals.upper - SLIDE.intervals.lower).mean(axis=0)
    np.testing.assert_allclose(data.var["mean_interval_width"], width, rtol=1e-5)
    assert json.loads(data.uns["gr2st"]) == json.loads(SLIDE.document)


def test_the_slide_lies_under_its_spots(path: Path) -> None:
    data = ad.read_h5ad(path)
    entry = data.uns["spatial"]["A1"]
    np.testing.assert_array_equal(data.obsm["spatial"], SLIDE.section.pixel_xy)
    np.testing.assert_array_equal(entry["images"]["hires"], picture())
    assert entry["scalefactors"]["tissue_hires_scalef"] == 0.25
    assert entry["scalefactors"]["spot_diameter_fullres"] == 100.0
    assert entry["metadata"] == {"um_per_px": 0.5, "pitch_px": 150.0}


def test_the_small_image_has_its_own_scale(tmp_path: Path) -> None:
    large = np.asarray(Image.fromarray(picture()).resize((1200, 900)))
    write_h5ad(predicted_slide(thumbnail=Thumbnail(large, 0.5)), tmp_path / "A1.h5ad")
    entry = ad.read_h5ad(tmp_path / "A1.h5ad").uns["spatial"]["A1"]
    assert entry["images"]["lowres"].shape == (450, 600, 3)
    assert entry["scalefactors"]["tissue_lowres_scalef"] == 0.25


def test_what_is_not_known_has_no_column(tmp_path: Path) -> None:
    write_h5ad(bare_slide(), tmp_path / "A1.h5ad")
    data = ad.read_h5ad(tmp_path / "A1.h5ad")
    assert set(data.obs) == {"section_id", "patient_id", "in_tissue", "array_row", "array_col"}
    assert set(data.layers) == {"predicted"}
    assert set(data.var) == {"in_panel", "support"}
    assert set(data.var["support"]) == {"none"}
    assert set(data.obsm) == {"spatial"}


def test_equal_slides_give_equal_bytes(path: Path, tmp_path: Path) -> None:
    write_h5ad(predicted_slide(), tmp_path / "A1.h5ad")
    assert (tmp_path / "A1.h5ad").read_bytes() == path.read_bytes()


def _drawn(figure: Figure, box: tuple[slice, slice]) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3][box].astype(int)


def _by_hand(like: Figure, values: np.ndarray) -> Figure:
    """Draw the slide, not its file, in axes of the same size: circles of the right colour on the image."""
    figure = Figure(figsize=like.get_size_inches(), dpi=like.dpi)
    axes = figure.add_axes(like.axes[0].get_position().bounds)
    axes.imshow(picture())
    shares = (values - values.min()) / (values.max() - values.min())
    for (x, y), share in zip(SLIDE.section.pixel_xy / 4, shares, strict=True):
        axes.add_patch(Circle((x, y), radius=12.5, facecolor=colormaps["viridis"](share), linewidth=0))
    return figure


@pytest.mark.usefixtures("offline")
def test_squidpy_draws_the_predicted_gene_on_the_slide(path: Path) -> None:
    import squidpy as sq

    gene = SLIDE.prediction.values[:, GENES.index("KRT18")]
    axes = sq.pl.spatial_scatter(ad.read_h5ad(path), color="KRT18", return_ax=True)
    figure = axes.figure
    FigureCanvasAgg(figure).draw()
    extent = axes.get_window_extent()
    height = round(figure.bbox.height)
    box = (
        slice(height - int(extent.y1) + 2, height - int(extent.y0) - 2),  # within the frame
        slice(int(extent.x0) + 2, int(extent.x1) - 2),
    )
    drawn = _drawn(figure, box)

    def share_that_differs(values: np.ndarray) -> float:
        return float((np.abs(_drawn(_by_hand(figure, values), box) - drawn).max(axis=2) > 4).mean())

    assert share_that_differs(gene) < 0.001
    assert share_that_differs(np.roll(gene, 1)) > 0.05
    np.testing.assert_array_equal(np.asarray(axes.collections[0].get_array(), np.float32), gene)


@pytest.mark.usefixtures("offline")
def test_squidpy_and_scanpy_draw_regions_and_slides_without_an_image(path: Path, tmp_path: Path) -> None:
    import scanpy as sc
    import squidpy as sq

    data = ad.read_h5ad(path)
    axes = sq.pl.spatial_scatter(data, color="region", library_key="section_id", return_ax=True)
    np.testing.assert_array_equal(axes.images[0].get_array(), picture())
    (axes,) = sc.pl.spatial(data, color="ERBB2", show=False)
    np.testing.assert_array_equal(axes.images[0].get_array(), picture())
    write_h5ad(bare_slide(), tmp_path / "bare.h5ad")
    axes = sq.pl.spatial_scatter(ad.read_h5ad(tmp_path / "bare.h5ad"), color="ERBB2", img=False, return_ax=True)
    boxes = [item.get_extents() for item in axes.collections[0].get_paths()]
    np.testing.assert_allclose([(b.x0 + b.x1) / 2 for b in boxes], SLIDE.section.pixel_xy[:, 0])
