"""All that a model card says is computed from this."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import pandas as pd

from derma_assets.browser.download_size import FirstVisit
from derma_assets.browser.variants import Variants
from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.calibration.summary import ece_by_chance
from derma_assets.evaluation.data_quality import DataQuality
from derma_assets.splits.grouped_splits import TEST
from derma_assets.training.recipe import Recipe


@dataclass(frozen=True)
class ModelFacts:
    """What the stored classifier is.

    Attributes:
        fingerprint: Of its weights.
        architecture: Key of its backbone, see training/backbones.py.
        input_size: Side of the picture in pixels.
        parameters: How many.
        trained_parameters: How many of them were learnt here.
        alpha: Width of the backbone.
        trainable_layers: How many of the backbone's last layers were learnt here.
    """

    fingerprint: str
    architecture: str
    input_size: int
    parameters: int
    trained_parameters: int
    alpha: float
    trainable_layers: int


@dataclass(frozen=True)
class Training:
    """How the classifier was trained.

    Attributes:
        recipe: All its choices.
        weights: What the backbone started from.
        recorded: Whether this is from the record of the training run, not from the settings of today.
    """

    recipe: Recipe
    weights: str
    recorded: bool


@dataclass(frozen=True)
class Chosen:
    """Settings that the evaluation was made with."""

    dataset: str
    synthetic: bool
    seed: int
    resamples: int
    clinic_prevalence: float


@dataclass(frozen=True)
class Made:
    """When an asset was stored.

    Attributes:
        at: The time.
        data_version: Its data version, or "" where there is no record of the run.
    """

    at: datetime
    data_version: str = ""


@dataclass(frozen=True)
class Provenance:
    """When and with what the card was made.

    Attributes:
        at: The time.
        commit: Of the code, or why it is not known.
        packages: Version by name.
        made: By name of the asset.
    """

    at: datetime
    commit: str
    packages: Mapping[str, str]
    made: Mapping[str, Made]


@dataclass(frozen=True)
class Studies:
    """What was studied beside the graph; none of it has to be there.

    Attributes:
        external: `external_validation` by name of the data set.
        older_than_the_model: Those of them that were stored before the model was.
        cross_validation: `cross_validation_summary`.
        trials: What the recipe was chosen by.
        test_looks: How often the test side was looked at.
    """

    external: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    older_than_the_model: tuple[str, ...] = ()
    cross_validation: pd.DataFrame | None = None
    trials: pd.DataFrame | None = None
    test_looks: pd.DataFrame | None = None


@dataclass(frozen=True)
class Evidence:
    """The assets of the graph, each under its name, and the studies."""

    chosen: Chosen
    studies: Studies
    model: ModelFacts
    training: Training
    raw_metadata: pd.DataFrame
    raw_images: pd.DataFrame
    grouped_splits: pd.DataFrame
    leakage_audit: pd.DataFrame
    data_quality: DataQuality
    skin_tone: pd.DataFrame
    training_history: pd.DataFrame
    predictions: pd.DataFrame
    calibrated_temperature: Mapping[str, Any]
    operating_points: Mapping[str, Any]
    view_calibration: Mapping[str, Any]
    limits: Mapping[str, Any]
    overall_metrics: pd.DataFrame
    per_class_metrics: pd.DataFrame
    confusion_matrix: pd.DataFrame
    reliability: pd.DataFrame
    view_metrics: pd.DataFrame
    risk_coverage: pd.DataFrame
    decision_curve: pd.DataFrame
    class_calibration: pd.DataFrame
    subgroup_metrics: pd.DataFrame
    subgroup_gaps: pd.DataFrame
    explanations: pd.DataFrame
    refusal_rates: pd.DataFrame
    variants: Variants
    manifest: Mapping[str, Any]
    first_visit: FirstVisit
    parity: tuple[str, str]
    latency_benchmark: pd.DataFrame

    @property
    def most_views(self) -> int:
        """How many flips and turns the app averages at most."""
        return int(self.view_calibration["views"][-1]["count"])

    @cached_property
    def ece_by_chance(self) -> pd.Series:
        """The ECE that test would show if the probabilities were right, see `calibration.summary.ece_by_chance`."""
        test, temperature = labelled_logits(self.predictions, TEST), self.calibrated_temperature["temperature"]
        return ece_by_chance(test, temperature, self.chosen.resamples, self.chosen.seed)

    @property
    def tested(self) -> tuple[int, int]:
        """How many pictures and lesions are on test."""
        of_class = self.per_class_metrics.drop_duplicates("dx")
        return int(of_class["images"].sum()), int(of_class["lesions"].sum())
