"""What ``gr2st predict`` does: slide after slide, what is done left alone, what fails named.

Belongs here: progress and messages for a person. Does not belong here: arguments (``cli``), the work
(``slide_files``).
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from gr2st_assets.lake import Lake
from gr2st_assets.project import lake_root
from gr2st_assets.slide_files import SlidePredictor, SlideRequest
from gr2st_assets.slide_models import SlideModel, find_model
from gr2st_assets.work import Progress
from gr2st_core.errors import Gr2stError, SettingsError

Say = Callable[[str], None]
_EVERY_S = 2.0


def predict_slides(
    slides: Sequence[Path],
    out: Path,
    wanted: str,
    spots: Path | None,
    um_per_px: float | None,
    pitch_um: float | None,
    settings_file: Path | None,
    say: Say,
) -> int:
    """Predict slides by one model; 1 if any could not be."""
    from gr2st_core.settings import load_settings

    settings, lake = load_settings(settings_file), Lake(lake_root())
    requests = [SlideRequest(path, out, spots, um_per_px, pitch_um) for path in slides]
    if doubled := [name for name, n in Counter(request.name for request in requests).items() if n > 1]:
        raise SettingsError("slides have one name", found=doubled, hint="rename a file, or use two output folders")
    model = find_model(lake, wanted, settings)
    say(_described(model))
    predictor = SlidePredictor(lake, model, settings)
    faults = 0
    for request in requests:
        try:
            is_new = predictor.predict(request, _reporter(request.name, say))
        except Gr2stError as error:
            faults += 1
            say(f"fault: {request.path}: {error}")
        else:
            say(f"{request.name}: {'written to' if is_new else 'is in'} {request.folder}")
    return int(faults > 0)


def _described(model: SlideModel) -> str:
    """One line on the model, one on what its intervals promise."""
    place = ", ".join(f"{name} {value}" for name, value in model.facts.items())
    serves = f"champion by event {model.champion.number}" if model.champion else "not a champion"
    promise = "no intervals: the model's recipe was not calibrated"
    if model.rule.level is not None:
        genes = Counter(model.rule.support)
        known = ", ".join(f"{n} genes {support}" for support, n in genes.most_common())
        promise = f"{model.rule.level:.0%} intervals: {known}"
    return f"{model.name} {model.model_id[:12]} ({place}; {serves})\n{promise}"


def _reporter(name: str, say: Say) -> Progress:
    """Say how many spots a second are done, every few seconds."""
    last = time.monotonic()
    begun: dict[str, tuple[float, int]] = {}

    def report(label: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        started, before = begun.setdefault(label, (now, done))
        if now - last < _EVERY_S and done < total:
            return
        last = now
        speed = f", {(done - before) / (now - started):.1f} spots/s" if label == "spots" and now > started else ""
        say(f"{name}: {label} {done}/{total}{speed}")

    return report
