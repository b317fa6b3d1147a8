"""One attempt to serve a new bundle: what speaks against it, and the switch if nothing does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from derma_assets.browser.parity_record import parity_of
from derma_assets.promotion.gate import MARGINS, Judged, compare, reasons
from derma_assets.promotion.served import Promoted, current, promote, promoted
from derma_assets.storage.fingerprint import fingerprint_folder

Rule = Literal["gate", "always", "never"]


@dataclass(frozen=True)
class Attempt:
    """What came of it.

    Attributes:
        served: What is served now; None if nothing is.
        promoted: Whether that is the new bundle, promoted now.
        against: What spoke against the new one, a sentence each.
        comparison: With the one that was served, see `gate.compare`; None if there was none.
    """

    served: Promoted | None
    promoted: bool
    against: list[str]
    comparison: pd.DataFrame | None


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
) -> Attempt:
    """Serve a bundle from now on if nothing speaks against it.

    A bundle that was served before and went back is not served again by itself.

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

    Raises:
        StorageError: it cannot be written; what was served is served on.
    """
    now, fingerprint = current(folder), fingerprint_folder(bundle)
    if now is not None and now.document["bundle"] == fingerprint:
        return Attempt(now, promoted=False, against=[], comparison=None)
    comparison = compare(judged, now.judged(), resamples, seed, margins) if now is not None and rule == "gate" else None
    against = [] if comparison is None else reasons(comparison)
    outcome, said = parity_of(bundle)
    if outcome != "passed":
        against.insert(0, f"browser_parity has not passed for it ({outcome}: {said})")
    against[:0] = unpassed
    if any(one.document["bundle"] == fingerprint for one in promoted(folder)):
        against.append("it was served before and went back: make rollback undid it on purpose")
    if rule == "never":
        against.append("DERMA_PROMOTE is `never`")
    if against:
        return Attempt(now, promoted=False, against=against, comparison=comparison)
    served = promote(folder, bundle, judged, {**document, "bundle": fingerprint})
    return Attempt(served, promoted=True, against=[], comparison=comparison)
