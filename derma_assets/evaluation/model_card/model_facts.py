"""What the stored classifier is, read from it, and how it was trained, from the record of its run."""

from collections.abc import Mapping
from typing import Any

from derma_assets.evaluation.model_card.evidence import ModelFacts, Training
from derma_assets.settings import Settings
from derma_assets.storage.fingerprint import fingerprint_arrays
from derma_assets.training.origin import Origin, origin_of
from derma_assets.training.recipe import Recipe, named_recipe

# What is not of MobileNet in the classifier's layers, and the filters of MobileNet's first one at full width.
_OWN_LAYERS = ("pictures", "rescaling", "pooling", "dropout", "logits")
_FULL_WIDTH = 32


def model_facts(model: Any) -> ModelFacts:
    """Return what the classifier says about itself."""
    return ModelFacts(
        fingerprint=fingerprint_arrays(model.get_weights()),
        input_size=int(model.input_shape[1]),
        parameters=int(model.count_params()),
        trained_parameters=sum(int(weights.shape.num_elements()) for weights in model.trainable_weights),
        alpha=model.get_layer("conv1").kernel.shape[-1] / _FULL_WIDTH,
        trainable_layers=sum(layer.trainable for layer in model.layers if layer.name not in _OWN_LAYERS),
    )


def training_of(chosen: Settings, record: Mapping[str, Any] | None) -> Training:
    """Return how the classifier was trained.

    Args:
        chosen: What would be used today.
        record: `recipe` and `backbone` as the training run recorded them, if it did.
    """
    if record is None:
        origin = origin_of(chosen.initial_weights)
        return Training(named_recipe(chosen.recipe, chosen.epochs), origin.said, recorded=False)
    backbone = record["backbone"]
    # A run of an older version left a path alone.
    origin = Origin.model_validate(backbone["origin"]) if "origin" in backbone else origin_of(backbone["weights"])
    return Training(Recipe.model_validate(record["recipe"]), origin.said, recorded=True)
