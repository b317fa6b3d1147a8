"""The last section of a model card, which a person fills in."""

from derma_assets.evaluation.model_card.blocks import Section, Table, Text
from derma_assets.evaluation.model_card.evidence import Evidence
from derma_assets.evaluation.model_card.wording import table_of

FIELDS = (
    "Name",
    "Role and institution",
    "Date",
    "Findings",
    "Fit for the use described? Under which conditions?",
    "Signature",
)


def signature(evidence: Evidence) -> Section:
    """Return the block for the reviewer."""
    text = f"What is signed is the review of this card, for the model with weights `{evidence.model.fingerprint}`."
    rows = [{"field": name, "to be filled in by the reviewer": ""} for name in FIELDS]
    return Section("signature", "Reviewed by", (Text(text), Table(table_of(rows), ("Review.",))))
