"""The trials that the default recipe was chosen by: one idea each, and what it is compared with.

Most learn all of MobileNet in 8 epochs at 96 px, `BASE`, with one thing changed: a quarter of an hour each on two
cores, and what is tried should move such a short training as it moves a longer one. The last but one is the default
recipe: what paid, together and for longer. The last goes on from what that made.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from derma_assets.storage.fingerprint import fingerprint_json
from derma_assets.training.backbones import BACKBONES
from derma_assets.training.recipe import CONTINUED, DEFAULT, PAPER, Recipe

# How a square picture is made of a photograph.
Framing = Literal["centre", "whole", "shades_of_grey"]


class Trial(BaseModel):
    """One way to train that was measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    idea: str = Field(description="What is tried, in words for a reader of the table.")
    recipe: Recipe
    image_size: int = Field(96, description="Side of the picture that the model sees, in pixels.")
    backbone: str = Field("mobilenet", description="Which network is trained, see `training/backbones.py`.")
    trainable_layers: int = Field(BACKBONES["mobilenet"].layers, description="How many of its last layers are trained.")
    from_release: str | None = Field(
        None, description="SHA-256 of the weights of the release that it goes on from. None: those of the settings."
    )
    framing: Framing = Field(
        "centre",
        description="`centre`: the central square. `whole`: the whole picture, the missing strips mirrored. "
        "`shades_of_grey`: the central square after colour constancy (Finlayson, Trezzi, CIC 2004).",
    )
    compared_with: str | None = Field(
        "base", description="The trial that it changes one idea of. None: it changes none."
    )
    kept: str = Field("", description="Whether the default has it, and why, once it was measured.")

    @property
    def definition(self) -> str:
        """A fingerprint of all that is tried, whatever it is called."""
        choices = self.model_dump(include={"image_size", "trainable_layers", "framing"})
        for name in ("from_release", "backbone"):  # a new option makes no trial another one
            if getattr(self, name) != Trial.model_fields[name].default:
                choices[name] = getattr(self, name)
        return fingerprint_json({**choices, "recipe": self.recipe.choices})[:16]


BASE = DEFAULT.model_copy(
    update={
        "epochs": 8,
        "learning_rate": 5e-4,
        "warmup_fraction": 0.05,
        "label_smoothing": 0.05,
        "class_weight_power": 0.5,
        "class_sampling_power": 0.0,
        "mixup": 0.0,
        "lower_layers_rate": 1.0,
        "fit_head_first": False,
        "teacher_folds": 0,
        "average_decay": 0.0,
        "batch_norms_anew": False,
        "kept_variants": 0,
        "augmentation": DEFAULT.augmentation.model_copy(update={"zoom_in": 0.3, "zoom_out": 0.05}),
    }
)


def _changed(name: str, idea: str, recipe: dict[str, Any] | None = None, **changes: Any) -> Trial:
    return Trial(name=name, idea=idea, recipe=BASE.model_copy(update=recipe or {}), **changes)


def _cropped(zoom_in: float, zoom_out: float) -> dict[str, Any]:
    return {"augmentation": BASE.augmentation.model_copy(update={"zoom_in": zoom_in, "zoom_out": zoom_out})}


# `weights.npz` of the first release, which the recipe `default` made.
RELEASED_DEFAULT = "ef497181e4bae4f03c92f04b0cc48a2347c6704099f43c06783b9f986c9a0e4e"

_IN_ORDER = (
    Trial(
        name="paper",
        idea="the paper's recipe: last 23 layers, Adam, plateaus",
        recipe=PAPER,
        image_size=224,
        trainable_layers=23,
        kept="no",
    ),
    _changed(
        "last30",
        "only the last 30 layers learn, at twice the rate",
        {"learning_rate": 1e-3},
        trainable_layers=30,
        kept="no",
    ),
    _changed(
        "variants",
        "as last30, with six variants of each picture in turn, which the frozen layers see once",
        {"learning_rate": 1e-3, "kept_variants": 6},
        trainable_layers=30,
        compared_with="last30",
        kept="no: for few trained layers alone",
    ),
    _changed("base", "all layers learn: what the following are compared with", compared_with=None),
    _changed("whole", "the whole picture instead of its central square", framing="whole", kept="no"),
    _changed("grey", "colour constancy (shades of grey)", framing="shades_of_grey", kept="no"),
    _changed(
        "crops",
        "stronger random crops: down to half the side, up to 1.1",
        _cropped(0.5, 0.1),
        kept="in part, down to 0.6 of the side",
    ),
    _changed(
        "unweighted", "no class weights", {"class_weight_power": 0.0}, kept="no: rare diagnoses are found less often"
    ),
    _changed("balanced", "balanced class weights", {"class_weight_power": 1.0}, kept="no"),
    _changed(
        "sampling",
        "square-root sampling instead of weights",
        {"class_weight_power": 0.0, "class_sampling_power": 0.5},
        kept="no",
    ),
    _changed(
        "adam",
        "Adam and plateaus, as the paper, instead of AdamW, warm-up and cosine; same rate",
        {"optimizer": "adam", "schedule": "plateau", "warmup_fraction": 0.0, "weight_decay": 0.0, "keep": "best"},
        kept="no: within chance",
    ),
    _changed("unsmoothed", "no label smoothing", {"label_smoothing": 0.0}, kept="no"),
    _changed("mixup", "mixup, alpha 0.2", {"mixup": 0.2}, kept="no"),
    _changed("layerwise", "lower rates for lower layers, down to a tenth", {"lower_layers_rate": 0.1}, kept="no"),
    _changed(
        "head",
        "two stages: the head is fitted before all layers learn",
        {"fit_head_first": True},
        kept="in the recipe `continued`",
    ),
    _changed("average", "moving average of the weights, 0.998 a step", {"average_decay": 0.998}, kept="no"),
    _changed("norms", "batch-norm statistics estimated anew after training", {"batch_norms_anew": True}, kept="no"),
    _changed(
        "taught", "distillation: half of what is learnt is the word of three teachers", {"teacher_folds": 3}, kept="no"
    ),
    _changed(
        "lite0",
        "EfficientNet-Lite0 instead of MobileNet",
        backbone="efficientnet_lite0",
        trainable_layers=BACKBONES["efficientnet_lite0"].layers,
        kept="no: nothing gained, keratoses found less often",
    ),
    _changed("size160", "160 px", image_size=160, kept="yes"),
    _changed("size192", "192 px", image_size=192, kept="no: within chance of 160 px, at 1.4 times the work"),
    _changed(
        "lite0_160",
        "EfficientNet-Lite0 at 160 px",
        backbone="efficientnet_lite0",
        trainable_layers=BACKBONES["efficientnet_lite0"].layers,
        image_size=160,
        compared_with="size160",
        kept="no: nothing gained",
    ),
    _changed(
        "larger",
        "128 px and 12 epochs: what the default was first compared with",
        {"epochs": 12},
        image_size=128,
        kept="and more of both: `default`",
    ),
    Trial(
        name="default",
        idea="the default: 160 px, 24 epochs, stronger crops, twice the rate",
        recipe=DEFAULT,
        image_size=160,
        compared_with="larger",
        kept="yes",
    ),
    Trial(
        name="continued",
        idea="8 epochs more from what the default made: half the rate, a head fitted first",
        recipe=CONTINUED,
        image_size=160,
        from_release=RELEASED_DEFAULT,
        compared_with="default",
        kept="no",
    ),
)

TRIALS: dict[str, Trial] = {trial.name: trial for trial in _IN_ORDER}
