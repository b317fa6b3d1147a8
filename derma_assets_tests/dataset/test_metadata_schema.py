"""Every violation is named by its line, its value and what is expected."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derma_assets.dataset.metadata_schema import COLUMNS, read_metadata
from derma_assets.errors import InputError
from derma_assets_tests.dataset.conftest import metadata_of


def written(tmp_path: Path, table: pd.DataFrame) -> Path:
    path = tmp_path / "HAM10000_metadata.csv"
    table.to_csv(path, index=False)
    return path


def changed(row: int, column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.astype(object)
        table.loc[row, column] = value
        return table

    return change


def test_a_good_file_is_read_in_its_order_with_missing_ages(tmp_path: Path) -> None:
    table = metadata_of()
    table.loc[3, "age"] = np.nan
    table.loc[4, ["sex", "localization"]] = "unknown"
    read = read_metadata(written(tmp_path, table))
    pd.testing.assert_frame_equal(read, table)
    assert tuple(read.columns) == COLUMNS


def test_dataverses_tab_file_gives_the_same_table(tmp_path: Path) -> None:
    table = metadata_of()
    table.loc[3, "age"] = np.nan
    plain = read_metadata(written(tmp_path, table))
    tab = tmp_path / "HAM10000_metadata.tab"
    rows = ["\t".join(f'"{v}"' if isinstance(v, str) else ("" if v != v else str(v)) for v in r) for r in table.values]
    tab.write_bytes(("\ufeff" + "\r\n".join(["\t".join(table.columns), *rows])).encode())
    pd.testing.assert_frame_equal(read_metadata(tab), plain)


def test_more_columns_and_another_order_do_no_harm(tmp_path: Path) -> None:
    table = metadata_of()
    shuffled = table.assign(dataset="vidir")[["dataset", *reversed(table.columns)]]
    pd.testing.assert_frame_equal(read_metadata(written(tmp_path, shuffled)), table)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (changed(5, "dx", "melanom"), ["line 7, dx 'melanom'", "expected one of akiec, bcc, bkl, df, mel, nv, vasc"]),
        (changed(5, "dx_type", "guess"), ["line 7, dx_type 'guess'", "histo, follow_up, consensus, confocal"]),
        (changed(0, "age", "old"), ["line 2, age 'old'", "a number from 0 to 120, or nothing"]),
        (changed(0, "age", 121), ["line 2, age '121'", "a number from 0 to 120"]),
        (changed(0, "age", "inf"), ["line 2, age 'inf'"]),
        (changed(9, "sex", ""), ["line 11, sex ''", "male, female, unknown"]),
        (changed(9, "localization", "moon"), ["line 11, localization 'moon'", "upper extremity"]),
        (changed(9, "lesion_id", ""), ["line 11, lesion_id ''"]),
        (changed(9, "image_id", "../../etc/passwd"), ["line 11, image_id '../../etc/passwd'"]),
        (changed(9, "image_id", "ISIC_0000001"), ["line 11, image_id", "also on line 3", "line 3, image_id"]),
        (changed(1, "dx", "nv"), ["line 3, dx 'nv'", "lesion HAM_0000000 is akiec on line 2", "one dx per lesion"]),
    ],
)
def test_a_bad_value_is_named_by_its_line(
    change: Callable[[pd.DataFrame], pd.DataFrame], told: list[str], tmp_path: Path
) -> None:
    path = written(tmp_path, change(metadata_of()))
    with pytest.raises(InputError) as caught:
        read_metadata(path)
    for words in [str(path), *told]:
        assert words in str(caught.value)


def test_lines_are_those_of_the_file_when_it_has_blank_ones(tmp_path: Path) -> None:
    lines = written(tmp_path, changed(5, "sex", "?")(metadata_of())).read_text().splitlines()
    path = tmp_path / "blank.csv"
    path.write_text("\n".join([*lines[:3], "", "", *lines[3:]]))
    with pytest.raises(InputError, match=r"line 9, sex '\?'"):
        read_metadata(path)


def test_several_kinds_of_fault_are_told_at_once_and_many_are_summarised(tmp_path: Path) -> None:
    table = metadata_of().assign(sex="?")
    table.loc[0, "dx_type"] = "guess"
    with pytest.raises(InputError) as caught:
        read_metadata(written(tmp_path, table))
    told = str(caught.value)
    assert "29 values not as expected" in told
    assert "dx_type 'guess'" in told
    assert told.count("\n  line ") == 20
    assert "and 9 more" in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"lesion_id,image_id,dx\n1,2,nv\n", "no column dx_type, age, sex, localization"),
        ((",".join([*COLUMNS, "dx"]) + "\n").encode(), "dx occurs more than once"),
        ((",".join(COLUMNS) + "\n").encode(), "no rows"),
        ((",".join(COLUMNS) + "\nHAM_1,ISIC_1,nv\n").encode(), "line 2: 3 values, but the header names 7"),
        (b"\xff\xd8\xff\xe0 a jpeg", "not a text file in UTF-8"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "HAM10000_metadata.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=told) as caught:
        read_metadata(path)
    assert str(path) in str(caught.value)
