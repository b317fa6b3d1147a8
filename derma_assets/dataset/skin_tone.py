"""Skin tone by the individual typology angle of the skin around the lesion: an estimate from the picture's colours.

ITA = atan((L* - 50) / b*) in degrees, in CIE L*a*b* under D65 (Chardon et al., "Skin colour typology and suntanning
pathways", Int. J. Cosmetic Science 13, 1991), with the six groups of Del Bino and Bernerd ("Variations in skin colour",
British J. Dermatology 169 Suppl. 3, 2013): the higher the angle, the lighter the skin.

What it can show: whether the model does worse where the skin in the *picture* is darker or yellower. What it cannot
show: the patient's skin tone. The angle was made for colorimeters on bare skin. A dermatoscopic JPEG has no colour
target; light, exposure, white balance, polarisation and the camera's own processing move the angle by the width of
several groups, pressed-on glass empties the vessels, and part of HAM10000 had its colours corrected by hand. Skin is
always yellower than grey (b* above 0); a picture whose skin is not has a colour cast, and its tone is `off_scale`. On
these pictures, methods of this kind disagree with one another (Kalb et al., "Revisiting skin tone fairness in
dermatological lesion classification", MICCAI FAIMI 2023), and nobody has recorded Fitzpatrick types or measured skin
there. How far pictures of one lesion, which share one skin, agree can be measured (`repeatability`); but they mostly
share a camera too.
"""

import numpy as np
import pandas as pd
import scipy.ndimage
from skimage.color import rgb2lab

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.lesion_masks import LesionMasks, lens_rim
from derma_assets.dataset.metadata_schema import UNKNOWN
from derma_assets.in_order import in_order

# Each group with the angle, in degrees, that it lies above; from light to dark.
TONES: dict[str, float] = {
    "very_light": 55.0,
    "light": 41.0,
    "intermediate": 28.0,
    "tan": 10.0,
    "brown": -30.0,
    "dark": -90.0,
}
# The tone of a picture whose skin is bluer than grey, which no skin is.
OFF_SCALE = "off_scale"
# Below this share of the picture there is too little skin to tell.
LEAST_SKIN = 0.02
# How far around the lesion its colour still reaches, as a share of the side.
_MARGIN = 0.06
# A channel this bright is near saturation: its colour is that of the sensor's limit.
_SATURATED = 250
_DARKEST = 30
# A pixel this much darker, in L*, than its surroundings closed over is on a hair.
_HAIR = 6.0


def skin_pixels(picture: np.ndarray, lesion: np.ndarray, lightness: np.ndarray) -> np.ndarray:
    """Return which pixels show bare skin: (S, S) bool.

    Left out: the lesion and a margin of 6 % of the side around it, the dark rim of the lens and everything darker than
    grey level 30, pixels with a channel of 250 and more, and hairs (L* more than 6 below its morphological closing)
    with the pixels next to them.

    Args:
        picture: (S, S, 3) uint8.
        lesion: (S, S) bool.
        lightness: (S, S) L* of the picture.
    """
    size = len(picture)
    around = scipy.ndimage.binary_dilation(lesion, iterations=max(1, round(_MARGIN * size))) if lesion.any() else lesion
    closed = scipy.ndimage.grey_closing(lightness, size=2 * (size // 32) + 1)
    hair = scipy.ndimage.binary_dilation(closed - lightness > _HAIR)
    lit = (picture.max(axis=2) < _SATURATED) & (picture.mean(axis=2) >= _DARKEST)
    return lit & ~around & ~hair & ~lens_rim(picture)


def typology_angle(lightness: np.ndarray, yellowness: np.ndarray) -> np.ndarray:
    """Return the individual typology angle in degrees, -180..180, of L* and b*, both (...).

    The angle goes on past 90 where b* is negative: the arctangent of the quotient would jump to the darkest skin
    there, although such a picture is merely blue.
    """
    return np.degrees(np.arctan2(lightness - 50, yellowness))


def tone_of(angle: np.ndarray) -> np.ndarray:
    """Return the group of each angle in degrees: (n,) of text; beyond -90..90 `off_scale`, of NaN `unknown`."""
    names, limits = np.array(list(TONES), dtype=object), np.array(list(TONES.values())[:-1])
    group = names[(np.nan_to_num(angle)[:, None] <= limits).sum(axis=1)]
    return np.where(np.isnan(angle), UNKNOWN, np.where(np.abs(angle) > 90, OFF_SCALE, group))


def skin_tones(arrays: ImageArrays, masks: LesionMasks) -> pd.DataFrame:
    """Return the estimate for every picture.

    Args:
        arrays: The pictures.
        masks: Of the same pictures.

    Returns:
        Columns `image_id`, `ita` (degrees, median over the skin pixels), `tone` (of `TONES`, `off_scale` or `unknown`),
        `lightness` and `yellowness` (median L* and b*), and `skin`, the share of the picture that was measured. Below
        `LEAST_SKIN` of it the tone is `unknown` and the numbers are NaN.
    """
    lesions = masks.of(arrays.image_ids)

    def measure(row: int) -> tuple[float, float, float, float]:
        picture = arrays.pixels[row]
        lab = rgb2lab(picture.astype(np.float32) / 255)
        skin = skin_pixels(picture, lesions[row], lab[..., 0])
        if skin.mean() < LEAST_SKIN:
            return np.nan, np.nan, np.nan, float(skin.mean())
        light, yellow = lab[skin][:, 0], lab[skin][:, 2]
        angles = typology_angle(light, yellow)
        return float(np.median(angles)), float(np.median(light)), float(np.median(yellow)), float(skin.mean())

    measured = list(in_order(measure, range(len(lesions)), "skin tone"))
    table = pd.DataFrame(measured, columns=["ita", "lightness", "yellowness", "skin"])
    table.insert(0, "image_id", arrays.image_ids)
    table.insert(2, "tone", tone_of(table["ita"].to_numpy()))
    return table


def repeatability(tones: pd.DataFrame, lesions: pd.Series) -> dict[str, float]:
    """Return how far two pictures of one lesion, which show the same skin, agree.

    The first two pictures of every lesion that has two are compared, so that a lesion counts once.

    Args:
        tones: As `skin_tones` returns them.
        lesions: `lesion_id` by `image_id`.

    Returns:
        `lesions` compared, `median_difference` (degrees, absolute), `same_tone` (share), `correlation` (intraclass,
        ICC(1): the share of the angle's variance that lies between lesions; Shrout and Fleiss, 1979). NaN where nothing
        can be compared.
    """
    known = tones[tones["tone"] != UNKNOWN].assign(lesion_id=tones["image_id"].map(lesions))
    nth = known.groupby("lesion_id").cumcount()
    pairs = known[nth == 0].merge(known[nth == 1], on="lesion_id", suffixes=("", "_2"))
    first, second = pairs["ita"].to_numpy(), pairs["ita_2"].to_numpy()
    if len(pairs) < 2:
        nothing = float("nan")
        return {"lesions": len(pairs), "median_difference": nothing, "same_tone": nothing, "correlation": nothing}
    between = 2 * np.var((first + second) / 2, ddof=1)
    within = np.mean((first - second) ** 2) / 2
    return {
        "lesions": len(pairs),
        "median_difference": float(np.median(np.abs(first - second))),
        "same_tone": float((pairs["tone"] == pairs["tone_2"]).mean()),
        "correlation": float((between - within) / (between + within)) if between + within > 0 else float("nan"),
    }


def tone_counts(tones: pd.DataFrame, metadata: pd.DataFrame) -> pd.DataFrame:
    """Return a row per tone, light to dark: `tone`, `pictures`, `lesions`, and the share of each way of confirmation.

    A tone that one way of confirmation fills says that the angle follows the clinic and its camera.

    Args:
        tones: As `skin_tones` returns them.
        metadata: The table `raw_metadata`.
    """
    joined = tones.merge(metadata, on="image_id")
    by_tone = joined.groupby("tone")
    counts = pd.DataFrame({"pictures": by_tone.size(), "lesions": by_tone["lesion_id"].nunique()})
    confirmed = pd.crosstab(joined["tone"], joined["dx_type"], normalize="index")
    order = [tone for tone in (OFF_SCALE, *TONES, UNKNOWN) if tone in counts.index]
    return counts.join(confirmed).loc[order].reset_index(names="tone")
