"""The values that travel through the core: sections, panels, predictions.

Belongs here: frozen dataclasses that validate themselves, and aliases that name a shape and a unit. Does not
belong here: reading, computing, storing.

``TrainSection`` holds counts and wraps an ``ImageSection``; it is not one. ``predict`` accepts ``ImageSection``
only, so a held-out section's counts cannot reach a prediction without a type error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import AlignmentError, LeakageError, PanelError, SchemaError
from gr2st_core.keys import NAME, CellSource, SectionKey

if TYPE_CHECKING:
    from scipy import sparse

FloatArray = NDArray[np.floating]
BoolArray = NDArray[np.bool_]
StrArray = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Panel:
    """Ordered genes that a model predicts.

    Attributes
    ----------
    name
        ``fold_safe``, ``breast_markers``, or the stem of the file that lists the genes.
    genes
        Gene symbols, unique; the order is that of every expression matrix's columns.
    """

    name: str
    genes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.genes:
            raise PanelError("a panel needs at least one gene", panel=self.name)
        if len(set(self.genes)) != len(self.genes):
            doubled = sorted({gene for gene in self.genes if self.genes.count(gene) > 1})
            raise PanelError("a panel lists each gene once", panel=self.name, found=doubled[:10])

    @property
    def sha256(self) -> str:
        """Checksum of the symbols in order, one a line."""
        return hashlib.sha256("\n".join(self.genes).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.genes)


@dataclass(frozen=True, slots=True)
class Counts:
    """Raw molecule counts of one section over the full transcriptome.

    Attributes
    ----------
    matrix
        CSR, non-negative integers, shape ``(n_spots, n_genes)``; rows follow the owner's ``spot_ids``.
    genes
        Symbols of the columns, unique.
    """

    matrix: sparse.csr_matrix
    genes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.matrix.shape[1] != len(self.genes):
            raise AlignmentError("one gene symbol per column", expected=self.matrix.shape[1], found=len(self.genes))

    def of(self, panel: Panel) -> NDArray[np.int64]:
        """Counts of the panel's genes, shape ``(n_spots, n_genes)``; genes the section never measured are zero."""
        column = {gene: index for index, gene in enumerate(self.genes)}
        known = [(k, column[gene]) for k, gene in enumerate(panel.genes) if gene in column]
        dense = np.zeros((self.matrix.shape[0], len(panel)), dtype=np.int64)
        if known:
            places, columns = map(list, zip(*known, strict=True))
            dense[:, places] = self.matrix[:, columns].toarray()
        return dense

    def totals(self) -> NDArray[np.int64]:
        """Molecules per spot over all genes, shape ``(n_spots,)``."""
        return np.asarray(self.matrix.sum(axis=1), dtype=np.int64).ravel()

    def rows(self, index: NDArray[np.int_] | BoolArray) -> Counts:
        """Counts of the chosen spots, in the order of ``index``."""
        return Counts(self.matrix[index], self.genes)


@dataclass(frozen=True, slots=True)
class CellTypes:
    """Share of each cell class in every spot.

    Attributes
    ----------
    classes
        Names of the columns.
    proportions
        Shape ``(n_spots, n_classes)``; a row sums to 1, or is all NaN where nothing is known of the spot.
    source
        ``image`` (allowed on a query section) or ``expression`` (training sections only).
    method
        Where the proportions come from, e.g. ``hovernet``, ``deconvolution``, ``marker_genes``.
    """

    classes: tuple[str, ...]
    proportions: FloatArray
    source: CellSource
    method: str

    def __post_init__(self) -> None:
        if self.proportions.ndim != 2 or self.proportions.shape[1] != len(self.classes):
            raise AlignmentError("one column per cell class", expected=len(self.classes), found=self.proportions.shape)
        known = ~np.isnan(self.proportions).any(axis=1)
        if not np.allclose(self.proportions[known].sum(axis=1), 1.0, atol=1e-3):
            raise SchemaError("cell proportions of a spot sum to 1 (or are all missing)", method=self.method)

    def rows(self, index: NDArray[np.int_] | BoolArray) -> CellTypes:
        """Proportions of the chosen spots, in the order of ``index``."""
        return replace(self, proportions=self.proportions[index])


class PatchReader(Protocol):
    """Cuts patches from a section's image when they are asked for."""

    def __call__(self, pixel_xy: FloatArray, um_per_px: float, *, span_um: float, input_px: int) -> NDArray[np.uint8]:
        """Patches centred on places of the image.

        Parameters
        ----------
        pixel_xy
            Centres, x right, y down, shape ``(n, 2)``.
        span_um
            Side of a patch in micrometres.
        input_px
            Side of a patch in pixels as it comes out.

        Returns
        -------
        RGB, uint8 ``(n, input_px, input_px, 3)``.

        Raises
        ------
        ImageError
            The image is damaged, or too coarse for the span.
        """
        ...


@dataclass(frozen=True, slots=True)
class ImageSection:
    """A section as a query sees it: image, coordinates, features; no counts.

    Attributes
    ----------
    key, patient_id
        Identity. The patient id is required: folds are made from it.
    spot_ids
        Unique ids, shape ``(n_spots,)``; the row order of every array of the section.
    array_xy
        Column and row on the capture grid, shape ``(n_spots, 2)``.
    pixel_xy
        Spot centres in image pixels, x right, y down, shape ``(n_spots, 2)``.
    um_per_px
        Micrometres per image pixel.
    pitch_px
        Median distance between neighbouring spot centres in pixels.
    features
        Patch features by encoder name, each float32 ``(n_spots, d_features)``; empty without an image.
    cell_types
        Derived from the image, or None.
    image_path
        The H&E image, or None.
    patches
        Reads patches of the image as they are needed; None without an image, or where no method needs pixels.
    """

    key: SectionKey
    patient_id: str
    spot_ids: StrArray
    array_xy: FloatArray
    pixel_xy: FloatArray
    um_per_px: float
    pitch_px: float
    features: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    cell_types: CellTypes | None = None
    image_path: Path | None = None
    patches: PatchReader | None = None

    def __post_init__(self) -> None:
        where = str(self.key)
        if not NAME.fullmatch(self.patient_id):
            raise SchemaError("a section needs a patient id", section=where, found=repr(self.patient_id))
        if len(set(self.spot_ids.tolist())) != self.n_spots:
            raise SchemaError("spot ids are unique within a section", section=where)
        for name, array in (("array_xy", self.array_xy), ("pixel_xy", self.pixel_xy)):
            if array.shape != (self.n_spots, 2) or not np.isfinite(array).all():
                raise AlignmentError(f"{name} is finite, (n_spots, 2)", section=where, found=array.shape)
        for name, block in self.features.items():
            if block.ndim != 2 or len(block) != self.n_spots:
                raise AlignmentError("one feature row per spot", section=where, encoder=name, found=block.shape)
            if not np.isfinite(block).all():
                raise SchemaError("patch features are finite", section=where, encoder=name)
        if self.cell_types is not None and self.cell_types.source != "image":
            raise LeakageError("a query section takes cell types from the image only", section=where)
        if self.cell_types is not None and len(self.cell_types.proportions) != self.n_spots:
            raise AlignmentError("one cell-type row per spot", section=where)

    @property
    def n_spots(self) -> int:
        """Number of spots."""
        return len(self.spot_ids)

    @property
    def shows_tissue(self) -> bool:
        """Whether anything of the image can be read: patch features or patches themselves."""
        return bool(self.features) or self.patches is not None

    @property
    def pitch_xy(self) -> FloatArray:
        """Spot centres in units of the spot pitch, shape ``(n_spots, 2)``."""
        return self.pixel_xy / self.pitch_px

    def rows(self, index: NDArray[np.int_] | BoolArray) -> ImageSection:
        """The same section with the chosen spots only, in the order of ``index``."""
        return replace(
            self,
            spot_ids=self.spot_ids[index],
            array_xy=self.array_xy[index],
            pixel_xy=self.pixel_xy[index],
            features={name: block[index] for name, block in self.features.items()},
            cell_types=None if self.cell_types is None else self.cell_types.rows(index),
        )


@dataclass(frozen=True, slots=True)
class TrainSection:
    """A section that a model may learn from: what a query sees, and its counts.

    Attributes
    ----------
    image
        The section as a query sees it. A counts-only section has no features in it.
    counts
        Rows follow ``image.spot_ids``.
    cell_types
        From the image or from expression, or None; never passed on to ``predict``.
    """

    image: ImageSection
    counts: Counts
    cell_types: CellTypes | None = None

    def __post_init__(self) -> None:
        if self.counts.matrix.shape[0] != self.image.n_spots:
            raise AlignmentError(
                "one count row per spot",
                section=str(self.key),
                expected=self.image.n_spots,
                found=self.counts.matrix.shape[0],
            )
        if self.cell_types is not None and len(self.cell_types.proportions) != self.image.n_spots:
            raise AlignmentError("one cell-type row per spot", section=str(self.key))

    @property
    def key(self) -> SectionKey:
        """Identity of the section."""
        return self.image.key

    @property
    def patient_id(self) -> str:
        """Donor of the section."""
        return self.image.patient_id

    def rows(self, index: NDArray[np.int_] | BoolArray) -> TrainSection:
        """The same section with the chosen spots only, in the order of ``index``."""
        types = None if self.cell_types is None else self.cell_types.rows(index)
        return TrainSection(self.image.rows(index), self.counts.rows(index), types)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predicted expression of one section, in target units.

    Attributes
    ----------
    spot_ids
        Shape ``(n_spots,)``, the query section's order.
    genes
        Columns, in panel order.
    values
        Absolute predicted expression, float32 ``(n_spots, n_genes)``.
    components
        Parts the values were mixed from (``retrieval``, ``regression``), same shape; may be empty.
    weight
        Share of ``retrieval`` in ``values``, in a blend the share of GR2ST, or None for a method of one part.
    """

    key: SectionKey
    spot_ids: StrArray
    genes: tuple[str, ...]
    values: NDArray[np.float32]
    components: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    weight: float | None = None

    def __post_init__(self) -> None:
        shape = (len(self.spot_ids), len(self.genes))
        for name, array in {"values": self.values, **self.components}.items():
            if array.shape != shape:
                raise AlignmentError(
                    f"{name} is (n_spots, n_genes)", section=str(self.key), expected=shape, found=array.shape
                )


def require_image_sections(sections: Iterable[object]) -> None:
    """Refuse anything but an ``ImageSection`` at the door of ``predict``.

    Raises
    ------
    LeakageError
    """
    for section in sections:
        if not isinstance(section, ImageSection):
            raise LeakageError(
                "predict takes ImageSection, which has no counts",
                found=type(section).__name__,
                hint="pass section.image",
            )


def patients_of(sections: Sequence[TrainSection]) -> tuple[str, ...]:
    """Distinct donors as ``cohort/patient``, sorted."""
    return tuple(sorted({f"{s.key.cohort}/{s.patient_id}" for s in sections}))
