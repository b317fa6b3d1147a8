"""The section of a model card about the data: where from, of whom, how split, how clean."""

import pandas as pd

from derma_assets.dataset.figures import class_counts, class_counts_figure
from derma_assets.dataset.metadata_schema import UNKNOWN
from derma_assets.diagnoses import MALIGNANT
from derma_assets.evaluation.data_quality import FINDINGS
from derma_assets.evaluation.markdown import percent
from derma_assets.evaluation.model_card.blocks import Picture, Section, Table, Text
from derma_assets.evaluation.model_card.evidence import Evidence
from derma_assets.evaluation.model_card.wording import table_of
from derma_assets.splits.close_hashes import HASH_BITS
from derma_assets.splits.figures import class_shares_figure
from derma_assets.splits.grouped_splits import SIDES, TEST, count_by_side
from derma_assets.splits.leakage import NEAR_DUPLICATE_BITS
from derma_assets.splits.split_quality import class_shares, lesions_on_two_sides

_AGES = {"0-19": (0, 20), "20-39": (20, 40), "40-59": (40, 60), "60-79": (60, 80), "80 and over": (80, 1000)}
_SOURCE = """\
HAM10000 (Tschandl, Rosendahl, Kittler, *The HAM10000 dataset*, Scientific Data 5, 180161, 2018): dermatoscopic
pictures of pigmented lesions, collected over some twenty years at the Department of Dermatology of the Medical
University of Vienna, Austria, and in a skin-cancer practice in Queensland, Australia. Pictures of poor quality, and
lesions with other diagnoses, were left out by its authors; they also cropped, centred and colour-corrected some, and
removed what identified patients. Dermatoscopes differ and are not recorded for each picture; neither are patients,
skin type, treatment or dates. One lesion may have several pictures.

The reference standard is the data set's own diagnosis, confirmed by histopathology, follow-up, agreement of experts or
confocal microscopy (`dx_type` below). There is one label a lesion, and no record of who judged or how far experts
agreed.
"""
_GENERATED = """\
The embedded sample: pictures of skin and lesions drawn by a program, with the columns, imbalance and defects of
HAM10000's metadata. The "diagnosis" of a picture is what the program was told to draw; no patient, no clinic and no
reference standard is behind it.
"""


def data(evidence: Evidence) -> Section:
    """Return the section on the data."""
    return Section(
        "data",
        "Data",
        parts=(_source(evidence), _patients(evidence), _split(evidence), _leakage(evidence), _quality(evidence)),
    )


def _source(evidence: Evidence) -> Section:
    metadata, images = evidence.raw_metadata, evidence.raw_images
    unreadable = int((images["status"] != "ok").sum())
    counts = [
        {
            "diagnosis": f"{row['name']} ({row['dx']})",
            "pictures": int(row["images"]),
            "lesions": int(row["lesions"]),
            "share of lesions": percent(row["share_of_lesions"]),
        }
        for _, row in class_counts(metadata).iterrows()
    ]
    text = (
        f"{len(metadata):,} pictures of {metadata['lesion_id'].nunique():,} lesions; {unreadable:,} could not be read "
        "and were left out. No other picture was excluded. "
        f"{_confirmed(metadata)}"
    )
    return Section(
        "data-source",
        "Source and diagnoses",
        (
            Text((_GENERATED if evidence.chosen.synthetic else _SOURCE).strip()),
            Text(text),
            Table(
                table_of(counts, right=("pictures", "lesions", "share of lesions")),
                ("Pictures and lesions by diagnosis.",),
                ("raw_metadata", "raw_images"),
            ),
            Picture(
                class_counts_figure(metadata),
                "Pictures and lesions of each diagnosis, on a logarithmic axis.",
                "Horizontal bars of pictures and lesions for each of the seven diagnoses; the numbers are in the table "
                "above.",
                ("raw_metadata",),
            ),
        ),
    )


def _confirmed(metadata: pd.DataFrame) -> str:
    """Return how surely malignant and followed-up lesions are labelled, in words."""
    malignant = metadata[metadata["dx"].isin(MALIGNANT)]
    followed = metadata[metadata["dx_type"] == "follow_up"]
    by_histology = percent((malignant["dx_type"] == "histo").mean())
    said = f"Of the pictures of malignant lesions, {by_histology} have a diagnosis by histopathology."
    if len(followed):
        benign = percent((~followed["dx"].isin(MALIGNANT)).mean())
        said += (
            f" Of those confirmed by follow-up, {benign} are benign: how a label was confirmed goes with what it is."
        )
    return said


def _patients(evidence: Evidence) -> Section:
    metadata = evidence.raw_metadata
    sides = metadata["image_id"].map(evidence.grouped_splits.set_index("image_id")["split"])
    blocks: list[Text | Table] = [
        Text(
            f"As the data set records it. {int(metadata['age'].isna().sum()):,} pictures have no age; a missing or "
            "unknown value is a group of its own in [Groups](#groups), and the model is never given any of this. "
            "Ethnicity, skin type and social position are not recorded at all."
        )
    ]
    for title, groups in _attributes(metadata).items():
        rows = []
        for group in dict.fromkeys(groups):
            inside = metadata.loc[groups.index[groups == group]]
            of_side = {side: inside.loc[sides == side, "lesion_id"].nunique() for side in SIDES}
            counted = {"pictures": len(inside), "lesions": inside["lesion_id"].nunique()}
            rows.append({title: group, **counted, **{f"lesions, {side}": count for side, count in of_side.items()}})
        right = tuple(name for name in rows[0] if name != title)
        blocks.append(
            Table(table_of(rows, right), (f"Pictures and lesions by {title}.",), ("raw_metadata", "grouped_splits"))
        )
    return Section("data-patients", "Patients and places", tuple(blocks))


def _attributes(metadata: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the group of each picture in the order shown, by what the groups are of."""
    ages = pd.Series("no age", index=metadata.index)
    for band, (youngest, below) in _AGES.items():
        ages[metadata["age"].ge(youngest) & metadata["age"].lt(below)] = band
    return {
        "sex": _by_size(metadata["sex"]),
        "age": pd.concat([ages[ages == band] for band in (*_AGES, "no age")]),
        "place on the body": _by_size(metadata["localization"]),
        "confirmation (dx_type)": _by_size(metadata["dx_type"]),
    }


def _by_size(values: pd.Series) -> pd.Series:
    """Return values with the commonest first, unknown ones last."""
    size = values.map(values.value_counts()).where(values != UNKNOWN, 0)
    return values.loc[size.sort_values(ascending=False, kind="stable").index]


def _split(evidence: Evidence) -> Section:
    splits = evidence.grouped_splits
    counts = count_by_side(splits)
    rows = [
        {
            "diagnosis": row["dx"],
            **{
                f"{side}: pictures (lesions)": f"{row[f'{side} images']:,} ({row[f'{side} lesions']:,})"
                for side in SIDES
            },
        }
        for _, row in counts.iterrows()
    ]
    total = {
        f"{side}: pictures (lesions)": f"{counts[f'{side} images'].sum():,} ({counts[f'{side} lesions'].sum():,})"
        for side in SIDES
    }
    crossing = len(lesions_on_two_sides(splits))
    text = (
        "Pictures are dealt out by lesion, within each diagnosis, in an order that depends on the seed and the "
        f"lesion's identifier alone. {crossing} lesions lie on more than one side. Patients are not recorded, so two "
        "lesions of one patient can be on different sides. Training pictures teach; validation chooses the epoch (if "
        "the recipe keeps the best), temperature, thresholds, limits of the guard and numbers of views; test is for "
        "the report, and where it was looked at before something was chosen, the record of looks says so. No size was "
        "aimed at: the intervals say what the numbers of lesions allow. All pictures of a side are used whole, cut to "
        "their central square; test labels are the data set's, as all others."
    )
    return Section(
        "data-split",
        "Split",
        (
            Text(text),
            Table(
                table_of([*rows, {"diagnosis": "all", **total}], right=tuple(total)),
                ("Pictures, and in brackets lesions, on each side.",),
                ("grouped_splits",),
            ),
            Picture(
                class_shares_figure(class_shares(splits)),
                "The mix of diagnoses on each side, by lesions.",
                "Stacked bars of the shares of the seven diagnoses, of all lesions and of each side; they are alike.",
                ("grouped_splits",),
            ),
        ),
    )


def _leakage(evidence: Evidence) -> Section:
    pairs = evidence.leakage_audit
    into_test = pairs[pairs["split_b"] == TEST]
    affected = into_test["image_id_b"].nunique()
    text = (
        "Identifiers can be wrong, so the pictures themselves were compared, by perceptual hash (at most "
        f"{NEAR_DUPLICATE_BITS} of {HASH_BITS} bits differ). **{len(pairs):,} pairs** of pictures look alike, belong "
        f"to different lesions by their identifiers, and lie on different sides; {int(pairs['exact'].sum())} of them "
        f"are the same file. {len(into_test):,} pairs reach into test and concern {affected:,} test pictures. Two "
        "lesions that merely look alike do no harm; one lesion under two identifiers makes the test easier than a "
        "clinic. Rotated or mirrored copies are not found."
    )
    return Section("data-leakage", "Leakage audit", (Text(text),))


def _quality(evidence: Evidence) -> Section:
    quality = evidence.data_quality
    counts = quality.counts()
    total = len(quality.pictures)
    rows = [
        {"finding": title, "pictures": counts[name], "share": percent(counts[name] / total)}
        for name, title in FINDINGS.items()
    ]
    text = (
        f"Every readable picture was looked at by program; labels could be judged in {percent(quality.covered)}, "
        "where a model has said something without having seen the picture. These are things to look up, not errors: "
        "a label marked so is a disagreement with this model. **Nothing was corrected or removed.**"
    )
    return Section(
        "data-quality",
        "Data quality",
        (
            Text(text),
            Table(
                table_of(rows, right=("pictures", "share")),
                ("Pictures with each finding; one picture can have several.",),
                ("data_quality",),
            ),
        ),
    )
