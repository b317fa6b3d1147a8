"""Training recipes: every choice that decides how the classifier is trained, as typed, documented configs."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from derma_assets.diagnoses import MELANOMA
from derma_assets.errors import InputError
from derma_assets.storage.fingerprint import fingerprint_json


class Augmentation(BaseModel):
    """Random changes of a training picture. Ranges are symmetric and drawn uniformly, anew in every epoch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rotation_degrees: float = Field(180.0, ge=0, le=180, description="Largest rotation, in degrees.")
    shift: float = Field(0.1, ge=0, le=0.5, description="Largest shift along each axis, as a share of the side.")
    zoom_in: float = Field(0.1, ge=0, lt=1, description="Largest enlargement: 0.1 shows 0.9 of the side.")
    zoom_out: float = Field(0.1, ge=0, lt=1, description="Largest reduction: 0.1 shows 1.1 of the side, reflected.")
    flips: bool = Field(True, description="Flip left-right and top-bottom with probability 1/2 each.")
    brightness: float = Field(0.0, ge=0, lt=1, description="Largest change of brightness, as a share of full scale.")
    contrast: float = Field(0.0, ge=0, lt=1, description="Largest relative change of contrast about the mean.")
    colour: float = Field(0.0, ge=0, lt=1, description="Largest relative gain of each colour channel.")


class Recipe(BaseModel):
    """How the classifier is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    epochs: int = Field(ge=1, description="Epochs at most.")
    batch_size: int = Field(32, ge=1, description="Pictures per step.")
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = Field(gt=0, description="Highest learning rate.")
    min_learning_rate: float = Field(ge=0, description="Lowest learning rate.")
    schedule: Literal["plateau", "cosine"] = Field(
        description="`plateau`: halved after three epochs without a lower validation loss. "
        "`cosine`: linear warm-up, then half a cosine down to the lowest rate."
    )
    warmup_fraction: float = Field(0.0, ge=0, lt=1, description="Share of the steps that warm up (cosine only).")
    weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay (AdamW only).")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weight_power: float = Field(
        ge=0,
        le=1,
        description="Class weight = (mean class size / class size) ** power: 1 balanced, 1/2 square root, 0 none.",
    )
    class_weight_factors: dict[str, float] = Field({}, description="Further factor of a class's weight, by code.")
    class_sampling_power: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Draw pictures with replacement, by (1 / class size) ** power: 1 balanced, 1/2 square root. "
        "0: every picture once an epoch.",
    )
    mixup: float = Field(
        0.0,
        ge=0,
        description="Alpha of the Beta distribution by which pairs of pictures and their labels are mixed; 0: not at "
        "all (Zhang et al., ICLR 2018).",
    )
    lower_layers_rate: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Learning rate of the first trained layer as a share of the last one's, geometric in between "
        "(AdamW only; Howard, Ruder, ACL 2018).",
    )
    fit_head_first: bool = Field(
        False,
        description="Begin with a head that has been fitted to the features of the untouched layers, not with a random "
        "one: two stages (Kumar et al., ICLR 2022).",
    )
    teacher_folds: int = Field(
        0,
        ge=0,
        description="Learn also what so many teachers say, each trained by this recipe without one part of the "
        "training lesions and asked about that part; 0: learn the labels alone. Costs as many trainings more.",
    )
    teacher_share: float = Field(0.5, ge=0, le=1, description="Share of the teachers' word in what is learnt.")
    kept_variants: int = Field(
        0,
        ge=0,
        description="Show so many variants of each picture, one an epoch, in turn, and compute what the frozen layers "
        "make of each only once; 0: every epoch shows another. Needs frozen layers and one device. While it trains "
        "the last 23 layers at 160 px take 0.1 MB of disk for each variant of a picture.",
    )
    average_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="End with an exponential moving average of the weights, with batch-norm statistics estimated anew "
        "for it; the decay of a step, 0: no average. Needs `keep` to be `last`.",
    )
    batch_norms_anew: bool = Field(
        False,
        description="After the last step, estimate the batch norms' statistics once more, on one epoch of training "
        "pictures; an average of the weights always does. The history's figures are from before.",
    )
    dropout: float = Field(0.25, ge=0, lt=1)
    batch_norm_momentum: float = Field(0.99, gt=0, lt=1, description="Momentum of the trained batch norms' statistics.")
    keep: Literal["best", "last"] = Field(
        "best",
        description="Which epoch's weights are kept: that with the best validation macro-F1, or the last. A cosine "
        "ends at its lowest rate, and the best of many noisy figures of a small validation set is often luck.",
    )
    early_stopping: int | None = Field(None, description="Stop after so many epochs without a lower validation loss.")
    augmentation: Augmentation = Augmentation()

    @property
    def choices(self) -> dict[str, Any]:
        """What it asks for. Options that it leaves alone are no part: a new option makes no recipe another one."""
        return self.model_dump(exclude_defaults=True)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.average_decay and self.keep != "last":
            raise ValueError("average_decay ends with an average over all epochs: set keep to `last`")
        if self.lower_layers_rate != 1 and self.optimizer != "adamw":
            raise ValueError("lower_layers_rate is for the optimizer `adamw`")
        if self.kept_variants and (self.mixup or self.average_decay or self.batch_norms_anew):
            raise ValueError(
                "kept_variants keeps no pictures, which mixup, average_decay and batch_norms_anew need: leave them out"
            )
        if self.teacher_folds == 1:
            raise ValueError("one teacher would have nothing to learn from: set teacher_folds to 2 or more")
        return self


# As "Derma Diagnostics" describes it: class weights are balanced with melanoma's doubled.
PAPER = Recipe(
    name="paper",
    epochs=30,
    optimizer="adam",
    learning_rate=0.01,
    min_learning_rate=6.25e-4,
    schedule="plateau",
    class_weight_power=1.0,
    class_weight_factors={MELANOMA: 2.0},
    early_stopping=5,
)

# Ours: full rotations cost nothing on a picture without an up; colour changes stand for other dermatoscopes;
# square-root weights keep the rare classes without drowning in them; a cosine needs no patience to tune.
DEFAULT = Recipe(
    name="default",
    epochs=24,
    learning_rate=1e-3,
    min_learning_rate=1e-6,
    schedule="cosine",
    warmup_fraction=0.05,
    weight_decay=0.05,
    label_smoothing=0.05,
    class_weight_power=0.5,
    batch_norm_momentum=0.95,
    keep="last",
    augmentation=Augmentation(shift=0.05, zoom_in=0.4, zoom_out=0.1, brightness=0.08, contrast=0.15, colour=0.06),
)

# Goes on from a classifier of the same diagnoses, such as the release: its features are right already, so the head is
# fitted to them first, and a third of the epochs at half the rate let them move without losing what they are.
CONTINUED = DEFAULT.model_copy(update={"name": "continued", "epochs": 8, "learning_rate": 5e-4, "fit_head_first": True})

# For a narrow network that learns a few hundred generated pictures from nothing, in a minute: no regularisation, as it
# can only underfit, and statistics that follow the weights closely, as there are only some three hundred steps.
SAMPLE = Recipe(
    name="sample",
    epochs=22,
    batch_size=16,
    optimizer="adam",
    learning_rate=5e-3,
    min_learning_rate=1e-6,
    schedule="cosine",
    warmup_fraction=0.1,
    class_weight_power=0.0,
    dropout=0.1,
    batch_norm_momentum=0.9,
    augmentation=Augmentation(rotation_degrees=0, shift=0, zoom_in=0, zoom_out=0),
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (PAPER, DEFAULT, CONTINUED, SAMPLE)}


def recipe_version(name: str) -> str:
    """Return a short fingerprint of what a recipe's name stands for: editing a recipe makes what it trains stale."""
    return fingerprint_json(named_recipe(name).choices)[:8]


def named_recipe(name: str, epochs: int | None = None) -> Recipe:
    """Return a recipe by its name, with another number of epochs if one is given.

    Raises:
        InputError: there is no such recipe.
    """
    if name not in RECIPES:
        raise InputError(f"there is no recipe {name!r}: choose one of {', '.join(RECIPES)}")
    return RECIPES[name] if epochs is None else RECIPES[name].model_copy(update={"epochs": epochs})
