"""Group ``raw``: the slide, its spots and its counts, as the cohort's reader reads them.

Belongs here: everything that touches a cohort folder. Does not belong here: anything normalised.
"""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gr2st_assets import pictures
from gr2st_assets.checks import domain
from gr2st_assets.kinds import section_asset
from gr2st_assets.steps import Product
from gr2st_assets.work import SectionWork
from gr2st_core.errors import SchemaError

if TYPE_CHECKING:
    import numpy as np

THUMBNAIL_PX = 512
CODE = ("gr2st_core.cohorts", "gr2st_core.containers", *(f"gr2st_core.images.{name}" for name in (
    "slides", "embedded", "tiled_files", "tiled", "tiff_header", "tiff_tiles", "openslide_tiles", "thumbnails",
    "pixels", "scale",
)))  # fmt: skip
"""What decides the rows: the readers, and how an image is opened and made small."""


def _digests_without(role: str, *annotations: str) -> Callable[[SectionWork], Mapping[str, str]]:
    """Inputs outside the lake: SHA-256 of the section's files but that of one role, of annotations, and its patient."""

    def digests(work: SectionWork) -> Mapping[str, str]:
        from gr2st_core.cohorts.files import file_sha256

        entry = work.entry
        paths = {name: path for name, path in entry.files.items() if name != role}
        paths |= {name: entry.annotations[name] for name in annotations if name in entry.annotations}
        return {"patient": entry.patient_id, **{name: file_sha256(path) for name, path in paths.items()}}

    return digests


@section_asset("raw/slides", code=CODE, files=_digests_without("counts"), kinds=frozenset({"python"}))
def slides(work: SectionWork) -> Product:
    """Each section's H&E image, validated: size, resolution, tissue mask, thumbnail. NULL facts where it has none."""
    import pandas as pd

    from gr2st_core.images.slides import png_bytes, tissue_mask

    raw = work.raw()
    facts = {"um_per_px": raw.um_per_px, "pitch_px": raw.pitch_px, "pitch_um": raw.pitch_um}
    row = {**work.columns, "patient_id": raw.patient_id, **facts}
    if raw.image_path is None:
        return Product(pd.DataFrame([{**row, **dict.fromkeys(_IMAGE_FACTS)}]), {"has_image": 0})
    slide = work.slide(raw.image_path)
    thumbnail = slide.thumbnail(THUMBNAIL_PX)
    mask = tissue_mask(thumbnail)
    scale = slide.size_px[0] / thumbnail.shape[1]
    row |= {
        "image_path": raw.image_path.name,
        "image_sha256": slide.sha256,
        "width_px": slide.size_px[0],
        "height_px": slide.size_px[1],
        "tissue_fraction": float(mask.mean()),
        "thumbnail_um_per_px": raw.um_per_px * scale,
        "thumbnail_png": png_bytes(thumbnail),
        "tissue_mask_png": png_bytes(mask),
    }
    x, y = raw.pixel_xy.T / scale
    return Product(
        pd.DataFrame([row]),
        {"has_image": 1, "um_per_px": raw.um_per_px, "tissue_fraction": row["tissue_fraction"]},
        pictures.slide_with_spots(thumbnail, x, y, f"{work.key}, {len(x)} spots, {raw.um_per_px:.2f} um/px"),
    )


_IMAGE_FACTS = (
    "image_path", "image_sha256", "width_px", "height_px", "tissue_fraction", "thumbnail_um_per_px", "thumbnail_png",
    "tissue_mask_png",
)  # fmt: skip


@section_asset(
    "raw/spots",
    deps=("raw/slides",),
    code=CODE,
    files=_digests_without("image", "regions"),
    checks=("spots_on_image", "spots_have_counts"),
)
def spots(work: SectionWork) -> Product:
    """Capture spots with coordinates, sequencing depth, and whether they lie on tissue."""
    import numpy as np
    import pandas as pd

    raw = work.raw()
    slide = work.rows("raw/slides").iloc[0]
    sequenced = raw.counts is not None
    table = pd.DataFrame(
        {
            **work.columns,
            "patient_id": raw.patient_id,
            "spot_id": raw.spot_ids,
            "array_col": raw.array_xy[:, 0],
            "array_row": raw.array_xy[:, 1],
            "pixel_x": raw.pixel_xy[:, 0],
            "pixel_y": raw.pixel_xy[:, 1],
            "total_count": raw.counts.totals() if sequenced else 0,
            "n_genes": np.asarray((raw.counts.matrix > 0).sum(axis=1)).ravel() if sequenced else 0,
            "has_counts": sequenced,
            "is_on_tissue": _on_tissue(raw.pixel_xy * raw.um_per_px, slide),
            "region": [None] * len(raw.spot_ids) if raw.regions is None else [name or None for name in raw.regions],
        }
    )
    return Product(
        table,
        {"n_spots": len(table), "median_total_count": float(table.total_count.median())},
        pictures.spot_values(
            table.assign(depth=np.log10(table.total_count + 1)), {"depth": "log10 molecules", "n_genes": "genes"}
        ),
        [domain.spots_on_image(table, slide), domain.spots_have_counts(table, raw.n_spots_without_counts)],
    )


def _on_tissue(centres_um: "object", slide: "object") -> "object":
    """Whether each spot centre lies on the tissue mask; unknown without an image."""
    import io

    import numpy as np
    import pandas as pd
    from PIL import Image

    if slide.tissue_mask_png is None:
        return pd.array([None] * len(centres_um), dtype="boolean")
    mask = np.asarray(Image.open(io.BytesIO(slide.tissue_mask_png)).convert("L")) > 0
    column, row = (centres_um / slide.thumbnail_um_per_px).astype(int).T
    return pd.array(mask[row.clip(0, mask.shape[0] - 1), column.clip(0, mask.shape[1] - 1)], dtype="boolean")


@section_asset(
    "raw/counts",
    deps=("raw/spots",),
    code=CODE,
    files=_digests_without("image"),
    checks=("counts_match_spots",),
)
def counts(work: SectionWork) -> Product:
    """Raw molecule counts, one row per spot and gene that has any; the genes measured stand in the file's schema."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    raw = work.raw()
    if raw.counts is None:
        columns = {"spot_id": pd.Series(dtype=str), "gene": pd.Series(dtype=str), "count": pd.Series(dtype="int32")}
        none = pd.DataFrame({"cohort": pd.Series(dtype=str), "section_id": pd.Series(dtype=str), **columns})
        return Product(none, {"n_genes": 0, "n_molecules": 0}, schema_facts={"genes": "[]"})
    matrix = raw.counts.matrix.tocoo()
    _require_int32(matrix.data, str(work.key))
    genes = np.asarray(raw.counts.genes, dtype=object)
    table = pa.table(
        {
            **{name: pa.array([value] * matrix.nnz).dictionary_encode() for name, value in work.columns.items()},
            "spot_id": pa.DictionaryArray.from_arrays(matrix.row.astype("int32"), raw.spot_ids.astype(object)),
            "gene": pa.DictionaryArray.from_arrays(matrix.col.astype("int32"), genes),
            "count": pa.array(matrix.data.astype("int32")),
        }
    )
    return Product(
        table,
        {
            "n_genes": len(genes),
            "n_molecules": int(matrix.data.sum()),
            "sparsity": 1 - matrix.nnz / np.prod(matrix.shape),
        },
        findings=[domain.counts_match_spots(table, work.rows("raw/spots"))],
        schema_facts={"genes": json.dumps(list(genes))},
    )


def _require_int32(values: "np.ndarray", section: str) -> None:
    """Refuse what a cast to 32 bits would change without a word."""
    import numpy as np

    limits = np.iinfo(np.int32)
    unfit = values[(values != np.rint(values)) | (values < limits.min) | (values > limits.max)]
    if len(unfit):
        raise SchemaError(
            "counts are integers of 32 bits",
            section=section,
            field="count",
            found=unfit[:10].tolist(),
            expected=f"integers up to {limits.max}",
            hint="give raw molecule counts",
        )
