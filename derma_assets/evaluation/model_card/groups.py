"""The sections of a model card that ask for whom it works, where it looks, and what others' pictures say."""

import pandas as pd

from derma_assets.dataset.lesion_figures import tones_figure
from derma_assets.dataset.metadata_schema import UNKNOWN
from derma_assets.dataset.skin_tone import OFF_SCALE, repeatability, tone_counts
from derma_assets.evaluation.activation_maps import GRAD_CAM
from derma_assets.evaluation.explanation_figures import explanation_figure
from derma_assets.evaluation.explanations import ALL, BASELINE, PREDICTED
from derma_assets.evaluation.external_report import confusion_figure, counted, external_markdown
from derma_assets.evaluation.figures import gaps_figure, subgroup_figure
from derma_assets.evaluation.markdown import percent, three
from derma_assets.evaluation.model_card.blocks import Block, Picture, Section, Table, Text
from derma_assets.evaluation.model_card.evidence import Evidence
from derma_assets.evaluation.model_card.wording import cell, literal, table_of
from derma_assets.evaluation.report import explanations_markdown, gaps_markdown, subgroups_markdown
from derma_assets.evaluation.subgroups import FEWEST_LESIONS


def groups(evidence: Evidence) -> Section:
    """Return the section on subgroups, their gaps, and skin tone."""
    return Section("groups", "Groups", parts=(_subgroups(evidence), _gaps(evidence), _skin_tone(evidence)))


def _subgroups(evidence: Evidence) -> Section:
    text = (
        "By what the data set records, and by skin tone as estimated from the picture. Diagnoses are mixed "
        "differently in each group, which alone makes accuracy differ: what was followed up is nearly always a "
        "nevus. An empty value means that there was nothing to measure it on."
    )
    return Section(
        "groups-figures",
        "By sex, age, place, confirmation and skin tone",
        (
            Text(text),
            Table(
                subgroups_markdown(evidence.subgroup_metrics),
                ("Figures of each group on test.",),
                ("subgroup_metrics",),
            ),
            Picture(
                subgroup_figure(evidence.subgroup_metrics),
                "Figures of each group, with 95 % intervals; in brackets the number of lesions.",
                "Points with interval lines, a row for each group and a panel for each measure; the numbers are in "
                "the table above.",
                ("subgroup_metrics",),
            ),
        ),
    )


def _gaps(evidence: Evidence) -> Section:
    gaps = evidence.subgroup_gaps
    compared = gaps[gaps["groups"] > 1]
    clear = compared[compared["low"] > 0]
    text = (
        f"The best and the worst group of each attribute, over groups with at least {FEWEST_LESIONS} lesions to "
        f"measure on. {len(compared)} of {len(gaps)} gaps could be measured; for the other "
        f"{len(gaps) - len(compared)} nothing can be said, which does not mean that all is well. The intervals of "
        f"{len(clear)} do not reach 0. These are extremes of several groups and of many comparisons, without "
        "correction: a reason to look closer, not proof."
    )
    return Section(
        "groups-gaps",
        "Largest gaps",
        (
            Text(text),
            Table(gaps_markdown(gaps), ("Gap between the best and the worst group.",), ("subgroup_gaps",)),
            Picture(
                gaps_figure(gaps),
                "Gaps between the best and the worst group, with 95 % intervals.",
                "Points with interval lines, a row for each attribute and a panel for each measure; the numbers are "
                "in the table above.",
                ("subgroup_gaps",),
            ),
        ),
    )


def _skin_tone(evidence: Evidence) -> Section:
    tones, metadata = evidence.skin_tone, evidence.raw_metadata
    repeated = repeatability(tones, metadata.set_index("image_id")["lesion_id"])
    off_scale, unknown = (float((tones["tone"] == tone).mean()) for tone in (OFF_SCALE, UNKNOWN))
    text = (
        "No one recorded skin type, so the typology angle of the skin around the lesion was estimated from the "
        "picture. **It is a property of the picture, not of the patient:** a dermatoscopic picture has no colour "
        f"target, and lamp, white balance and processing move the angle by whole groups. {percent(off_scale)} of the "
        f"pictures are off the scale, bluer than any skin, which is a colour cast; {percent(unknown)} show too little "
        f"skin. Of {repeated['lesions']:,} lesions with two pictures, which show the same skin, "
        f"{_share(repeated['same_tone'])} got the same tone both times; the median difference is "
        f"{repeated['median_difference']:.1f} degrees, the intraclass correlation {three(repeated['correlation'])}."
    )
    meaning = (
        "It can show that the model fails on pictures of a certain cast of colour. It cannot show that the model "
        "works on dark skin, and that no gap is found between these groups says nothing about patients: "
        + (
            "there are none here."
            if evidence.chosen.synthetic
            else "the collection is nearly all light skin from Austria and Australia. "
            "**The model must be taken as untested on dark skin.**"
        )
    )
    counts = tone_counts(tones, metadata)
    rows = [
        {
            "tone": str(row["tone"]).replace("_", " "),
            "pictures": int(row["pictures"]),
            "lesions": int(row["lesions"]),
            **{f"confirmed by {name}": percent(row[name]) for name in counts.columns[3:]},
        }
        for _, row in counts.iterrows()
    ]
    return Section(
        "skin-tone",
        "Skin tone",
        (
            Text(text),
            Text(meaning),
            Table(
                table_of(rows, right=tuple(rows[0])[1:]),
                ("Pictures by estimated tone, and how their diagnoses were confirmed.",),
                ("skin_tone", "raw_metadata"),
            ),
            Picture(
                tones_figure(tones),
                "Distribution of the estimated typology angle.",
                "Histogram of the individual typology angle over all pictures with the borders of the tones.",
                ("skin_tone",),
            ),
        ),
    )


def _share(share: float) -> str:
    return "n/a" if pd.isna(share) else percent(share)


def explanations(evidence: Evidence) -> Section:
    """Return the section on where the model looked."""
    table = evidence.explanations
    mine = {"map": GRAD_CAM, "of": PREDICTED, "group": ALL}
    text = (
        "The app shows a heat map (class activation map, for this network the same as Grad-CAM) over the picture. "
        "How much of the heat lies on the lesion, by its mask, was compared with a map that knows nothing but that "
        f"lesions lie in the middle, a Gaussian in the centre: {cell(table, **mine, metric='heat_inside')} of the "
        "model's heat is inside, of the centre's "
        f"{cell(table, map=BASELINE, group=ALL, metric='centre_heat_inside')}; the paired difference is "
        f"{cell(table, **mine, metric='heat_over_centre')}. Seen through the map's coarse cells, the difference is "
        f"{cell(table, **mine, metric='heat_over_coarse_centre')}."
    )
    meaning = (
        "Only what is above the centre shows that the model finds lesions. Heat on the lesion does not mean that the "
        "model looks at the right thing there, or that it is right, so the map must not be used to confirm an "
        "answer. Galleries of test pictures under their heat are in the Dagster UI, with `explanations`; this card "
        "holds no photographs."
    )
    return Section(
        "explanations",
        "Where the model looks",
        (
            Text(text),
            Text(meaning),
            Table(
                explanations_markdown(_shown(table)),
                ("Share of heat inside the lesion, and how often its peak hits it, beside baselines.",),
                ("explanations",),
            ),
            Picture(
                explanation_figure(table),
                "Heat inside the lesion and peak hits by group, beside the baselines, with 95 % intervals.",
                "Two panels of points with intervals for all, right and wrong pictures and each diagnosis: Grad-CAM "
                "beside the centre, the centre through the map's cells, and uniform heat.",
                ("explanations",),
            ),
        ),
    )


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out of the table of explanations what a page of paper has no room for."""
    maps = (table["map"] == GRAD_CAM) & (table["of"] == PREDICTED)
    shown = ["mask_share", "centre_heat_inside", "coarse_centre_hit"]
    return table[maps | (table["map"] == BASELINE) & table["metric"].isin(shown)]


def external(evidence: Evidence) -> Section:
    """Return the section on data sets of others."""
    if not evidence.studies.external:
        text = (
            "Not run. All figures here are of pictures of the collection that the model was trained on; on pictures of "
            "another clinic, camera or population they are likely to be worse, and by how much is not known."
        )
        return Section("external", "External validation", (Text(text),))
    text = (
        "The same model and thresholds on pictures that others took; those seen in training are left out. A fall is "
        "normal, its size is the news. Many refused pictures mean that theirs do not look like ours."
    )
    parts = []
    for number, (name, table) in enumerate(evidence.studies.external.items(), start=1):
        older = name in evidence.studies.older_than_the_model
        blocks: tuple[Block, ...] = (
            *((Text("**Stored before the model was: of an earlier one, maybe. Run it again.**"),) if older else ()),
            Text(counted(table)),
            Table(
                external_markdown(table),
                (f"Overall, on {literal(name)}.", f"By class, on {literal(name)}."),
                (f"external_validation/{name}",),
            ),
            Picture(
                confusion_figure(table),
                f"Confusion matrix on {name}: shares of the true class, and pictures.",
                f"Cells by true and predicted class on {name}, shaded by the share of the true class.",
                (f"external_validation/{name}",),
            ),
        )
        parts.append(Section(f"external-{number}", f"On {name}", blocks))
    return Section("external", "External validation", (Text(text),), tuple(parts))
