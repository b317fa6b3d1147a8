"""Everything a model card is made of, made up: predictions with known skill, and tables computed from them."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.browser.download_size import FirstVisit
from derma_assets.browser.variants import Variants
from derma_assets.calibration.input_guard import ACCEPTED, InputGuard, Measure
from derma_assets.calibration.labelled_logits import LabelledLogits, labelled_logits
from derma_assets.calibration.summary import choose_operating_points, temperature_document
from derma_assets.calibration.views import calibrate_views, views_document
from derma_assets.diagnoses import CODES
from derma_assets.evaluation import tables
from derma_assets.evaluation.activation_maps import MAPS
from derma_assets.evaluation.class_calibration import class_calibration_table
from derma_assets.evaluation.data_quality import FINDINGS, DataQuality
from derma_assets.evaluation.decision_curve import decision_table
from derma_assets.evaluation.explanations import Explained, explanation_table, picture_figures
from derma_assets.evaluation.model_card.blocks import Section
from derma_assets.evaluation.model_card.card import sections
from derma_assets.evaluation.model_card.evidence import (
    Chosen,
    Evidence,
    Made,
    ModelFacts,
    Provenance,
    Studies,
    Training,
)
from derma_assets.evaluation.refusals import GOOD, Judged, refusal_table
from derma_assets.evaluation.selective import selective_table
from derma_assets.evaluation.subgroup_gaps import subgroup_gaps
from derma_assets.evaluation.subgroups import subgroup_table, subgroups_of
from derma_assets.evaluation.unsuitable_pictures import KINDS
from derma_assets.evaluation.views import view_table
from derma_assets.splits.grouped_splits import TEST, VALIDATION
from derma_assets.training.recipe import DEFAULT
from derma_assets_tests.browser.conftest import describe
from derma_assets_tests.calibration import made_up

RESAMPLES, SEED, PREVALENCE = 100, 42, 0.02
WEIGHTS = "0123456789abcdef"
AT = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
EMPTY_PAIRS = pd.DataFrame({"image_id_b": [], "split_b": [], "exact": []})


def provenance(at: datetime = AT) -> Provenance:
    """Return when and with what a card would be made; only the model has a record."""
    return Provenance(at, "`abc123`", {"keras": "3.15.1"}, {"trained_model": Made(AT, WEIGHTS)})


@cache
def evidence() -> Evidence:
    """Return a whole card's evidence; none of its studies was made."""
    predictions, views = made_up.predictions(skill=1.5), made_up.view_predictions()
    validation, test = (labelled_logits(predictions, side) for side in (VALIDATION, TEST))
    temperature = temperature_document(validation)
    scale = temperature["temperature"]
    points = {name: point.document() for name, point in choose_operating_points(validation, scale, 0.95, 0.95).items()}
    calibrated = views_document(calibrate_views(views, 0.95, 0.95))
    metadata, splits = _with_training(made_up.metadata(), predictions)
    groups = subgroups_of(predictions[predictions["split"] == TEST], metadata, made_up.skin_tones())
    explained = _explained(test)
    pictures = metadata[["image_id", "lesion_id", "dx", "dx_type"]]
    flags = {name: np.arange(len(pictures)) < place for place, name in enumerate(FINDINGS)}
    refused = refusal_table([_judged(kind) for kind in (GOOD, *KINDS)], lesions=20)
    return Evidence(
        chosen=Chosen("ham10000", False, SEED, RESAMPLES, PREVALENCE),
        studies=Studies(),
        model=ModelFacts(WEIGHTS, "mobilenet", 96, 3_235_463, 1_900_000, 1.0, 30),
        training=Training(DEFAULT, "imagenet", recorded=True),
        raw_metadata=metadata,
        raw_images=pd.DataFrame({"image_id": metadata["image_id"], "status": "ok"}),
        grouped_splits=splits,
        leakage_audit=EMPTY_PAIRS,
        data_quality=DataQuality(pictures.assign(**flags), pd.DataFrame(), covered=0.25),
        skin_tone=_tones(),
        training_history=_history(),
        predictions=predictions,
        calibrated_temperature=temperature,
        operating_points=points,
        view_calibration=calibrated,
        limits=guard().document(),
        overall_metrics=tables.overall_table(test, scale, points, RESAMPLES, SEED),
        per_class_metrics=tables.per_class_table(test, scale, RESAMPLES, SEED),
        confusion_matrix=tables.confusion_table(test),
        reliability=tables.reliability_with_intervals(test, scale, RESAMPLES, SEED),
        view_metrics=view_table(views, calibrated["considered"], TEST, RESAMPLES, SEED),
        risk_coverage=selective_table(validation, test, scale, points, RESAMPLES, SEED),
        decision_curve=decision_table(
            validation, test, scale, PREVALENCE, points["referral"]["threshold"], RESAMPLES, SEED
        ),
        class_calibration=class_calibration_table(test, scale, RESAMPLES, SEED),
        subgroup_metrics=subgroup_table(test, groups, scale, points, RESAMPLES, SEED),
        subgroup_gaps=subgroup_gaps(test, groups, scale, points, RESAMPLES, SEED),
        explanations=explanation_table(explained, picture_figures(explained), RESAMPLES, SEED),
        refusal_rates=refused,
        variants=Variants(96, variants_table(), {}),
        manifest=manifest(),
        first_visit=FirstVisit(page=600_000, model=3_000_000, model_as_stored=3_400_000),
        parity=("passed", "agrees with Keras on 512 test pictures"),
        latency_benchmark=latency(),
    )


@cache
def card() -> tuple[Section, ...]:
    """Return the sections of the card of `evidence`."""
    return sections(evidence(), provenance())


def manifest(dataset: str = "ham10000") -> dict[str, Any]:
    """Return a bundle's manifest as far as the card reads it."""
    return {**describe(dataset, data_versions={"trained_model": WEIGHTS}), "model": {"variant": "uint8"}}


def guard() -> InputGuard:
    """Return limits; nothing is measured with them."""
    measures = (Measure("brightness", 40.0, 220.0), Measure("unfamiliarity", None, 800.0))
    return InputGuard(measures, familiarity=None)  # type: ignore[arg-type]


def variants_table() -> pd.DataFrame:
    """Return what `tfjs_model` says of the converted models."""
    row = {"accuracy": 0.7, "macro_f1": 0.6, "melanoma_roc_auc": 0.9, "top1_agreement": 1.0, "max_logit_difference": 0}
    return pd.DataFrame(
        [
            {"variant": "keras", "bytes": 12_880_000, **row},
            {"variant": "float32", "bytes": 12_930_000, **row},
            {"variant": "uint8", "bytes": 3_450_000, **row, "top1_agreement": 0.995},
        ]
    )


def latency(median_ms: float = 24.7) -> pd.DataFrame:
    """Return a benchmark of one row that was measured and one that was not."""
    milliseconds = {"mean_ms": 25.0, "median_ms": median_ms, "p95_ms": 30.0, "min_ms": 20.0, "max_ms": 31.0, "sd_ms": 1}
    row = {"measure": "warm", "backend": "wasm", "threads": 1, "slowdown": 1.0, "slowed_by": "", "achieved_slowdown": 1}
    return pd.DataFrame([{**row, "state": "measured", "n": 10, **milliseconds}, {**row, "state": "refused", "n": 0}])


def _with_training(metadata: pd.DataFrame, predictions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return metadata and split with two training pictures of each diagnosis besides."""
    names = [f"train_{code}_{number}" for code in CODES for number in range(2)]
    codes = np.repeat(CODES, 2)
    training = pd.DataFrame({"lesion_id": names, "image_id": names, "dx": codes})
    patients = {"dx_type": "histo", "age": 50.0, "sex": "female", "localization": "back"}
    columns = ["image_id", "lesion_id", "dx", "split"]
    splits = pd.concat([predictions[columns], training.assign(split="train")[columns]], ignore_index=True)
    return pd.concat([metadata, training.assign(**patients)], ignore_index=True), splits.assign(fold=0)


def _tones() -> pd.DataFrame:
    tones = made_up.skin_tones()
    angles = np.random.default_rng(5).normal(50, 20, len(tones))
    return tones.assign(ita=angles, lightness=60.0, yellowness=10.0, skin=0.5)


def _history() -> pd.DataFrame:
    epochs = np.arange(1, 4)
    columns = ("loss", "accuracy", "macro_f1", "val_loss", "val_accuracy", "val_macro_f1", "learning_rate")
    table = pd.DataFrame(dict.fromkeys(columns, 0.1 * epochs))
    return table.assign(epoch=epochs, seconds=60.0, kept=epochs == 2)


def _explained(test: LabelledLogits) -> Explained:
    draw = np.random.default_rng(4)
    masks = np.zeros((len(test.labels), 16, 16), dtype=bool)
    masks[:, 4:12, 4:12] = True
    maps = {kind: draw.random((len(masks), 4, 4, len(CODES))).astype(np.float32) for kind in MAPS}
    return Explained(test.labels, test.logits.argmax(axis=1), test.lesions, masks, maps)


def _judged(kind: str) -> Judged:
    """Return fifty pictures: of good ones one is refused, of others all but two of `cat`."""
    reasons = np.full(50, ACCEPTED if kind == GOOD else "unfamiliar", dtype=object)
    reasons[:1] = "blurred"
    if kind == "cat":
        reasons[:2] = ACCEPTED
    return Judged(kind, reasons, np.zeros((1, 8, 8, 3), np.uint8))
