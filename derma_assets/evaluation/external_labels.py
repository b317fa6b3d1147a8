"""What other data sets call their classes, in terms of the seven diagnoses.

A name stands for one diagnosis, or for several that a data set does not tell apart: `benign`, `not melanoma`.
"""

import re

from derma_assets.diagnoses import CODES, MALIGNANT, MELANOMA

Codes = tuple[str, ...]

_BENIGN = tuple(code for code in CODES if code not in MALIGNANT)
_NOT_MELANOMA = tuple(code for code in CODES if code != MELANOMA)
_AKIEC, _BCC, _BKL, _DF, _MEL, _NV, _VASC = ((code,) for code in CODES)

# HAM10000's paper says which kinds each diagnosis joins. The names are those of HAM10000, ISIC's archive and
# challenges, derm7pt, PAD-UFES-20 and PH2, in American spelling.
_NAMES: dict[Codes, tuple[str, ...]] = {
    _AKIEC: (
        "akiec",
        "ak",
        "ack",
        "actinic keratosis",
        "actinic keratoses",
        "solar keratosis",
        "solar or actinic keratosis",
        "actinic keratosis intraepithelial carcinoma",
        "actinic keratoses intraepithelial carcinoma",
        "actinic keratosis and intraepithelial carcinoma",
        "actinic keratoses and intraepithelial carcinoma",
        "actinic keratosis bowens disease",
        "actinic keratoses and intraepithelial carcinoma bowens disease",
        "bowen disease",
        "bowens disease",
        "intraepithelial carcinoma",
        "intraepithelial carcinoma bowens disease",
        "squamous cell carcinoma in situ",
    ),
    _BCC: ("bcc", "basal cell carcinoma", "basal cell carcinomas"),
    _BKL: (
        "bkl",
        "sk",
        "sek",
        "benign keratosis",
        "pigmented benign keratosis",
        "benign keratosis like",
        "benign keratoses",
        "benign keratosis like lesion",
        "benign keratosis like lesions",
        "seborrheic keratosis",
        "seborrheic keratoses",
        "solar lentigo",
        "solar lentigines",
        "lichen planus like keratosis",
        "lichenoid keratosis",
        "lplk",
    ),
    _DF: ("df", "dermatofibroma", "dermatofibromas"),
    _MEL: (
        "mel",
        "melanoma",
        "melanomas",
        "malignant melanoma",
        "melanoma nos",
        "melanoma invasive",
        "invasive melanoma",
        "melanoma in situ",
        "in situ melanoma",
        "melanoma less than 0 76 mm",
        "melanoma 0 76 to 1 5 mm",
        "melanoma more than 1 5 mm",
        "superficial spreading melanoma",
        "nodular melanoma",
        "lentigo maligna",
        "lentigo maligna melanoma",
    ),
    _NV: (
        "nv",
        "nev",
        "nevus",
        "nevi",
        "melanocytic nevus",
        "melanocytic nevi",
        "common nevus",
        "common nevi",
        "atypical nevus",
        "atypical nevi",
        "dysplastic nevus",
        "dysplastic nevi",
        "nevus nos",
        "blue nevus",
        "clark nevus",
        "combined nevus",
        "compound nevus",
        "congenital nevus",
        "dermal nevus",
        "junctional nevus",
        "recurrent nevus",
        "reed nevus",
        "spitz nevus",
        "reed or spitz nevus",
        "mole",
    ),
    _VASC: (
        "vasc",
        "vascular",
        "vascular lesion",
        "vascular lesions",
        "hemangioma",
        "angioma",
        "cherry angioma",
        "angiokeratoma",
        "pyogenic granuloma",
    ),
    _BENIGN: ("benign",),
    MALIGNANT: ("malignant",),
    _NOT_MELANOMA: (
        "not melanoma",
        "non melanoma",
        "nonmelanoma",
        "no melanoma",
        "other than melanoma",
        "not mel",
        "non mel",
        "nonmel",
        "no mel",
    ),
}
_BY_NAME: dict[str, Codes] = {name: codes for codes, names in _NAMES.items() for name in names}

# A picture of a one-hot table that shows none of its classes; what that is, only the data set's own words can tell.
NO_CLASS = "none"

# A column of 0 and 1 says by its own name what 1 is.
_OF_ONE = {"melanoma": _MEL, "mel": _MEL, "malignant": MALIGNANT, "target": MALIGNANT, "benign malignant": MALIGNANT}

_WORDS = {"true": 1, "yes": 1, "y": 1, "x": 1, "positive": 1, "false": 0, "no": 0, "n": 0, "negative": 0}


def plain(name: object) -> str:
    """Return a name in lower case, with single spaces for whatever separates its words, and without apostrophes."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"['’]", "", str(name)))
    return re.sub(r"[\W_]+", " ", words).strip().lower()


def codes_of(name: object, own: dict[str, Codes] | None = None) -> Codes | None:
    """Return the diagnoses that a class name stands for, in the order of `CODES`; None if it is not known.

    Args:
        name: As the data set writes it.
        own: Names that the data set itself explains, plain; they come first.
    """
    written = plain(name)
    return (own or {}).get(written) or _BY_NAME.get(_american(written))


def _american(name: str) -> str:
    """Return a plain name as the names above are spelt: `naevus`, `haemangioma`, `seborrhoeic`."""
    return name.replace("naev", "nev").replace("haem", "hem").replace("rrhoe", "rrhe")


def codes_of_binary(column: str) -> dict[int, Codes] | None:
    """Return what 0 and 1 stand for in a column of that name; None if the name does not tell."""
    positive = _OF_ONE.get(plain(column))
    if positive is None:
        return None
    return {1: positive, 0: tuple(code for code in CODES if code not in positive)}


def one_or_zero(value: object) -> int | None:
    """Return 1 or 0 for a number or a word that means it (`yes`, `True`, `0.0`), None for anything else."""
    word = plain(value)
    if word in _WORDS:
        return _WORDS[word]
    try:
        number = float(str(value))
    except ValueError:
        return None
    return int(number) if number in (0, 1) else None


def title(codes: Codes) -> str:
    """Return a short name for what these diagnoses have in common."""
    if len(codes) == 1:
        return codes[0]
    known = {_BENIGN: "benign", MALIGNANT: "malignant", _NOT_MELANOMA: "not_melanoma"}
    return known.get(codes, "+".join(codes))
