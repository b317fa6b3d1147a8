"""What HAM10000's metadata must look like, and reading it: every violation is named by its line in the file.

Source of the columns and their values: Tschandl, Rosendahl, Kittler, Scientific Data 5, 180161 (2018).
"""

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError

UNKNOWN = "unknown"
DX_TYPES: tuple[str, ...] = ("histo", "follow_up", "consensus", "confocal")
SEXES: tuple[str, ...] = ("male", "female", UNKNOWN)
LOCALIZATIONS: tuple[str, ...] = (
    "abdomen",
    "acral",
    "back",
    "chest",
    "ear",
    "face",
    "foot",
    "genital",
    "hand",
    "lower extremity",
    "neck",
    "scalp",
    "trunk",
    "upper extremity",
)
OLDEST = 120
_SHOWN = 20
_ONE_DX = "one diagnosis per lesion"


def _one_dx_per_lesion(table: pd.DataFrame) -> pd.Series:
    """Return, row by row, whether the row's diagnosis is the only one of its lesion."""
    return table.groupby("lesion_id")["dx"].transform("nunique") <= 1


SCHEMA = pa.DataFrameSchema(
    {
        "lesion_id": pa.Column(
            str,
            pa.Check.str_matches(r"^\S+$", error="an identifier without blanks"),
            description="The lesion; several pictures may show the same one.",
        ),
        "image_id": pa.Column(
            str,
            pa.Check.str_matches(r"^[\w.-]+$", error="an identifier of letters, digits, `_`, `-` and `.`"),
            unique=True,
            description="The picture; its file has this name.",
        ),
        "dx": pa.Column(
            str,
            pa.Check.isin(CODES, error=f"one of {', '.join(CODES)}"),
            description="Diagnosis, one of seven categories.",
        ),
        "dx_type": pa.Column(
            str,
            pa.Check.isin(DX_TYPES, error=f"one of {', '.join(DX_TYPES)}"),
            description="How the diagnosis was confirmed.",
        ),
        "age": pa.Column(
            float,
            pa.Check.in_range(0, OLDEST, error=f"a number from 0 to {OLDEST}, or nothing"),
            nullable=True,
            description="Age of the patient in years; may be missing.",
        ),
        "sex": pa.Column(str, pa.Check.isin(SEXES, error=f"one of {', '.join(SEXES)}"), description="Of the patient."),
        "localization": pa.Column(
            str,
            pa.Check.isin([*LOCALIZATIONS, UNKNOWN], error=f"one of {', '.join([*LOCALIZATIONS, UNKNOWN])}"),
            description="Where on the body.",
        ),
    },
    checks=pa.Check(_one_dx_per_lesion, error=_ONE_DX),
    strict=True,
    ordered=True,
    name="Ham10000Metadata",
    title="HAM10000 metadata",
    description="One row per picture, in the order of the file.",
)
COLUMNS: tuple[str, ...] = tuple(SCHEMA.columns)


def read_metadata(path: Path) -> pd.DataFrame:
    """Read and check a metadata file, comma- or tab-separated, and return it in the order of the file.

    Returns:
        The columns `COLUMNS`; `age` is float with NaN where missing, all others are strings.

    Raises:
        InputError: the file is not such a table, or rows of it break the schema; each is named by its line
            (the header is line 1), its value and what is expected.
    """
    text, lines = _read_text_table(path)
    ages = pd.to_numeric(text["age"].replace("", np.nan), errors="coerce").astype(float)
    table = text[list(COLUMNS)].assign(age=ages).reset_index(drop=True)
    not_numbers = text["age"].ne("") & ages.isna()
    violations = [(row, "age", f"a number from 0 to {OLDEST}, or nothing") for row in np.flatnonzero(not_numbers)]
    try:
        SCHEMA.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        violations += _violations(error.failure_cases)
    if violations:
        raise InputError(_report(path, text, lines, violations))
    return table


def _read_text_table(path: Path) -> tuple[pd.DataFrame, list[int]]:
    """Return the table with every cell as text, and the line of the file at which each row starts."""
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file in UTF-8 ({error}): is it really the metadata table?") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    header = content.partition("\n")[0]
    if not header.strip():
        raise InputError(f"{path} is empty: it should start with the line {','.join(COLUMNS)}")
    separator = "\t" if header.count("\t") > header.count(",") else ","
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator)
    names = [name.strip() for name in next(reader)]
    _check_columns(path, names)
    rows: list[list[str]] = []
    lines: list[int] = []
    line = reader.line_num + 1
    for cells in reader:
        if cells:
            if len(cells) != len(names):
                raise InputError(f"{path}, line {line}: {len(cells)} values, but the header names {len(names)} columns")
            rows.append([cell.strip() for cell in cells])
            lines.append(line)
        line = reader.line_num + 1
    if not rows:
        raise InputError(f"{path} has a header and no rows")
    return pd.DataFrame(rows, columns=names, dtype=object), lines


def _check_columns(path: Path, names: list[str]) -> None:
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError(f"{path}, line 1: column {', '.join(twice)} occurs more than once")
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise InputError(
            f"{path}, line 1: no column {', '.join(missing)}. Expected: {', '.join(COLUMNS)}. Found: {', '.join(names)}"
        )


def _violations(failures: pd.DataFrame) -> list[tuple[int, str, str]]:
    """Return (row, column, what is expected) of each failure that pandera found."""
    found = []
    for column, check, row in failures[["column", "check", "index"]].itertuples(index=False):
        if pd.isna(row):
            raise InputError(f"the metadata break the schema in column {column}: {check}")
        if check == _ONE_DX:
            column = "dx"
        expected = {"field_uniqueness": "not used by another row", "not_nullable": "a value"}.get(check, check)
        found.append((int(row), str(column), str(expected)))
    return list(dict.fromkeys(found))


def _report(path: Path, text: pd.DataFrame, lines: list[int], violations: list[tuple[int, str, str]]) -> str:
    ordered = sorted(violations)
    told = [_sentence(text, lines, *violation) for violation in ordered[:_SHOWN]]
    more = [f"... and {len(ordered) - _SHOWN} more"] if len(ordered) > _SHOWN else []
    count = f"{len(ordered)} value{'s' if len(ordered) > 1 else ''}"
    return "\n".join([f"{path}: {count} not as expected (the header is line 1). Correct the file:", *told, *more])


def _sentence(text: pd.DataFrame, lines: list[int], row: int, column: str, expected: str) -> str:
    value = text[column].iloc[row]
    where = f"  line {lines[row]}, {column} {value!r}"
    if column == "image_id" and expected.startswith("not used"):
        others = text["image_id"] == value
        return f"{where}: also on {_lines(lines, others, row)}; each image_id must occur once"
    if expected == _ONE_DX:
        lesion = text["lesion_id"].iloc[row]
        others = (text["lesion_id"] == lesion) & (text["dx"] != value)
        other_dx = ", ".join(sorted(set(text.loc[others, "dx"])))
        return f"{where}: lesion {lesion} is {other_dx} on {_lines(lines, others, row)}; expected one dx per lesion"
    return f"{where}: expected {expected}"


def _lines(lines: list[int], chosen: pd.Series, but: int) -> str:
    found = [lines[row] for row in np.flatnonzero(chosen) if row != but]
    return f"line{'s' if len(found) > 1 else ''} {', '.join(map(str, found[:5]))}{', ...' if len(found) > 5 else ''}"
