"""The first sections of a model card: in short, what the model is, what it is for."""

from derma_assets.diagnoses import CODES, DIAGNOSES, MELANOMA
from derma_assets.evaluation.activation_maps import GRAD_CAM
from derma_assets.evaluation.explanations import ALL, PREDICTED
from derma_assets.evaluation.markdown import percent, three
from derma_assets.evaluation.model_card.blocks import Section, Table, Text
from derma_assets.evaluation.model_card.evidence import Evidence, Provenance
from derma_assets.evaluation.model_card.wording import bullets, cell, facts, in_hundred, row_of, table_of
from derma_assets.training.backbones import BACKBONES

_TIME = "%Y-%m-%d %H:%M UTC"
MADE_UP = (
    "**Everything below comes from the embedded sample of generated pictures. It shows that the machinery works and "
    "says nothing about real skin. Do not use this model for anything.**"
)
# What the guard measures, and what a person would call the limit.
_MEASURES = {
    "brightness": "Light (mean brightness, 0 to 255)",
    "sharpness": "Focus (variance of the Laplacian)",
    "lesion_contrast": "A lesion that stands out (contrast to the skin)",
    "unfamiliarity": "Unlike the training pictures (distance of the network's features)",
}


def summary(evidence: Evidence) -> Section:
    """Return the card in a few sentences."""
    pictures, lesions = evidence.tested
    overall, refusals = evidence.overall_metrics, evidence.refusal_rates
    melanoma, verdict = (row_of(overall, metric=metric) for metric in ("melanoma_sensitivity", "verdict_sensitivity"))
    heat = row_of(evidence.explanations, map=GRAD_CAM, of=PREDICTED, group=ALL, metric="heat_over_centre")
    good = row_of(refusals, kind="good")
    external = (
        f"It was also tested on {len(evidence.studies.external)} data set(s) of others: [External "
        "validation](#external)."
        if evidence.studies.external
        else "It was **not** tested on pictures of another clinic."
    )
    collection = "generated pictures" if evidence.chosen.synthetic else "one public collection of pictures"
    network = BACKBONES[evidence.model.architecture].name
    points = [
        f"**What:** a small convolutional network ({network}, deep learning) that gives a dermatoscopic picture of one "
        f"skin lesion a probability for each of {len(CODES)} diagnoses and says whether to refer; it runs in a "
        "browser, offline.",
        f"**Kind of study:** retrospective, on {collection}, split by lesion; the model was developed and tested on "
        "parts of the same collection.",
        f"**Tested on** {pictures:,} pictures of {lesions:,} lesions that it was neither trained nor tuned on: "
        f"accuracy {cell(overall, metric='accuracy')}, balanced accuracy {cell(overall, metric='balanced_accuracy')}, "
        f"melanoma ROC-AUC {cell(overall, metric='melanoma_roc_auc')}.",
        f"**What it misses:** the app's verdict leaves {in_hundred(verdict, missed=True)} pictures of malignant "
        f"lesions unreferred; the rule for melanoma alone misses {in_hundred(melanoma, missed=True)} pictures of "
        "melanomas.",
        f"**What it costs:** it refers "
        f"{in_hundred(row_of(overall, metric='verdict_specificity'), missed=True)} pictures of benign lesions, and "
        f"refuses {percent(good['share'])} ({percent(good['low'])} to {percent(good['high'])}) of good pictures.",
        f"**Where it looks:** the share of its heat map on the lesion differs by {three(heat['value'])} "
        f"({three(heat['low'])} to {three(heat['high'])}) from that of a map that always points to the centre.",
        f"**Not shown:** that it works on dark skin, or anywhere but in this collection. {external}",
    ]
    method = (
        f"Numbers in brackets are 95 % intervals: percentiles of {evidence.chosen.resamples:,} bootstrap resamples of "
        "whole lesions, since pictures of one lesion are nearly copies of each other. They hold the chance of which "
        "lesions were tested, not that of another training. Every table and figure names the asset it comes from, when "
        "that was stored, and the command that makes it again."
    )
    warning = [Text(MADE_UP)] if evidence.chosen.synthetic else []
    return Section("summary", "In short", (*warning, Text(bullets(points)), Text(method)))


def identity(evidence: Evidence, provenance: Provenance) -> Section:
    """Return what model this is, and of what."""
    model, manifest, training = evidence.model, evidence.manifest, evidence.training
    of_this = manifest["versions"]["data"]["trained_model"] == model.fingerprint
    of_model = {
        "Task": f"Classification of one lesion into {len(CODES)} diagnoses, and referral",
        "Data set": manifest["dataset"]["name"],
        "Weights (SHA-256, first 16 digits)": f"`{model.fingerprint}`",
        "Recipe": f"`{training.recipe.name}`",
        "Picture the model sees": f"{model.input_size} x {model.input_size} px, RGB",
        "Trained layers": f"the last {model.trainable_layers} of {BACKBONES[model.architecture].name} and the head",
        "Weights in the app": f"`{manifest['model']['variant']}`",
        "The app's bundle was made from these weights": "yes" if of_this else "**no: materialize tfjs_bundle again**",
        "Seed": str(evidence.chosen.seed),
        "Licence": manifest["dataset"]["licence"],
    }
    card = {
        "This card": f"{provenance.at:{_TIME}}",
        "Code (git commit)": provenance.commit,
        **{f"Package {name}": version for name, version in provenance.packages.items()},
    }
    available = (
        "The code is under the MIT licence. HAM10000 is public (doi:10.7910/DVN/DBW86T, CC BY-NC 4.0), and what is "
        "trained on it may be passed on under the same licence only: non-commercially, with attribution. The card "
        "holds no photograph of a patient."
        if not evidence.chosen.synthetic
        else "The code is under the MIT licence. The pictures are made up by a program, with no patient behind them."
    )
    return Section(
        "identity",
        "Model identity",
        (
            Table(facts(of_model, "model"), ("The model.",), ("trained_model", "tfjs_bundle")),
            Text(available),
            Table(facts(card, "made with"), ("When and with what this card was made.",), varies=True),
        ),
    )


def versions(provenance: Provenance) -> Section:
    """Return the section that lists the assets behind the card."""
    versions = [
        {
            "asset": f"`{name}`",
            "data version": f"`{made.data_version or 'not recorded'}`",
            "stored": f"{made.at:{_TIME}}",
        }
        for name, made in sorted(provenance.made.items())
    ]
    text = "The assets of the graph that this card was made from; a data version is a hash of content."
    table = Table(table_of(versions), ("Assets and their versions.",), varies=True)
    return Section("provenance", "Data behind this card", (Text(text), table))


def intended_use(evidence: Evidence) -> Section:
    """Return what the model is for, what it is not for, and what it refuses."""
    points = evidence.manifest["views"][0]["operating_points"]
    names = {diagnosis.code: diagnosis.name for diagnosis in DIAGNOSES}
    malignant = ", ".join(diagnosis.name.lower() for diagnosis in DIAGNOSES if diagnosis.malignant)
    thresholds = {point["key"]: point["threshold"] for point in points}
    aims = (
        "The aim is to help someone with a dermatoscope decide whether a pigmented lesion should be seen by a "
        "dermatologist, where none is at hand and the line is slow. It stands beside the person's own judgement, "
        "before a referral, and replaces neither a full skin examination nor histopathology. Development and "
        "internal test only: no hypothesis was tested, no benefit to patients was measured."
    )
    use = [
        "**For:** one pigmented or suspicious skin lesion of an adult, photographed through a dermatoscope, sharp and "
        "well lit, framed so that the lesion lies in the middle.",
        "**By:** clinic staff who are trained in taking dermatoscopic pictures and who may refer. They frame the "
        "lesion and may overrule everything that is shown.",
        f"**Verdict:** refer if the probabilities of the malignant diagnoses ({malignant}) add up to "
        f"{three(thresholds['referral'])} or more, or if that of {names[MELANOMA].lower()} is at least "
        f"{three(thresholds['melanoma'])}; these are the thresholds for a single view of the picture.",
        "**Shown with it:** the three likeliest diagnoses with calibrated probabilities, and a heat map.",
    ]
    out_of_scope = [
        "deciding on its own, ruling out cancer, or delaying a referral that a clinician finds right: *a low "
        "probability is no all-clear*;",
        "pictures taken without a dermatoscope, of mucosa, nails, the scalp under hair, scars or tattoos;",
        "children, and skin that the collection hardly has: see [Skin tone](#skin-tone);",
        "lesions of any other kind than the seven diagnoses: the model has no answer *something else*, and will name "
        "one of the seven;",
        "following one lesion over time, counting lesions, or screening people without a lesion of concern;",
        "any commercial use, and any use as a medical device: it has no approval of any authority.",
    ]
    limits = [
        {
            "measured": _MEASURES[measure["name"]],
            "refused below": three(measure["low"]) if measure["low"] is not None else "no limit",
            "refused above": three(measure["high"]) if measure["high"] is not None else "no limit",
        }
        for measure in evidence.limits["measures"]
    ]
    refused = (
        "Before the model is asked, the page measures the picture and refuses it beyond these limits, which were "
        "chosen on validation. How often it refuses what it should, and what it should not: [Refused "
        "pictures](#results-refusals)."
    )
    return Section(
        "intended-use",
        "Intended use",
        (
            Text(aims),
            Text(bullets(use)),
            Text(f"**Not for:**\n\n{bullets(out_of_scope)}"),
            Text(f"**What the app refuses.** {refused}"),
            Table(
                table_of(limits, right=("refused below", "refused above")),
                ("Limits of the input guard.",),
                ("input_guard",),
            ),
        ),
    )
