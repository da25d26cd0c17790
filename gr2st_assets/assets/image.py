"""Group ``image``: one embeddings asset per encoder, each with checks, history and lineage of its own.

Belongs here: patches to features. Does not belong here: encoders themselves (``gr2st_core.images``); to add one to
the graph, name it in ``ENCODERS``.
"""

import dagster as dg

from gr2st_assets.checks import domain
from gr2st_assets.kinds import section_asset
from gr2st_assets.steps import Product
from gr2st_assets.work import SectionWork

ENCODERS = (
    "color_texture",
    "efficientnet_lite0",
    "efficientnet_lite0_309um",
    "efficientnet_lite0_rot",
    "efficientnet_lite0_309um_rot",
)


def encoder_digest(encoder: str) -> str:
    """Digest of what is declared of an encoder: span, input size, normalisation, weights."""
    from gr2st_core.images.encoders import encoder_spec

    return encoder_spec(encoder).digest


def embeddings_asset(encoder: str) -> dg.AssetsDefinition:
    """Make the embeddings asset of a registered encoder."""

    def embeddings(work: SectionWork) -> Product:
        import numpy as np
        import pyarrow as pa

        from gr2st_core.images.encode import encode_section
        from gr2st_core.images.encoders import encoder_spec
        from gr2st_core.images.patches import is_too_coarse, patch_facts

        spec, slide_facts = encoder_spec(encoder), work.rows("raw/slides").iloc[0]
        spots = work.rows("raw/spots")
        path, um_per_px, options = work.entry.image_path, float(slide_facts.um_per_px), work.settings.images
        if path is None:
            features, spots, findings = np.zeros((0, spec.width), np.float32), spots.iloc[:0], []
        elif is_too_coarse(spec.span_um, um_per_px):
            features, spots = np.zeros((0, spec.width), np.float32), spots.iloc[:0]
            findings = [domain.too_coarse(encoder, spec.span_um, um_per_px)]
        else:
            slide = work.slide(path)
            centres = spots[["pixel_x", "pixel_y"]].to_numpy()
            features = encode_section(
                slide, centres, um_per_px, spec, stain=options.stain, batch_size=options.batch_size,
                progress=work.progress,
            )  # fmt: skip
            facts = patch_facts(
                slide.size_px, centres, um_per_px=um_per_px, span_um=spec.span_um, input_px=spec.input_px
            )
            findings = [
                domain.patch_span(encoder, spec.span_um, facts.patch_px, um_per_px),
                domain.resolution(facts.magnification),
                domain.embeddings_vary(features),
            ]
        offsets = pa.array(np.arange(len(features) + 1, dtype=np.int32) * spec.width)
        table = pa.table(
            {
                **{name: pa.array([value] * len(spots), pa.string()) for name, value in work.columns.items()},
                "spot_id": pa.array(spots.spot_id, pa.string()),
                "encoder": pa.array([encoder] * len(spots), pa.string()),
                "embedding": pa.ListArray.from_arrays(offsets, pa.array(features.ravel(), pa.float32())),
            }
        )
        findings.append(domain.every_spot_has_rows(table, spots.spot_id))
        return Product(
            table,
            {"n_spots": len(spots), "width": spec.width, "span_um": spec.span_um},
            findings=findings,
        )

    embeddings.__doc__ = (
        f"Patch features of the encoder {encoder}, one row per spot; none without an image fine enough for it."
    )
    return section_asset(
        f"image/embeddings_{encoder}",
        deps=("raw/slides", "raw/spots"),
        code=("gr2st_core.containers", "gr2st_core.images"),
        checks=("patch_span", "resolution", "embeddings_vary", "every_spot_has_rows"),
        settings_hash=lambda settings: settings.images.digest + encoder_digest(encoder),
        kinds=frozenset({"torch"}),
        pool="gpu",
    )(embeddings)


EMBEDDINGS = [embeddings_asset(encoder) for encoder in ENCODERS]
