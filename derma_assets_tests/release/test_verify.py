"""The documentation says what the released logits give, and a wrong digit anywhere is found."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derma_assets.errors import UserError
from derma_assets.release import readme as readme_module
from derma_assets.release.layout import calibration_path, listed, metrics_path, read_release, write_document
from derma_assets.release.readme import main, write_blocks
from derma_assets.release.verify import differences, remeasured, rewritten
from derma_assets_tests.release.made_up_store import settings_for

NAMES = ("measured", "overall_metrics", "per_class_metrics", "view_metrics", "aims", "trials")


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    shutil.copytree(release, tmp_path / "release")
    return tmp_path / "release"


@pytest.fixture
def document(release: Path, tmp_path: Path) -> Path:
    """A page with every block, as `make readme` writes it."""
    path = tmp_path / "README.md"
    blocks = [f"<!-- BEGIN {name}, written by `make readme` -->\nold\n<!-- END {name} -->\n" for name in NAMES]
    path.write_text("# Before\n\n" + "\nBetween.\n\n".join(blocks) + "\nAfter 0.123.\n")
    write_blocks(release, [path])
    return path


def listed_anew(folder: Path) -> None:
    """Make the manifest agree with the files, as one who changes figures on purpose would."""
    write_document({**read_release(folder), "files": listed(folder)}, folder / "release.json")


def test_what_was_written_is_what_the_release_gives(release: Path, document: Path) -> None:
    assert differences(release, [document]) == []
    text = document.read_text()
    assert text.startswith("# Before\n")
    assert text.endswith("\nAfter 0.123.\n")
    assert text.count("Between.") == len(NAMES) - 1
    assert "\nold\n" not in text


def test_the_short_table_has_the_stored_figures(release: Path, document: Path) -> None:
    overall = pd.read_csv(metrics_path(release, "overall_metrics")).set_index("metric")
    (row,) = re.findall(r"^\| Melanoma ROC-AUC \| (\S+) \((\S+) to (\S+)\) \|", document.read_text(), re.MULTILINE)
    stored = overall.loc["melanoma_roc_auc", ["value", "low", "high"]]
    assert [float(number) for number in row] == [round(number, 3) for number in stored]
    pictures = len(pd.read_parquet(release / "predictions.parquet").query("split == 'test' and views == 1"))
    assert f"{pictures} test pictures of 84 lesions" in document.read_text()


def test_what_was_aimed_at_stands_beside_what_was_released(release: Path, document: Path) -> None:
    measured = remeasured(release)
    lines = document.read_text().splitlines()
    accuracy = measured.tables["overall_metrics"].set_index("metric").at["accuracy", "value"]
    (row,) = [line for line in lines if line.startswith("| Accuracy ") and " 0.85 " in line]
    assert f"{accuracy:.3f} (" in row
    assert row.split("|")[-2].strip().startswith("yes" if accuracy >= 0.85 else "no")
    assert measured.model_bytes > 0


def test_every_number_of_a_block_that_is_changed_is_found(release: Path, document: Path) -> None:
    text = document.read_text()
    (block,) = re.findall(r"<!-- BEGIN measured.*?END measured -->", text, re.DOTALL)
    numbers = list(re.finditer(r"\d+\.\d{3}", block))
    assert len(numbers) > 30
    measured, start = remeasured(release), text.index(block)
    for number in numbers:
        at = start + number.end() - 1
        wrong = text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :]
        assert rewritten(wrong, measured) == text


def test_a_wrong_figure_is_shown_beside_the_right_one(release: Path, document: Path) -> None:
    text = document.read_text()
    (row,) = re.findall(r"^\| Accuracy \|.*$", text, re.MULTILINE)[:1]
    document.write_text(text.replace(row, row.replace("| Accuracy | 0", "| Accuracy | 1", 1)))
    found = differences(release, [document])
    assert found == [f"README.md says: {row.replace('| 0', '| 1', 1)}", f"README.md should say: {row}"]


def test_a_changed_file_is_found(copy: Path, document: Path) -> None:
    (copy / "LICENSE.md").write_text("do what you want")
    (copy / "added.txt").write_text("")
    metrics_path(copy, "reliability").unlink()
    assert differences(copy, [document]) == [
        f"{path} is not as release.json says" for path in ("LICENSE.md", "added.txt", "metrics/reliability.csv")
    ]


def test_a_table_that_the_logits_do_not_give_is_found(copy: Path, document: Path) -> None:
    path = metrics_path(copy, "view_metrics")
    table = pd.read_csv(path)
    table.loc[3, "high"] += 0.001
    table.to_csv(path, index=False)
    listed_anew(copy)
    (found,) = differences(copy, [document])
    assert found.startswith(f"view_metrics: high of {table.loc[3, 'metric']} is ")


def test_other_logits_are_found_in_every_table(copy: Path, document: Path) -> None:
    predictions = pd.read_parquet(copy / "predictions.parquet")
    predictions.assign(logit_nv=predictions["logit_nv"] + np.float32(2)).to_parquet(copy / "predictions.parquet")
    listed_anew(copy)
    found = "\n".join(differences(copy, [document]))
    for name in (
        "overall_metrics",
        "per_class_metrics",
        "confusion_matrix",
        "reliability",
        "view_metrics",
        "risk_coverage",
        "decision_curve",
        "class_calibration",
        "README.md",
    ):
        assert name in found
    assert "calibrated_temperature: temperature is" in found


def test_a_temperature_that_validation_does_not_give_is_found(copy: Path, document: Path) -> None:
    path = calibration_path(copy, "calibrated_temperature")
    path.write_text(path.read_text().replace('"temperature": ', '"temperature": 1'))
    listed_anew(copy)
    assert any(line.startswith("calibrated_temperature: temperature is 1") for line in differences(copy, [document]))


def test_writing_again_changes_nothing(release: Path, document: Path) -> None:
    assert write_blocks(release, [document]) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("No block.\n", "has no block"),
        ("<!-- BEGIN other, written by `make readme` -->\n<!-- END other -->", "no block 'other'"),
    ],
)
def test_a_document_without_its_block_is_not_passed_over(release: Path, document: Path, text: str, said: str) -> None:
    before = document.read_text()
    other = document.with_name("other.md")
    other.write_text(text)
    with pytest.raises(UserError, match=said):
        write_blocks(release, [document, other])
    with pytest.raises(UserError, match=said):
        differences(release, [other])
    assert document.read_text() == before


def test_the_command_needs_a_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(readme_module, "settings", lambda: settings_for(tmp_path))
    assert main(["README.md"]) == 1
    assert "make release" in capsys.readouterr().err


def test_the_command_writes(original: Path, document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme_module, "settings", lambda: settings_for(original))
    right = document.read_text()
    document.write_text(right.replace("84 lesions", "85 lesions"))
    assert main([str(document)]) == 0
    assert document.read_text() == right
