"""Which prediction of a section is shown.

Belongs here: the choice among methods, folds and variants that readers are shown, and what it rests on. Does not belong
here: reading rows (``gather``).

By default it is the champion's method in the fold that held the section's patient out, else the section: a model that
never saw the section. A section that no fold holds out is shown as the champion predicts it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gr2st_assets import manifest
from gr2st_assets.champion_records import Event
from gr2st_assets.champions import champions, history
from gr2st_assets.lake import Lake
from gr2st_assets.records import Slot
from gr2st_assets.sections import read_folds
from gr2st_assets.selection import SERVED
from gr2st_assets.slots import Variant, section_slot
from gr2st_core.errors import MissingArtifactError, SettingsError
from gr2st_core.keys import SectionKey

UNITS = ("patient", "section", "external")
"""Split units in the order in which a fold is looked for."""
FAMILY = "predictions/predictions_"


@dataclass(frozen=True)
class Shown:
    """Artefacts that readers are shown: number of the manifest, digest and generation of each slot."""

    number: int
    entries: Mapping[Slot, manifest.Entry]

    @classmethod
    def of(cls, lake: Lake) -> "Shown":
        """Read the current manifest.

        Raises
        ------
        MissingArtifactError
            There is none.
        """
        current = manifest.current(lake)
        if current is None:
            raise MissingArtifactError("readers are shown nothing yet", file=lake.root, hint="gr2st materialize")
        return cls(current.number, current.entries)

    def digest(self, slot: Slot) -> str | None:
        """Artefact of a slot, None if readers are shown none."""
        return self.entries[slot].digest if slot in self.entries else None


@dataclass(frozen=True)
class Chosen:
    """One prediction of one section.

    Attributes
    ----------
    name
        Method, ``<method>_<profile>``.
    fold_id, split_unit
        Fold that held the section out; ``<cohort>/all`` and ``all`` where the champion predicts a further section.
    event
        Champion whose recipe it is, so that its intervals speak of it; None for another method or fold.
    predictions
        Where it lies; None if it has to be made.
    model
        Slot and digest of what predicted.
    """

    key: SectionKey
    name: str
    fold_id: str
    split_unit: str
    variant: Variant
    event: Event | None
    predictions: Slot | None
    model: tuple[Slot, str]

    def sibling(self, table: str, *names: str) -> Slot:
        """Slot of another table of the same fold, by those of its keys."""
        slot = self.model[0]
        return Slot(table, tuple((name, value) for name, value in slot.keys if name in ("cohort", "fold", *names)))


def choose(lake: Lake, shown: Shown, key: SectionKey, method: str | None = None, fold: str | None = None) -> Chosen:
    """Choose what is shown of a section.

    Parameters
    ----------
    method
        ``<method>_<profile>``; the champion's by default.
    fold
        Fold that holds the section out; by default the first that has the prediction, patients before sections.

    Raises
    ------
    SettingsError
        No such method, or the fold does not hold the section out.
    MissingArtifactError
        No champion and no method named, or no such prediction.
    """
    from gr2st_core.models.registry import method as require_method

    serving = champions(history(lake))
    own = serving.get(key.cohort)
    if method is not None:
        require_method(method)
    elif own is None and not serving:
        raise MissingArtifactError("no champion is served", section=str(key), hint="name a method: --method ridge_m224")
    units = {f.fold_id: f.split_unit for f in read_folds(lake).values() if key in f.test}
    if fold is not None and fold not in units:
        raise SettingsError(
            "the fold does not hold the section out", section=str(key), found=fold, expected=sorted(units)
        )
    name = method or (own.contender.name if own else None)
    wanted = [fold] if fold else sorted(units, key=lambda f: (UNITS.index(units[f]), f))
    for fold_id in wanted if name else []:
        if slots := _variants(shown.entries, f"{FAMILY}{name}", fold_id):
            return _out_of_fold(shown, key, str(name), (fold_id, units[fold_id]), slots, own)
    event = own or (serving[min(serving)] if serving else None)
    if event is None or fold is not None or (method is not None and method != event.contender.name):
        raise MissingArtifactError(
            "readers are shown no such prediction", section=str(key), field=method or name, expected=wanted,
            hint="gr2st materialize, or another --method or --fold",
        )  # fmt: skip
    return _served(lake, shown, key, event)


def _variants(entries: Iterable[Slot], table: str, fold_id: str) -> list[Slot]:
    """Slots of a table in one fold, sorted by panel, target and seed."""
    place = tuple(fold_id.split("/"))
    return sorted(s for s in entries if s.table == table and (s.value("cohort"), s.value("fold")) == place)


def _out_of_fold(
    shown: Shown, key: SectionKey, name: str, fold: tuple[str, str], slots: list[Slot], own: Event | None
) -> Chosen:
    """Prediction of a fold, in the champion's panel, target and seed if there is one in them."""
    judged = {Slot.parse(text).keys for text in own.contender.scores} if own and own.contender.name == name else set()
    like = (own.contender.panel, own.contender.target, own.contender.seed) if own else None
    slot = min(slots, key=lambda s: (s.keys not in judged, _variant(s) != like, s))
    model = Slot(f"models/model_{name}", slot.keys)
    if model not in shown.entries:
        raise MissingArtifactError("the model of a prediction is not there", slot=model, hint="gr2st materialize")
    entry = shown.entries[model]
    is_recipe = own is not None and slot.keys in judged and entry.generation == own.contender.generation
    return Chosen(key, name, *fold, Variant(*_variant(slot)), own if is_recipe else None, slot, (model, entry.digest))


def _served(lake: Lake, shown: Shown, key: SectionKey, event: Event) -> Chosen:
    """Prediction of a section by a champion that was not trained on it."""
    contender = event.contender
    slot = section_slot(lake, SERVED, key)
    variant = Variant(contender.panel, contender.target, contender.seed)
    stored = slot if slot in shown.entries else None
    return Chosen(key, contender.name, f"{contender.cohort}/all", "all", variant, event, stored, contender.model)


def _variant(slot: Slot) -> tuple[str, str, int]:
    return str(slot.value("panel")), str(slot.value("target")), int(str(slot.value("seed")))


def inputs(lake: Lake, shown: Shown, chosen: Chosen) -> dict[str, str]:
    """Everything that decides what is shown, by name: artefacts, and the scripts of the page."""
    key = chosen.key
    sections = (section_slot(lake, table, key) for table in ("raw/slides", "raw/spots", "graphs/spatial_graph"))
    tables = [*sections, *map(lake.slot, ("serving/spot_drift", "serving/calibration"))]
    if chosen.predictions is not None:
        tables.append(chosen.predictions)
    if chosen.split_unit != "all":
        tables.append(chosen.sibling("predictions/observed", "panel", "target"))
    parts = sorted((Path(__file__).parent / "page").iterdir())
    return {
        **{str(slot): shown.digest(slot) or "absent" for slot in tables},
        str(chosen.model[0]): chosen.model[1],
        "champion": str(chosen.event.number if chosen.event else None),
        "page": hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest(),
    }


def section_entry(lake: Lake, shown: Shown, table: str, key: SectionKey) -> tuple[Slot, str]:
    """Slot and digest of a section table that readers are shown.

    Raises
    ------
    MissingArtifactError
    """
    slot = section_slot(lake, table, key)
    digest = shown.digest(slot)
    if digest is None:
        raise MissingArtifactError("readers are shown no such table", table=table, section=str(key))
    return slot, digest
