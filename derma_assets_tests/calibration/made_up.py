"""Made-up predictions: overconfident logits for lesions with one to three pictures, on validation and test."""

import numpy as np
import pandas as pd

from derma_assets.diagnoses import CODES
from derma_assets.training.predictions import LOGIT_COLUMNS


def predictions(lesions_per_class: int = 12, skill: float = 3.0, seed: int = 0) -> pd.DataFrame:
    """Return a table as the asset `predictions` is; the logits, times 5, are `skill` higher for the true class."""
    draw = np.random.default_rng(seed)
    rows = []
    for side in ("validation", "test"):
        for code in CODES:
            for lesion in range(lesions_per_class):
                of_lesion = draw.normal(size=len(CODES))
                for picture in range(int(draw.integers(1, 4))):
                    logits = of_lesion + 0.3 * draw.normal(size=len(CODES))
                    logits[CODES.index(code)] += skill
                    name = f"{side}_{code}_{lesion}"
                    rows.append((f"{name}_{picture}", name, code, side, *(5 * logits)))
    table = pd.DataFrame(rows, columns=["image_id", "lesion_id", "dx", "split", *LOGIT_COLUMNS])
    return table.astype(dict.fromkeys(LOGIT_COLUMNS, np.float32))


def view_predictions() -> pd.DataFrame:
    """Return a table as the asset `view_predictions` is: each view has noise of its own, which averaging takes off."""
    of_one = predictions()
    noise = np.random.default_rng(1).normal(scale=8, size=(8, len(of_one), len(CODES)))
    noise[0] = 0
    parts = []
    for count in (1, 2, 4, 8):
        logits = of_one[LOGIT_COLUMNS].to_numpy() + noise[:count].mean(axis=0)
        parts.append(of_one.assign(**pd.DataFrame(logits.astype(np.float32), columns=LOGIT_COLUMNS), views=count))
    return pd.concat(parts, ignore_index=True)


def skin_tones() -> pd.DataFrame:
    """Return a table as the asset `skin_tone` is, for the pictures of `predictions`; few are dark."""
    image_ids = predictions()["image_id"]
    names = ["very_light", "light", "intermediate", "tan", "dark", "off_scale", "unknown"]
    tones = np.random.default_rng(3).choice(names, len(image_ids), p=[0.4, 0.3, 0.15, 0.03, 0.01, 0.08, 0.03])
    return pd.DataFrame({"image_id": image_ids, "tone": tones})


def metadata() -> pd.DataFrame:
    """Return a table as the asset `raw_metadata` is, for the pictures of `predictions`; only nevi are followed up."""
    table = predictions()[["lesion_id", "image_id", "dx"]]
    lesions = table.drop_duplicates("lesion_id").reset_index(drop=True)
    draw = np.random.default_rng(2)
    places = ["back", "trunk", "face", "unknown", "ear", "scalp"]
    of_lesion = pd.DataFrame(
        {
            "lesion_id": lesions["lesion_id"],
            "dx_type": np.where(lesions["dx"] == "nv", "follow_up", "histo"),
            "age": draw.choice([25.0, 40.0, 55.0, 60.0, 80.0, np.nan], len(lesions)),
            "sex": draw.choice(["male", "female", "unknown"], len(lesions), p=[0.5, 0.45, 0.05]),
            "localization": draw.choice(places, len(lesions), p=[0.4, 0.3, 0.2, 0.06, 0.02, 0.02]),
        }
    )
    return table.merge(of_lesion, on="lesion_id")
