"""Which back end the page takes, in a browser of its own: it needs graphics that other tests do without."""

from pathlib import Path

import pytest

from derma_assets.browser.chromium import launched, open_bundle
from derma_assets.browser.serve import serving

pytestmark = pytest.mark.browser


def test_a_back_end_is_chosen_by_measuring_not_by_name(browser_program: Path, bundle_folder: Path) -> None:
    """Here graphics are computed, not accelerated: what would win by its name has to lose by its time."""
    with (
        launched(browser_program, ["--enable-unsafe-swiftshader"]) as own,
        serving(bundle_folder) as address,
    ):
        page = open_bundle(own, address)
        page.wait_for_function(
            "() => Object.entries(localStorage).some(([key, value]) => /slower/.test(key) && /webgl/.test(value))",
            timeout=90_000,
        )
        chosen = page.evaluate("() => window.derma.engine.state")
        slower = page.evaluate("() => Object.values({ ...localStorage }).join()")
        tried = page.evaluate("() => window.derma.backends()")

    assert "webgl" in tried
    assert chosen["kind"] == "ready"
    assert chosen["backend"] in ("wasm", "wasm-threads")
    assert "wasm" not in slower
