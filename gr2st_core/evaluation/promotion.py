"""Whether a challenger takes over from the champion that is served.

Belongs here: the rule, as a function of paired scores and settings, with its reasons in words. Does not belong here:
where scores come from (``pairing``), pointers to models (``gr2st_assets``).

Nulls and the shuffled control are opponents too, under the same rule with a wider margin: what is served must beat
each of them, whatever it gains over the champion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from gr2st_core.evaluation.pairing import Paired
from gr2st_core.evaluation.resampling import MIN_PATIENTS, draw_counts, stream
from gr2st_core.settings import ServingSettings

Verdict = Literal["promoted", "held", "refused"]


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the rule finds in one comparison.

    Attributes
    ----------
    gain
        Mean over patients of challenger minus opponent; 0 without a patient in common.
    low
        Lower bound of the gain, None with few patients.
    passed
        Whether the gain is enough.
    words
        The same as a sentence.
    """

    gain: float
    low: float | None
    passed: bool
    words: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a challenger, and why.

    Attributes
    ----------
    reasons
        One sentence a comparison, the controls first.
    against
        Comparison with the champion, None if there is none yet.
    controls
        Comparison with each control by name.
    rule
        Settings that it was decided under.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    against: Paired | None
    controls: Mapping[str, Paired]
    rule: ServingSettings

    @property
    def is_first(self) -> bool:
        """Whether there was no champion to beat."""
        return self.against is None

    @property
    def has_few_patients(self) -> bool:
        """Whether any comparison has too few patients to speak of others."""
        return _are_few([*self.controls.values(), *([self.against] if self.against else [])])

    def to_document(self) -> dict[str, Any]:
        """Plain JSON, from which `from_document` gives the decision again."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "against": _document(self.against) if self.against else None,
            "controls": {name: _document(paired) for name, paired in self.controls.items()},
            "rule": self.rule.model_dump(mode="json"),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Decision:
        """Read what `to_document` gave."""
        return cls(
            document["verdict"],
            tuple(document["reasons"]),
            _paired(document["against"]) if document["against"] else None,
            {name: _paired(paired) for name, paired in document["controls"].items()},
            ServingSettings.model_validate(document["rule"]),
        )


def weigh(paired: Paired, rule: ServingSettings, margin: float) -> Weighed:
    """Say whether a challenger gains more than ``margin`` over one opponent.

    With ``MIN_PATIENTS`` or more, patients are drawn with replacement, both predictors' scores together, and the lower
    bound of the mean gain must be above the margin. With fewer, the mean gain itself must be, and no patient may lose
    more than ``max_loss``: that speaks of these patients and no others.

    Notes
    -----
    A percentile bound from few patients is rather too high, and several challengers may be tried: the margin is for
    that, too. Genes and spots are not drawn: each patient counts with the score it has.
    """
    gains, n = paired.gains, len(paired.patients)
    if n == 0:
        return Weighed(0.0, None, False, "no patient, section and gene in common")
    gain = float(gains.mean())
    if n < MIN_PATIENTS:
        worst = float(gains.min())
        passed = gain > margin and worst >= -rule.max_loss
        found = f"lowest patient {worst:+.4f}; needed: a mean above {margin:g}, none below {-rule.max_loss:g}"
        return Weighed(gain, None, passed, f"gain {gain:+.4f} over {n} patients (few), {found}")
    draws = draw_counts(n, rule.n_draws, stream(rule.draw_seed, "promotion"))
    low = float(np.quantile(draws @ gains / n, 1 - rule.confidence))
    found = f"lower {rule.confidence:.0%} bound {low:+.4f}; needed: above {margin:g}"
    return Weighed(gain, low, low > margin, f"gain {gain:+.4f} over {n} patients, {found}")


def decide(against: Paired | None, controls: Mapping[str, Paired], rule: ServingSettings) -> Decision:
    """Decide about one challenger.

    Parameters
    ----------
    against
        The challenger beside the champion; None if nothing is served yet, when passing the controls is enough.
    controls
        The challenger beside each control and null by name.

    Returns
    -------
    ``refused`` if any comparison fails, ``held`` if all pass on few patients and the settings want a person's word
    (never for the first champion, which replaces nobody), else ``promoted``.
    """
    weighed = {f"against {n}": weigh(paired, rule, rule.min_signal) for n, paired in sorted(controls.items())}
    if against is not None:
        weighed["against the champion"] = weigh(against, rule, rule.min_effect)
    reasons = [f"{name}: {each.words}{'' if each.passed else ' - not enough'}" for name, each in weighed.items()]
    if against is None:
        reasons.append("first champion: nothing was served before")
    elif left := _left_out(against):
        reasons.append(left)
    verdict: Verdict = "promoted"
    if not controls or not all(each.passed for each in weighed.values()):
        verdict = "refused"
    elif against is not None and rule.few_patients == "hold" and _are_few([against, *controls.values()]):
        verdict = "held"
    return Decision(verdict, tuple(reasons), against, dict(controls), rule)


def _are_few(compared: Iterable[Paired]) -> bool:
    return any(len(paired.patients) < MIN_PATIENTS for paired in compared)


def _left_out(paired: Paired) -> str:
    """What only one of the two had, in words; empty if nothing."""
    if not paired.n_left_out:
        return ""
    patients = f", of them all of {', '.join(paired.patients_left_out)}" if paired.patients_left_out else ""
    shared = f"{paired.n_sections} sections and {paired.n_genes} genes"
    return f"compared on {shared}; {paired.n_left_out} scores that only one has were left out{patients}"


def _document(paired: Paired) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(paired).items()}


def _paired(document: Mapping[str, Any]) -> Paired:
    values: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in document.items()}
    return Paired(**values)
