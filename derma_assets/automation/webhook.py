"""Telling someone that a run has failed: one JSON document to an address of their choice."""

import json
import urllib.error
import urllib.request
from urllib.parse import urlsplit

_TIMEOUT_S = 20


def failure_document(run_id: str, job: str, error: str, tags: dict[str, str]) -> dict[str, object]:
    """Return what is posted: `text` is what chat services show; the rest is for programs. No picture, no patient."""
    first = error.strip().splitlines()[0] if error.strip() else "no message"
    text = f"derma_assets: the run {run_id[:8]} of {job} has failed: {first}"
    return {"text": text, "run_id": run_id, "job": job, "error": error, "tags": tags}


def post(address: str, document: dict[str, object]) -> None:
    """Post a document as JSON.

    Raises:
        ValueError: the address is no http or https address.
        OSError: nobody answered, or not with success.
    """
    if urlsplit(address).scheme not in ("http", "https"):
        raise ValueError("DERMA_WEBHOOK is no http or https address")
    request = urllib.request.Request(
        address, json.dumps(document).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            answer.read()
    except urllib.error.URLError as error:
        # The address may hold a secret: it stays out of the message.
        raise OSError(f"the webhook did not take it: {error.reason}") from None
