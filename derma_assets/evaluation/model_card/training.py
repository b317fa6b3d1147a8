"""The sections of a model card about the model: what it is, how it was trained, how that was chosen."""

import pandas as pd

from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION
from derma_assets.diagnoses import CODES
from derma_assets.evaluation.fold_report import summary_markdown
from derma_assets.evaluation.markdown import markdown, three
from derma_assets.evaluation.model_card.blocks import Block, Picture, Section, Table, Text
from derma_assets.evaluation.model_card.evidence import Evidence
from derma_assets.evaluation.model_card.wording import facts, literal, table_of
from derma_assets.study.differences import differences, differences_markdown
from derma_assets.study.report import study_markdown
from derma_assets.study.rows import COMMAND
from derma_assets.training.backbones import BACKBONES
from derma_assets.training.curves import kept_epoch, training_curves
from derma_assets.training.recipe import Augmentation, Recipe

# By `fit_head_first`.
_HEADS = {
    False: "random weights, by the seed",
    True: "a logistic regression on the features of the untouched backbone, see `fit_head_first` below",
}


def model(evidence: Evidence) -> Section:
    """Return the section on the model and its training."""
    return Section("model", "Model and training", parts=(_architecture(evidence), _recipe(evidence), _course(evidence)))


def _architecture(evidence: Evidence) -> Section:
    of, training = evidence.model, evidence.training
    network = BACKBONES[of.architecture]
    rows = {
        "Architecture": f"{network.name} ({network.source}), average pooling, dropout, one dense layer",
        "Width multiplier": f"{of.alpha:g}",
        "Parameters": f"{of.parameters:,}",
        "of which trained here": f"{of.trained_parameters:,}",
        "Backbone started from": training.weights,
        "Head started from": _HEADS[training.recipe.fit_head_first],
        "Input": f"{of.input_size} x {of.input_size} x 3, 8-bit RGB; scaling to -1..1 is a layer of the model",
        "Output": f"{len(CODES)} logits; divided by the calibrated temperature and normalised, they are probabilities",
    }
    text = (
        "A picture is turned upright, cut to its central square and scaled with Pillow's antialiased triangle filter "
        f"in 8 bits (preprocessing version {PREPROCESSING_VERSION}); the page does the same arithmetic. A small "
        "network was taken because it has to run on a clinic's phone without a network."
    )
    source = Table(facts(rows, "model"), ("Architecture.",), ("trained_model",))
    return Section("model-architecture", "Architecture and preprocessing", (Text(text), source))


def _recipe(evidence: Evidence) -> Section:
    training = evidence.training
    origin = (
        "as the training run recorded it"
        if training.recorded
        else "as it is set today: the run that trained the model is not in this Dagster instance"
    )
    values = training.recipe.model_dump(exclude={"augmentation", "class_weight_factors"})
    rows = [
        {"choice": f"`{name}`", "value": _shown(value), "meaning": Recipe.model_fields[name].description or ""}
        for name, value in values.items()
    ]
    factors = training.recipe.class_weight_factors
    rows.append(
        {
            "choice": "`class_weight_factors`",
            "value": ", ".join(f"{code} {factor:g}" for code, factor in factors.items()) or "none",
            "meaning": Recipe.model_fields["class_weight_factors"].description or "",
        }
    )
    augmentation = [
        {"choice": f"`{name}`", "value": _shown(value), "meaning": Augmentation.model_fields[name].description or ""}
        for name, value in training.recipe.augmentation.model_dump().items()
    ]
    return Section(
        "model-recipe",
        "Recipe and augmentation",
        (
            Table(table_of(rows), (f"The recipe `{training.recipe.name}`, {origin}.",), ("trained_model",)),
            Table(
                table_of(augmentation),
                ("Augmentation: random changes of a training picture, drawn anew in every epoch.",),
                ("trained_model",),
            ),
        ),
    )


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def _course(evidence: Evidence) -> Section:
    history = evidence.training_history
    kept = kept_epoch(history)
    text = (
        f"{len(history)} epochs; kept are the weights of epoch {int(kept['epoch'])}, with a macro F1 of "
        f"{three(kept['val_macro_f1'])} and an accuracy of {three(kept['val_accuracy'])} on validation, one view. "
        "These have no interval: figures on validation flatter, since choices are made by them."
    )
    return Section(
        "model-course",
        "Course of the training",
        (
            Text(text),
            Text(f"The epochs took {history['seconds'].sum() / 60:,.1f} minutes together.", varies=True),
            Picture(
                training_curves(history),
                "Loss, macro F1 and learning rate by epoch. Training figures are of augmented pictures with dropout "
                "on.",
                "Three line charts over epochs: loss and macro F1 of training and validation, and the learning rate; a "
                "dotted line marks the epoch that was kept.",
                ("training_history",),
            ),
        ),
    )


def selection(evidence: Evidence) -> Section:
    """Return the section on how the recipe was chosen, how often test was looked at, and cross-validation."""
    parts = []
    if evidence.studies.trials is not None:
        parts.append(Section("selection-trials", "Trials", _trials(evidence.studies.trials)))
    if evidence.studies.test_looks is not None:
        text = (
            f"{len(evidence.studies.test_looks)} times, by the record that is kept beside the code. Each look at test "
            "that leads to a choice makes the figures on test a little too good."
        )
        table = Table(_as_it_is(evidence.studies.test_looks), ("Looks at the test side.",))
        source = Text("From the record `test_looks.csv` beside the code, to which every look is added by hand.")
        parts.append(Section("selection-looks", "How often test was looked at", (Text(text), table, source)))
    parts.append(Section("selection-folds", "Cross-validation", _folds(evidence.studies.cross_validation)))
    return Section("selection", "How the recipe was chosen", _how_chosen(evidence), tuple(parts))


def _how_chosen(evidence: Evidence) -> tuple[Block, ...]:
    if evidence.studies.trials is not None:
        return ()
    return (Text("No record of trials is kept for this data set."),)


def _trials(trials: pd.DataFrame) -> tuple[Block, ...]:
    text = (
        "One idea at a time, trained on train and judged on validation; test was not looked at. The intervals "
        "are of one trial's pictures: differences between trials are surer than the intervals suggest, and many "
        "were compared, so the best one's figures flatter."
    )
    last = f", the last on {trials['date'].max()}" if "date" in trials else ""
    source = Text(f"From the study that is kept beside the code{last}; `{COMMAND}`.")
    blocks: list[Block] = [
        Text(text),
        Table(
            trials_markdown(trials),
            ("The trials, all of HAM10000, figures on validation, mean of four views of each picture.",),
        ),
        source,
    ]
    compared = _compared(trials)
    if compared is not None:
        caption = "What each idea gave: the change against the trial that it is compared with, mean of four views."
        blocks += [Table(compared, (caption,)), source]
    return tuple(blocks)


def _compared(trials: pd.DataFrame) -> str | None:
    """Return the table of differences, or None of a file without the study's columns."""
    if "definition" not in trials:
        return None
    return differences_markdown(differences(trials))


def trials_markdown(trials: pd.DataFrame) -> str:
    """Return the table of trials: as the study shows it if it has the study's columns, else as it is."""
    try:
        return study_markdown(trials)
    except KeyError:
        return _as_it_is(trials)


def _as_it_is(table: pd.DataFrame) -> str:
    """Return a table of somebody's file, with nothing in it taken for Markdown."""
    text = pd.DataFrame(
        {literal(name): ["" if pd.isna(one) else literal(one) for one in table[name]] for name in table}
    )
    return markdown(text)


def _folds(summary: pd.DataFrame | None) -> tuple[Block, ...]:
    if summary is None:
        return (Text("Not run: how much the figures vary with the split and with the training is not known here."),)
    text = (
        "A model for each fold, by the same recipe, tested on the lesions it never saw. The standard deviation is "
        "between folds: it says how far one test set differs from another, with training anew, not how well the mean "
        "is known."
    )
    table = Table(
        summary_markdown(summary), ("Mean and standard deviation over folds.",), ("cross_validation_summary",)
    )
    return (Text(text), table)
