"""What the stored classifier is, read from it, and how it was trained, from the record of its run."""

from collections.abc import Mapping
from typing import Any

from derma_assets.evaluation.model_card.evidence import ModelFacts, Training
from derma_assets.settings import Settings
from derma_assets.storage.fingerprint import fingerprint_arrays
from derma_assets.training.classifier import shape_of
from derma_assets.training.origin import Origin, origin_of
from derma_assets.training.recipe import Recipe, named_recipe


def model_facts(model: Any) -> ModelFacts:
    """Return what the classifier says about itself."""
    shape = shape_of(model)
    return ModelFacts(
        fingerprint=fingerprint_arrays(model.get_weights()),
        architecture=shape.architecture,
        input_size=shape.image_size,
        parameters=int(model.count_params()),
        trained_parameters=sum(int(weights.shape.num_elements()) for weights in model.trainable_weights),
        alpha=shape.alpha,
        trainable_layers=shape.trainable_layers,
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
