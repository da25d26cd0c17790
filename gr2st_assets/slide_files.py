"""Predicting slides that were never registered: one image file in, files for other programs out.

Belongs here: a slide's spots, features, expression, intervals and reference spots, put together and written. Does not
belong here: which model (``slide_models``), formats (``gr2st_core.exports``), registered sections
(``assets.slide_predictions``).

::

    <out>/<slide>/predictions.parquet spots.parquet <slide>.h5ad <slide>.zarr <slide>.geojson
    <out>/<slide>/gr2st.json          what it was made from; written last, so that a slide with it is done
    <out>/<slide>/.features-<digest>  features so far, of a slide that was interrupted
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upath import UPath

from gr2st_assets.drift_sections import ENCODER
from gr2st_assets.fingerprint import code_version
from gr2st_assets.lake import Lake
from gr2st_assets.models import method_code, method_spec
from gr2st_assets.publish import TEMPORARY, crash_point, write_atomic
from gr2st_assets.slide_exports import compared, intervals, thumbnail, write_all
from gr2st_assets.slide_models import SlideModel
from gr2st_assets.slots import section_slot
from gr2st_assets.work import Progress
from gr2st_core.errors import DataError
from gr2st_core.keys import SectionKey
from gr2st_core.types import ImageSection

if TYPE_CHECKING:
    from gr2st_core.cohorts.records import RawSection
    from gr2st_core.drift.reference import Reference
    from gr2st_core.exports.predicted_slide import PredictedSlide
    from gr2st_core.images.pixels import SlideImage
    from gr2st_core.images.spec import EncoderSpec
    from gr2st_core.settings import Settings

COHORT = "slides"
DONE = "gr2st.json"
CRASH_POINTS = ("slide.predicted", "slide.writing", "slide.written", "slide.marked")
"""With features kept and no file yet, after the first, after the last, after ``DONE``."""
_SUFFIXES = re.compile(r"(\.ome)?\.[A-Za-z0-9]+$")
_CODE = ("gr2st_core.images", "gr2st_core.cohorts.slides_only", "gr2st_core.exports", "gr2st_core.drift")


@dataclass(frozen=True)
class SlideRequest:
    """One slide to predict.

    Attributes
    ----------
    path
        Image file.
    out
        Folder that gets a folder of the slide's name.
    spots
        Table of given spots (spot_id, pixel_x, pixel_y), or None to lay a grid over the tissue.
    um_per_px
        Scale, above what the file declares; None takes that.
    pitch_um
        Distance of neighbouring spots; None: that of the training sections, of given spots as measured.
    """

    path: Path
    out: Path
    spots: Path | None = None
    um_per_px: float | None = None
    pitch_um: float | None = None

    @property
    def name(self) -> str:
        """Section id: the file's name, other characters than letters, digits, ``-`` and ``_`` replaced by ``_``."""
        return re.sub(r"[^A-Za-z0-9_-]", "_", _SUFFIXES.sub("", self.path.name))[:64] or "_"

    @property
    def folder(self) -> Path:
        """Where its files go."""
        return self.out / self.name


class SlidePredictor:
    """Predicts slides by one model.

    Parameters
    ----------
    lake
        Where the model's training sections are.
    settings
        How images are encoded and read, and spots compared with training; the model keeps its own.
    """

    def __init__(self, lake: Lake, model: SlideModel, settings: "Settings") -> None:
        self._lake, self._model, self._settings = lake, model, settings
        self._pitch_um = model.pitch_um(lake)
        table = f"image/embeddings_{ENCODER}"
        self._compares = any(lake.head(section_slot(lake, table, key)) for key in model.patients)

    @cached_property
    def _reference(self) -> "tuple[Reference | None, list[str]]":
        from gr2st_assets.training_reference import training_reference

        return training_reference(self._lake, self._model.patients, self._settings.drift)

    def predict(self, request: SlideRequest, progress: Progress) -> bool:
        """Predict one slide and write its files; False if they were there already, made from the same.

        Raises
        ------
        DataError
            The slide cannot be read, nothing says what its scale is, or the model cannot predict it.
        """
        section, slide = self._section(request)
        facts = self._facts(request, section, slide)
        done, kept = request.folder / DONE, request.folder / f".features-{facts['features']}"
        is_done = done.is_file() and json.loads(done.read_text(encoding="utf-8")) == facts
        if not is_done:
            done.unlink(missing_ok=True)
            predicted = self._predicted(section, slide, kept, facts, progress)
            crash_point("slide.predicted")
            write_all(predicted, request.folder, progress)
            crash_point("slide.written")
            write_atomic(UPath(done), (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode())
            crash_point("slide.marked")
        for left in (kept, *request.folder.glob(f"{TEMPORARY}*")):  # a killed run left them though the slide is done
            shutil.rmtree(left, ignore_errors=True)
        return not is_done

    def _section(self, request: SlideRequest) -> "tuple[RawSection, SlideImage]":
        from gr2st_core.cohorts.faults import Faults
        from gr2st_core.cohorts.given_spots import read_given_spots
        from gr2st_core.cohorts.records import IMAGE, SectionEntry
        from gr2st_core.cohorts.slides_only import place_spots
        from gr2st_core.images.slides import open_slide

        limits, faults = self._settings.limits, Faults(section=request.name)
        cap = limits.max_spots
        given = None if request.spots is None else read_given_spots(request.spots, faults, max_spots=cap)
        slide = open_slide(request.path, max_megapixels=limits.max_megapixels, section=request.name)
        entry = SectionEntry(SectionKey(COHORT, request.name), request.name, {IMAGE: request.path})
        pitch = request.pitch_um if given is not None else request.pitch_um or self._pitch_um
        scale = request.um_per_px or slide.um_per_px
        raw = place_spots(
            slide, entry, given, um_per_px=scale, pitch_um=pitch, faults=faults, max_spots=limits.max_spots
        )
        if not len(raw.spot_ids):
            raise DataError("the slide has no spots", section=request.name, file=request.spots or request.path)
        return raw, slide

    def _facts(self, request: SlideRequest, raw: "RawSection", slide: "SlideImage") -> dict[str, Any]:
        """Everything that decides the files, as JSON."""
        spots = hashlib.sha256("\n".join(raw.spot_ids.tolist()).encode())
        for array in (raw.array_xy, raw.pixel_xy):
            spots.update(array.tobytes())
        specs, images = self._encoders, self._settings.images
        features = {
            "image_sha256": slide.sha256, "spots_sha256": spots.hexdigest(), "um_per_px": raw.um_per_px,
            "encoders": [spec.digest for spec in specs], "stain": images.stain, "code": code_version(*_CODE),
        }  # fmt: skip
        model = self._model
        return {
            "features": hashlib.sha256(json.dumps(features, sort_keys=True).encode()).hexdigest()[:16],
            "slide": request.path.name, "section_id": request.name, "n_spots": len(raw.spot_ids), **features,
            "pitch_um": raw.pitch_um, "pitch_um_of_training": self._pitch_um,
            "method": model.name, "model_id": model.model_id, "trained_for": dict(model.facts),
            "champion": model.champion.number if model.champion else None,
            "code_of_method": code_version(*method_code(method_spec(model.name))),
            "intervals": _digest_of_rule(model), "drift": self._settings.drift.digest,
            "licences": {spec.name: spec.licence for spec in specs},
        }  # fmt: skip

    @cached_property
    def _encoders(self) -> "list[EncoderSpec]":
        """Encoders of the model and of the comparison with training; each is loaded once for all slides."""
        from gr2st_core.images.encoders import encoder_spec

        compared = (ENCODER,) if self._compares else ()
        names = dict.fromkeys((*method_spec(self._model.name).features, *compared))
        return [replace(spec, build=cache(spec.build)) for spec in map(encoder_spec, names)]

    def _predicted(
        self, raw: "RawSection", slide: "SlideImage", kept: Path, facts: Mapping[str, Any], progress: Progress
    ) -> "PredictedSlide":
        from gr2st_core.cohorts.spot_size import spot_diameter
        from gr2st_core.exports.predicted_slide import PredictedSlide
        from gr2st_core.images.encode_slide import encode_slide
        from gr2st_core.images.patch_reader import SlidePatches

        images = self._settings.images
        features = encode_slide(
            slide, raw.pixel_xy, raw.spot_ids, raw.um_per_px, self._encoders, stain=images.stain,
            batch_size=images.batch_size, folder=kept, progress=progress,
        )  # fmt: skip
        pixels = method_spec(self._model.name).pixels
        section = ImageSection(
            raw.key, raw.patient_id, raw.spot_ids, raw.array_xy, raw.pixel_xy, raw.um_per_px, raw.pitch_px, features,
            image_path=raw.image_path, patches=SlidePatches(lambda: slide) if pixels else None,
        )  # fmt: skip
        reference, lacking = self._reference
        progress("predicting", 0, 1)
        prediction = self._model.fitted.predict(section)
        progress("predicting", 1, 1)
        return PredictedSlide(
            section=section,
            prediction=prediction,
            spot_diameter_um=spot_diameter(raw.pitch_um)[0],
            provenance={**facts, "not_compared_with": lacking},
            intervals=intervals(self._model, prediction),
            thumbnail=thumbnail(slide),
            **compared(reference, section),
        )


def _digest_of_rule(model: SlideModel) -> str:
    digest = hashlib.sha256(repr((model.rule.level, model.rule.support)).encode())
    rule = model.rule.errors
    for array in (rule.quantile, rule.intercept, rule.slope, rule.floor):
        digest.update(array.tobytes())
    return digest.hexdigest()
