"""Sections of every layout: ``write_<layout>(folder, section, number)`` adds one to a cohort and gives its counts.

Counts, images and what else tells sections apart follow from the number.
"""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from PIL import Image
from scipy import sparse

from samples import spatialdata_store, visium
from samples.anndata_toy import Toy


def slide(path: Path, number: int) -> None:
    """An image that is not that of another section."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    Image.new("RGB", (600, 500), (40 * number, 90, 150)).save(path)


def table(number: int) -> pd.DataFrame:
    """Counts of six spots of a square array and three genes, other ones in every section."""
    values = np.random.default_rng(number).integers(0, 60_000, (6, 3))
    return pd.DataFrame(values, [f"{x}x{y}" for y in (2, 3) for x in (1, 2, 3)], ["ERBB2", "ACTB", "KRT18"])


def write_table(path: Path, counts: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(counts.to_csv(sep="\t").encode(), mtime=0))


def write_spots(path: Path, counts: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    places = [tuple(map(int, spot.split("x"))) for spot in counts.index]
    rows = [f"{x}\t{y}\t{x}.01\t{y}.02\t{100 * x}\t{100 * y}\t1\n" for x, y in places]
    path.write_text("x\ty\tnew_x\tnew_y\tpixel_x\tpixel_y\tselected\n" + "".join(rows))


def write_her2st(folder: Path, section: str, number: int) -> pd.DataFrame:
    counts = table(number)
    write_table(folder / f"data/ST-cnts/{section}.tsv.gz", counts)
    write_spots(folder / f"data/ST-spotfiles/{section}_selection.tsv", counts)
    slide(folder / f"data/ST-imgs/{section[0]}/{section}/HE.jpg", number)
    return counts


def write_cscc(folder: Path, section: str, number: int) -> pd.DataFrame:
    counts = table(number)
    write_table(folder / f"GSM{number}_{section}_stdata.tsv.gz", counts)
    write_spots(folder / f"GSM{number}_spot_data-selection-{section}.tsv", counts)
    slide(folder / f"GSM{number}_{section}.jpg", number)
    return counts


def write_he(folder: Path, section: str, number: int) -> pd.DataFrame:
    counts = table(number)
    place = folder / "HER2_luminal" / section.partition("_")[0]
    write_table(place / f"{section}.tsv.gz", counts)
    write_spots(place / f"{section}.spots.txt", counts)
    slide(place / f"HE_{section}.jpg", number)
    return counts


def as_read(counts: np.ndarray, barcodes: list[str] | tuple[str, ...]) -> pd.DataFrame:
    """Counts of the genes of ``visium``, of which two share a symbol."""
    return pd.DataFrame(counts, list(barcodes), list(visium.GENES)).T.groupby(level=0).sum().T


def write_spaceranger(folder: Path, section: str, number: int) -> pd.DataFrame:
    outs = folder / section / "outs"
    counts = visium.COUNTS * number
    if number % 2:
        visium.write_h5(outs / "filtered_feature_bc_matrix.h5", counts, version=2 + number // 3 % 2)
    else:
        visium.write_trio(outs / "filtered_feature_bc_matrix", counts, packed=True)
    visium.write_spatial(outs / "spatial")
    slide(outs / "spatial/tissue_hires_image.png", number)
    return as_read(counts, visium.BARCODES)


def write_visium_hd(folder: Path, section: str, number: int) -> pd.DataFrame:
    outs = folder / section / "outs/binned_outputs/square_016um"
    counts = np.arange(16).reshape(4, 4) * number
    barcodes = visium.write_bins(outs, 16, counts)
    slide(outs / "spatial/tissue_hires_image.png", number)
    return as_read(counts, barcodes)


def write_wu2021(folder: Path, section: str, number: int) -> pd.DataFrame:
    counts = visium.COUNTS * number
    visium.write_trio(folder / f"filtered_count_matrices/{section}_filtered_count_matrix", counts, packed=True)
    visium.write_spatial(folder / f"spatial/{section}_spatial")
    slide(folder / f"spatial/{section}_spatial/tissue_hires_image.png", number)
    (folder / "metadata").mkdir(exist_ok=True)
    rows = "".join(f'"{barcode}",8,"{section}","ER","Stroma"\n' for barcode in visium.BARCODES)
    text = f'"","nCount_RNA","patientid","subtype","Classification"\n{rows}'
    (folder / f"metadata/{section}_metadata.csv").write_text(text)
    return as_read(counts, visium.BARCODES)


def write_anndata(folder: Path, section: str, number: int) -> pd.DataFrame:
    toy = Toy(folder)
    counts = toy.counts * number
    toy.write(toy.sample(sparse.csr_matrix(counts)), f"{section}.h5ad")
    return pd.DataFrame(counts, toy.spots, toy.genes)


def write_hest(folder: Path, section: str, number: int) -> pd.DataFrame:
    toy = Toy(folder)
    counts = toy.counts * number
    toy.write_hest(section, toy.sample(sparse.csr_matrix(counts)), patient=f"Patient {number}")
    slide(folder / f"wsis/{section}.tif", number)
    return pd.DataFrame(counts, toy.spots, toy.genes)


def write_spatialdata(folder: Path, section: str, number: int) -> pd.DataFrame:
    """Another's store with other counts and another pixel."""
    store, first = folder / f"{section}.zarr", next(folder.glob("*.zarr"))
    if store != first:
        shutil.copytree(first, store)
    counts = spatialdata_store.COUNTS * number
    zarr.open_array(store / "tables/table/X", mode="r+")[:] = counts
    zarr.open_array(store / "images/he/s0", mode="r+")[0, 0, 0] = number
    return pd.DataFrame(counts, spatialdata_store.SPOTS, spatialdata_store.GENES)


def write_slides(folder: Path, section: str, number: int) -> None:
    slide(folder / f"{section}.png", number)
    rows = [f"{x}x{y},{100 * x},{100 * y}\n" for y in (2, 3) for x in (1, 2, 3)]
    (folder / "cohort.yml").write_text("pitch_um: 200\n")
    (folder / f"{section}.spots.csv").write_text("spot_id,pixel_x,pixel_y\n" + "".join(rows))
