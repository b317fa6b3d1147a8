"""The section of a model card about what a clinic hosts: size, agreement with the trained model, time."""

from derma_assets.browser.latency import LABEL, MEASURED
from derma_assets.browser.latency_figure import latency_figure
from derma_assets.evaluation.markdown import three
from derma_assets.evaluation.model_card.blocks import Block, Picture, Section, Table, Text
from derma_assets.evaluation.model_card.evidence import Evidence
from derma_assets.evaluation.model_card.wording import table_of

MEGABYTE = 1e6


def delivery(evidence: Evidence) -> Section:
    """Return the section on the bundle."""
    return Section("bundle", "The app's bundle", parts=(_size(evidence), _parity(evidence), _latency(evidence)))


def _size(evidence: Evidence) -> Section:
    visit, variant = evidence.first_visit, evidence.manifest["model"]["variant"]
    rows = [
        {"what": "Model, compressed", "MB": f"{visit.model / MEGABYTE:.2f}"},
        {"what": "Page, compressed", "MB": f"{visit.page / MEGABYTE:.2f}"},
        {"what": "First visit, host that compresses everything", "MB": f"{visit.compressed / MEGABYTE:.2f}"},
        {
            "what": "First visit, host that leaves the weights as they are",
            "MB": f"{visit.weights_as_stored / MEGABYTE:.2f}",
        },
    ]
    text = (
        f"The model is in the bundle as `{variant}`. After one visit the page works without a network; no picture "
        "leaves the device."
    )
    table = Table(table_of(rows, right=("MB",)), ("What a first visit downloads.",), ("tfjs_bundle",))
    return Section("bundle-size", "Size", (Text(text), table))


def _parity(evidence: Evidence) -> Section:
    outcome, said = evidence.parity
    rows = [
        {
            "model": row["variant"],
            "MB": f"{row['bytes'] / MEGABYTE:.2f}",
            "accuracy": three(row["accuracy"]),
            "macro F1": three(row["macro_f1"]),
            "melanoma ROC-AUC": three(row["melanoma_roc_auc"]),
            "same first diagnosis as Keras": f"{100 * row['top1_agreement']:.2f} %",
            "largest difference of a logit": f"{row['max_logit_difference']:.5f}",
        }
        for row in evidence.variants.comparison.to_dict("records")
    ]
    text = (
        f"In a real browser against Keras (check `browser_parity` of the bundle): **{outcome}**; {said}. The table "
        "compares the converted models with the trained one on the same test pictures; such a paired comparison "
        "needs no interval over lesions, and those of the metrics are [above](#results-overall)."
    )
    table = Table(
        table_of(rows, right=tuple(rows[0])[1:]),
        ("The converted models on test, beside the trained one.",),
        ("tfjs_model",),
    )
    return Section("bundle-parity", "Agreement with the trained model", (Text(text), table))


def _latency(evidence: Evidence) -> Section:
    table = evidence.latency_benchmark
    measured = table[table["state"] == MEASURED]
    if measured.empty:
        text = "Not measured: there was no browser when `latency_benchmark` was made, or no row of it was valid."
        return Section("bundle-latency", "Time", (Text(text, varies=True),))
    rows = [
        {
            "measure": row["measure"],
            "threads": str(row["threads"]),
            "slowed": "not" if row["slowdown"] == 1 else f"{row['slowdown']:g} times",
            "runs": str(row["n"]),
            "median": f"{row['median_ms']:,.0f}",
            "mean": f"{row['mean_ms']:,.0f}",
            "standard deviation": f"{row['sd_ms']:,.0f}",
            "95th percentile": f"{row['p95_ms']:,.0f}",
        }
        for row in measured.to_dict("records")
    ]
    text = (
        f"**{LABEL.capitalize()}.** `warm`: from a JPEG file to the findings; `cold`: from opening the page in a "
        "browser that has never seen it to the first findings. Milliseconds, one view. The spread is over runs, not "
        "over lesions."
    )
    blocks: tuple[Block, ...] = (
        Text(text),
        Table(
            table_of(rows, right=tuple(rows[0])[1:]),
            ("Time for one picture, in milliseconds.",),
            ("latency_benchmark",),
            varies=True,
        ),
        Picture(
            latency_figure(table),
            "Medians, and from the fastest run to the 95th percentile.",
            "Bars of milliseconds, warm and cold, for each number of threads and slowdown; the numbers are in the "
            "table above.",
            ("latency_benchmark",),
        ),
    )
    return Section("bundle-latency", "Time", blocks)
