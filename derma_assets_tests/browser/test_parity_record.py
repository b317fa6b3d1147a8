from pathlib import Path

from derma_assets.browser.parity_record import parity_of, record_parity


def test_an_outcome_is_of_the_bundle_it_was_found_for(tmp_path: Path) -> None:
    bundle = tmp_path / "tfjs_bundle"
    bundle.mkdir()
    (bundle / "index.html").write_text("page")
    assert parity_of(bundle) == ("not run", "the check browser_parity has left no record")

    record_parity(bundle, "passed", "agrees")
    assert parity_of(bundle) == ("passed", "agrees")

    (bundle / "index.html").write_text("another page")
    assert parity_of(bundle) == ("not run", "the last check browser_parity was of another bundle")

    record_parity(bundle, "failed", "uint8 differs")
    assert parity_of(bundle) == ("failed", "uint8 differs")
