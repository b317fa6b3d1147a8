"""Reading the tables in somebody else's folder: which column names pictures, and which say what they show.

What a column is called decides only between columns that say as much: a table is read by what is in it.
"""

import codecs
from pathlib import Path

import numpy as np
import pandas as pd

from derma_assets.errors import InputError
from derma_assets.evaluation.external_labels import NO_CLASS, Codes, codes_of, codes_of_binary, one_or_zero, plain
from derma_assets.evaluation.external_pictures import PictureNames

TABLE_SUFFIXES = frozenset({".csv", ".tsv"})
ONE_HOT, OF_LABELS = "one-hot table", "table of labels"

_NAME_COLUMNS = (
    "image",
    "image id",
    "image name",
    "isic id",
    "filename",
    "file name",
    "image filename",
    "image file",
    "image path",
    "img",
    "img id",
    "picture",
    "photo",
    "file",
    "name",
    "id",
    "path",
)
_LABEL_COLUMNS = (
    "dx",
    "diagnosis",
    "diagnostic",
    "label",
    "class",
    "category",
    "lesion type",
    "ground truth",
    "diagnosis 3",
    "diagnosis 2",
    "diagnosis 1",
    "benign malignant",
    "melanoma",
    "malignant",
    "target",
)
_LESION_COLUMNS = ("lesion id", "lesion", "lesionid")
_SEPARATORS = (",", ";", "\t", "|")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_table(path: Path) -> pd.DataFrame:
    """Return a table as text, however a spreadsheet program saved it; its `attrs` have its file's `name`.

    Raises:
        InputError: it is no table.
    """
    try:
        encoding = _encoding(path)
        with path.open(encoding=encoding) as lines:
            header = lines.readline()
        # A spreadsheet program separates by what its country separates by.
        separator = max(_SEPARATORS, key=header.count)
        table = pd.read_csv(path, sep=separator, dtype=str, encoding=encoding, skipinitialspace=True)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from error
    table.attrs["name"] = path.name
    return table


def _encoding(path: Path) -> str:
    content = path.read_bytes()
    if content.startswith(_UTF_16):
        return "utf-16"
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


class TruthTable:
    """A table of somebody's folder, and what its columns are.

    Attributes:
        name: Of its file.
        table: As `read_table` returns it.
        name_column: The column that names pictures; None if there is none.
        named: How many of its different names mean a picture of the folder.
    """

    def __init__(self, table: pd.DataFrame, pictures: PictureNames, own: dict[str, Codes]) -> None:
        """Look at a table.

        Args:
            table: As `read_table` returns it.
            pictures: Those of the folder.
            own: Names of classes that the data set itself explains, plain.
        """
        self.name: str = table.attrs["name"]
        self.table = table
        self._own = own
        self.name_column, self.named = _name_column(table, pictures)
        self._marks = _class_marks(table, own)
        self._label_column = None if self._marks else _label_column(table, self.name_column, own)

    @property
    def layout(self) -> str | None:
        """`ONE_HOT` or `OF_LABELS`; None for a table that does not say what pictures show."""
        if self.name_column is None:
            return None
        return ONE_HOT if self._marks else OF_LABELS if self._label_column is not None else None

    @property
    def lacks(self) -> str:
        """What is missing where there is no layout, for a person."""
        return "no column that names pictures" if self.name_column is None else "no column of classes that are known"

    def rows(self, left: list[tuple[str, str]]) -> pd.DataFrame:
        """Return `name`, `label` and `codes` of each row whose class is known; of others add name and reason to `left`.

        Call it on a table that has a layout.
        """
        return self._one_hot(left) if self._marks else self._labels(left)

    def lesions(self, pictures: PictureNames) -> dict[Path, str]:
        """Return the lesion that each picture shows, if the table says so."""
        column = named_column(self.table, _LESION_COLUMNS)
        if self.name_column is None or column is None or column == self.name_column:
            return {}
        known = self.table[[self.name_column, column]].dropna()
        return {path: str(lesion) for name, lesion in known.to_numpy() for path in pictures.files_of(name)}

    def _one_hot(self, left: list[tuple[str, str]]) -> pd.DataFrame:
        columns = list(self._marks)
        names = self.table[self.name_column].to_numpy()
        chosen = np.stack([*self._marks.values()], axis=1)
        count = chosen.sum(axis=1)
        explained = codes_of(NO_CLASS, self._own)
        labels = np.where(count == 0, NO_CLASS, np.array(columns, dtype=object)[chosen.argmax(axis=1)])
        clear = (count == 1) | ((count == 0) & (explained is not None))
        for name, number in zip(names[~clear], count[~clear], strict=True):
            left.append((str(name), "no class is set" if number == 0 else f"{number} classes are set"))
        meaning = {**{column: codes_of(column, self._own) for column in columns}, NO_CLASS: explained}
        return _known(pd.DataFrame({"name": names, "label": labels})[clear], meaning, left)

    def _labels(self, left: list[tuple[str, str]]) -> pd.DataFrame:
        column = self._label_column
        assert column is not None
        values = self.table[column]
        meaning = _meaning(values, column, self._own)
        labels = values.fillna("")
        if _binary_meaning(values, column) is not None:
            # "1" alone would say nothing to a reader.
            labels = labels.where(labels == "", f"{column} " + labels)
            meaning = {f"{column} {value}": codes for value, codes in meaning.items()}
        return _known(pd.DataFrame({"name": self.table[self.name_column], "label": labels}), meaning, left)


def named_column(table: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    """Return the first column of these plain names, in the order of the names."""
    return next(iter(_named_columns(table, names)), None)


def _named_columns(table: pd.DataFrame, names: tuple[str, ...]) -> list[str]:
    by_name = {plain(column): column for column in reversed(table.columns)}
    return [by_name[name] for name in names if name in by_name]


def _name_column(table: pd.DataFrame, pictures: PictureNames) -> tuple[str | None, int]:
    """Return the column that names most pictures, and how many; of equals the first in the order of names.

    A column of another name is taken if it names pictures and none that is called so does.
    """

    def named(column: str) -> tuple[int, int]:
        values = table[column].dropna().unique()
        return sum(bool(pictures.files_of(value)) for value in values), len(values)

    usual = {column: named(column)[0] for column in _named_columns(table, _NAME_COLUMNS)}
    best = max(usual, key=lambda column: usual[column], default=None)
    if best is not None and usual[best]:
        return best, usual[best]
    others = {column: named(column) for column in table.columns if column not in usual}
    mostly = {column: count for column, (count, of) in others.items() if count and 2 * count >= of}
    other = max(mostly, key=lambda column: mostly[column], default=None)
    return (best, 0) if other is None else (other, mostly[other])


def _class_marks(table: pd.DataFrame, own: dict[str, Codes]) -> dict[str, np.ndarray]:
    """Return the columns of a one-hot table with (n,) bool of each: which rows are marked; {} if it is none.

    A table is one-hot if at least two of its columns of 0 and 1 are named after known classes. Another such column is a
    class that the model does not know, unless it is marked beside a known one: then it says something else, as weights,
    sex or the colours of a lesion do.
    """
    marks = {column: _marks(table[column]) for column in table.columns}
    known = {column: one for column, one in marks.items() if one is not None and codes_of(column, own) is not None}
    if len(known) < 2 or _told_twice(known, own):
        return {}
    taken = np.any([*known.values()], axis=0)
    return {
        column: one for column, one in marks.items() if one is not None and (column in known or not (one & taken).any())
    }


def _marks(values: pd.Series) -> np.ndarray | None:
    """Return which rows of a column of 0 and 1 are 1, (n,) bool; None for another column. What is blank is 0."""
    numbers = values.map(one_or_zero)
    written = values.notna()
    return None if not written.any() or numbers[written].isna().any() else (numbers == 1).to_numpy()


def _told_twice(known: dict[str, np.ndarray], own: dict[str, Codes]) -> bool:
    """Return whether rows have two classes of which one is a part of the other: `melanoma` and `malignant`."""
    of = {column: set(codes_of(column, own) or ()) for column in known}
    columns = list(known)
    return any(
        of[one] & of[other] and (known[one] & known[other]).any()
        for number, one in enumerate(columns)
        for other in columns[number + 1 :]
    )


def _label_column(table: pd.DataFrame, name_column: str | None, own: dict[str, Codes]) -> str | None:
    """Return the column of labels that explains most pictures; of equals the first in the order of names.

    A column of another name is taken if it explains most of its rows and none that is called so explains any.
    """

    def explained(column: str) -> int:
        return int(table[column].map(_meaning(table[column], column, own)).notna().sum())

    columns = _named_columns(table, _LABEL_COLUMNS)
    usual = {column: explained(column) for column in columns if column != name_column}
    best = max(usual, key=lambda column: usual[column], default=None)
    if best is not None and usual[best]:
        return best
    others = {column: explained(column) for column in table.columns if column not in (name_column, *usual)}
    mostly = {column: count for column, count in others.items() if count and 2 * count >= table[column].count()}
    return max(mostly, key=lambda column: mostly[column], default=best)


def _binary_meaning(values: pd.Series, column: str) -> dict[int, Codes] | None:
    """Return what 0 and 1 stand for in a column of them whose name tells; None for another column."""
    return codes_of_binary(column) if values.dropna().map(one_or_zero).notna().all() else None


def _meaning(values: pd.Series, column: str, own: dict[str, Codes]) -> dict[object, Codes | None]:
    """Return what each value of a column of labels stands for."""
    binary = _binary_meaning(values, column)
    written = values.dropna().unique()
    if binary is not None:
        numbers = {value: one_or_zero(value) for value in written}
        return {value: binary[number] for value, number in numbers.items() if number is not None}
    return {value: codes_of(value, own) for value in written}


def _known(
    rows: pd.DataFrame, meaning: dict[object, Codes | None] | dict[str, Codes | None], left: list[tuple[str, str]]
) -> pd.DataFrame:
    """Return the rows whose label is known, with its `codes`; the others are left out."""
    codes = pd.Series([meaning.get(label) for label in rows["label"]], index=rows.index, dtype=object)
    known = codes.notna()
    for name, label in rows.loc[~known, ["name", "label"]].itertuples(index=False):
        left.append((str(name), f"class {label!r} is none that the model knows" if label else "no class is given"))
    return rows[known].assign(codes=codes[known])
