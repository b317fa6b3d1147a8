"""One attempt to serve a new bundle: what speaks against it, and the switch if nothing does."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from derma_assets.browser.parity_record import parity_of
from derma_assets.errors import InputError
from derma_assets.promotion.gate import MARGINS, Judged, compare, reasons
from derma_assets.promotion.served import BUNDLE, DOCUMENT, Promoted, promote, promoted
from derma_assets.promotion.shared import Overtaken, alone, linked, pull, put_back
from derma_assets.storage.fingerprint import fingerprint_folder

Rule = Literal["gate", "always", "never"]

# How often it is begun anew because another machine has changed what is served meanwhile.
_TRIES = 5

_log = logging.getLogger(__name__)

_WAYS = "DERMA_PROMOTE=always serves it all the same, `make rollback` goes back to the one before"


@dataclass(frozen=True)
class Attempt:
    """What came of it.

    Attributes:
        served: What is served now; None if nothing is, or nothing whole.
        promoted: Whether that is the new bundle, promoted now.
        against: What spoke against the new one, a sentence each.
        comparison: With the one that was served, see `gate.compare`, whatever the rule; None if there was none.
        uncompared: Why there was none, otherwise empty.
    """

    served: Promoted | None
    promoted: bool
    against: list[str]
    comparison: pd.DataFrame | None
    uncompared: str = ""


def attempt(
    bundle: Path,
    judged: Judged,
    folder: Path,
    *,
    rule: Rule,
    document: dict[str, Any],
    resamples: int,
    seed: int,
    margins: Mapping[str, float] = MARGINS,
    unpassed: Sequence[str] = (),
    anew: bool = False,
) -> Attempt:
    """Serve a bundle from now on if nothing speaks against it.

    From the look at what is served until the switch nobody else promotes or goes back; what another machine does
    meanwhile is noticed, and all is judged again. A bundle that somebody has gone back from is not served again by
    itself. The one that is served is promoted again if what is kept of it is damaged.

    Args:
        bundle: The stored bundle.
        judged: Its model, for the gate.
        folder: Folder of the promoted bundles.
        rule: `gate`: if it has passed the checks and is not worse than the served one. `always`: if it has passed the
            checks. `never`: not.
        document: What else is to be known of it.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.
        margins: By how much each figure may be worse, for the gate.
        unpassed: What other checks have against it, a sentence each; any stops it, under each rule.
        anew: Put what is served into object storage anew, whatever seems to be there.

    Raises:
        StorageError: it cannot be written, or object storage cannot be reached; what was served is served on.
    """
    with alone(folder):
        tries = 0
        while True:
            pull(folder)
            put_back(folder, anew)
            try:
                return _tried(bundle, judged, folder, rule, document, _Gate(resamples, seed, margins), unpassed)
            except Overtaken:
                tries += 1
                if tries == _TRIES:
                    raise
                _log.info("another machine has changed what is served: the new bundle is judged again")


@dataclass(frozen=True)
class _Gate:
    """How two models are compared, see `gate.compare`."""

    resamples: int
    seed: int
    margins: Mapping[str, float]

    def compare(self, judged: Judged, served: Promoted) -> tuple[pd.DataFrame | None, str]:
        """Return the comparison, or None and why there is none."""
        try:
            return compare(judged, served.judged(), self.resamples, self.seed, self.margins), ""
        except InputError as error:
            return None, str(error)


def _tried(
    bundle: Path,
    judged: Judged,
    folder: Path,
    rule: Rule,
    document: dict[str, Any],
    gate: _Gate,
    unpassed: Sequence[str],
) -> Attempt:
    """Do what `attempt` says on what is served now."""
    fingerprint, link, there = fingerprint_folder(bundle), linked(folder), promoted(folder)
    now = next((one for one in there if one.folder.name == link), None)
    damaged: list[str] = []
    if link is not None:
        damaged = [DOCUMENT] if now is None else now.damaged()
        kept = fingerprint_folder(folder / link / BUNDLE) if now is None else now.document["bundle"]
        if damaged:
            _log.warning("of what is served, %s is not what was promoted: %s", folder / link, ", ".join(damaged))
        if kept == fingerprint:
            if not damaged:
                return Attempt(now, promoted=False, against=[], comparison=None, uncompared="it is the one served")
            again = promote(folder, bundle, judged, document)
            return Attempt(again, promoted=True, against=[], comparison=None, uncompared="it is the one served, mended")

    comparison, uncompared, against = None, "nothing was served before", list(unpassed)
    outcome, said = parity_of(bundle)
    if outcome != "passed":
        against.append(f"browser_parity has not passed for it ({outcome}: {said})")
    if now is not None:
        comparison, uncompared = gate.compare(judged, now)
    elif damaged:
        uncompared = f"{folder / str(link) / DOCUMENT}, what the served one is compared by, is not what was written"
    if rule == "gate" and comparison is not None:
        against += reasons(comparison)
    elif rule == "gate" and link is not None:
        against.append(f"{uncompared}: nothing says that the new one is no worse. {_WAYS}")
    if any(one.went_back and one.document["bundle"] == fingerprint for one in there):
        against.append("it was served before and went back: make rollback undid it on purpose")
    if rule == "never":
        against.append("DERMA_PROMOTE is `never`")
    if against:
        return Attempt(now, promoted=False, against=against, comparison=comparison, uncompared=uncompared)
    served = promote(folder, bundle, judged, document)
    return Attempt(served, promoted=True, against=[], comparison=comparison, uncompared=uncompared)
