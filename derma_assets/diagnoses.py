"""The seven diagnostic categories of HAM10000: the only place where a diagnosis code is spelled.

Source: Tschandl, Rosendahl, Kittler, "The HAM10000 dataset", Scientific Data 5, 180161 (2018), table 2.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Diagnosis:
    """One category.

    Attributes:
        code: The value of HAM10000's column `dx`.
        name: The name a reader would use.
        malignant: Whether it calls for referral: melanoma, basal cell carcinoma, and actinic keratoses,
            which HAM10000 joins with intraepithelial carcinoma (Bowen's disease).
        colour: Hex colour of the category in every figure and in the app (Okabe-Ito, safe for colour-blind readers).
    """

    code: str
    name: str
    malignant: bool
    colour: str


# The order is that of the logits everywhere: in the model, the tables and the app.
DIAGNOSES: tuple[Diagnosis, ...] = (
    Diagnosis("akiec", "Actinic keratoses / intraepithelial carcinoma", True, "#E69F00"),
    Diagnosis("bcc", "Basal cell carcinoma", True, "#D55E00"),
    Diagnosis("bkl", "Benign keratosis-like lesions", False, "#56B4E9"),
    Diagnosis("df", "Dermatofibroma", False, "#009E73"),
    Diagnosis("mel", "Melanoma", True, "#000000"),
    Diagnosis("nv", "Melanocytic nevi", False, "#0072B2"),
    Diagnosis("vasc", "Vascular lesions", False, "#CC79A7"),
)

CODES: tuple[str, ...] = tuple(diagnosis.code for diagnosis in DIAGNOSES)
MELANOMA: str = "mel"
ACTINIC_KERATOSES = "akiec"
MALIGNANT: tuple[str, ...] = tuple(diagnosis.code for diagnosis in DIAGNOSES if diagnosis.malignant)
DISCLAIMER: str = "Decision support, not a diagnosis."
