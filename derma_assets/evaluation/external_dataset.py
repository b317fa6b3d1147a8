"""Reading somebody else's data set: a folder of pictures and what they show, in one of three layouts.

| layout | recognised by |
| --- | --- |
| one-hot table (ISIC 2018 task 3, ISIC 2019) | a CSV with picture names and a column of 0 and 1 for each class |
| table of labels | a CSV with picture names and a column of class names, or of 0 and 1 |
| class folders | no such CSV; each sub-folder is named after what its pictures show |

A CSV with picture names and `lesion_id` says which pictures show the same lesion; without one each picture is taken
for a lesion of its own. `classes.json` in the folder, such as `{"Spitz nevus": ["nv"]}`, explains unknown names, and
`none` what a row of a one-hot table shows that has no 1.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError
from derma_assets.evaluation.external_labels import NO_CLASS, Codes, codes_of, codes_of_binary, one_or_zero, plain

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
OWN_CLASSES = "classes.json"
_ID_COLUMNS = ("image", "image id", "image name", "isic id", "filename", "file name", "file", "name", "id", "path")
_LABEL_COLUMNS = (
    "dx",
    "diagnosis",
    "label",
    "class",
    "category",
    "lesion type",
    "diagnosis 1",
    "benign malignant",
    "melanoma",
    "malignant",
    "target",
)
_LESION_COLUMNS = ("lesion id", "lesion", "lesionid")
_SEPARATORS = (",", ";", "\t", "|")
_SHOWN = 5


@dataclass(frozen=True)
class ExternalDataset:
    """A data set that was read.

    Attributes:
        layout: Which of the three, in words.
        truth: `image_id`, `lesion_id`, `label` (the data set's own word), one row for each picture that can be judged.
        pictures: The file of each picture by its `image_id`.
        classes: The diagnoses that each label stands for.
        left_out: `picture` and `reason`, one row for each picture or row of a table that cannot be judged.
    """

    layout: str
    truth: pd.DataFrame
    pictures: dict[str, Path]
    classes: dict[str, Codes]
    left_out: pd.DataFrame

    @property
    def groups(self) -> list[Codes]:
        """The different sets of diagnoses that the data set tells apart, in the order of `CODES`."""
        return sorted(set(self.classes.values()), key=lambda codes: [CODES.index(code) for code in codes])


def read_external(folder: Path) -> ExternalDataset:
    """Read the data set in `folder`.

    Raises:
        InputError: the folder is missing, its layout is none of the three or not clear, a picture has two different
            labels, or no picture is left that can be judged. The message says what to change.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: correct it in DERMA_EXTERNAL_DATASETS (name=folder,...).")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
    if not files:
        raise InputError(f"{folder} holds no pictures ({', '.join(sorted(PICTURE_SUFFIXES))}).")
    own = _own_classes(folder / OWN_CLASSES)
    tables = [_read_table(path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in (".csv", ".tsv")]
    found = [(layout, table) for table in tables for layout in [_layout_of(table, own)] if layout]
    if len(found) > 1:
        names = ", ".join(table.attrs["name"] for _, table in found)
        raise InputError(
            f"{folder} has more than one table that could be the ground truth ({names}): keep one of them."
        )
    left: list[tuple[str, str]] = []
    if found:
        layout, table = found[0]
        rows = (_one_hot if layout == "one-hot table" else _labels)(table, own, left)
        matched = _matched(rows, files, folder, left)
    else:
        layout = "class folders"
        matched = _class_folders(files, folder, own, left)
    matched = _without_repeats(matched, left)
    if matched.empty:
        raise InputError(_nothing_left(folder, left))
    matched["lesion_id"] = _lesions(matched, tables)
    classes = {row["label"]: row["codes"] for _, row in matched.drop_duplicates("label").iterrows()}
    _refuse_overlaps(classes, folder)
    return ExternalDataset(
        layout=layout,
        truth=matched[["image_id", "lesion_id", "label"]].reset_index(drop=True),
        pictures=dict(zip(matched["image_id"], matched["path"], strict=True)),
        classes=classes,
        left_out=pd.DataFrame(left, columns=["picture", "reason"]),
    )


def _own_classes(path: Path) -> dict[str, Codes]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text())
        own = {plain(name): tuple(code for code in CODES if code in codes) for name, codes in content.items()}
        unknown = {code for codes in content.values() for code in codes} - set(CODES)
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f'{path} must be JSON like {{"Spitz nevus": ["nv"]}}: {error}') from error
    if unknown:
        raise InputError(f"{path} names unknown diagnoses {', '.join(sorted(unknown))}; known: {', '.join(CODES)}.")
    return own


def _read_table(path: Path) -> pd.DataFrame:
    try:
        # Excel signs its files, and separates by what the country separates by.
        with path.open(encoding="utf-8-sig") as lines:
            header = lines.readline()
        separator = max(_SEPARATORS, key=header.count)
        table = pd.read_csv(path, sep=separator, dtype=str, encoding="utf-8-sig", skipinitialspace=True)
    except (ValueError, UnicodeError, pd.errors.ParserError) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from error
    table.attrs["name"] = path.name
    return table


def _column(table: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    """Return the first column of these plain names, in the order of the names."""
    by_name = {plain(column): column for column in reversed(table.columns)}
    return next((by_name[name] for name in names if name in by_name), None)


def _layout_of(table: pd.DataFrame, own: dict[str, Codes]) -> str | None:
    if _column(table, _ID_COLUMNS) is None:
        return None
    if len(_class_columns(table, own)) >= 2:
        return "one-hot table"
    return "table of labels" if _label_column(table, own) is not None else None


def _class_columns(table: pd.DataFrame, own: dict[str, Codes]) -> list[str]:
    """Return the columns of a one-hot table: all that hold numbers 0 and 1, if at least two are known classes."""
    binary = [column for column in table.columns if table[column].map(one_or_zero).notna().all()]
    known = [column for column in binary if codes_of(column, own) is not None]
    return binary if len(known) >= 2 else []


def _label_column(table: pd.DataFrame, own: dict[str, Codes]) -> str | None:
    """Return the column of labels that explains most pictures; of equals the first in the order of names."""
    explained = {}
    for name in _LABEL_COLUMNS:
        column = _column(table, (name,))
        if column is not None and column not in explained:
            known = table[column].map(_meaning(table[column], column, own))
            explained[column] = int(known.notna().sum())
    best = max(explained, key=lambda column: explained[column], default=None)
    return best


def _meaning(values: pd.Series, column: str, own: dict[str, Codes]) -> dict[object, Codes | None]:
    """Return what each value of a column of labels stands for."""
    binary = codes_of_binary(column)
    numbers = {value: one_or_zero(value) for value in values.unique()}
    if binary is not None and None not in numbers.values():
        return {value: binary[number] for value, number in numbers.items() if number is not None}
    return {value: codes_of(value, own) if pd.notna(value) else None for value in values.unique()}


def _one_hot(table: pd.DataFrame, own: dict[str, Codes], left: list[tuple[str, str]]) -> pd.DataFrame:
    columns = _class_columns(table, own)
    names = table[_column(table, _ID_COLUMNS)].to_numpy()
    chosen = table[columns].map(one_or_zero).to_numpy() == 1
    count = chosen.sum(axis=1)
    explained = codes_of(NO_CLASS, own)
    labels = np.where(count == 0, NO_CLASS, np.array(columns, dtype=object)[chosen.argmax(axis=1)])
    clear = (count == 1) | ((count == 0) & (explained is not None))
    for name, number in zip(names[~clear], count[~clear], strict=True):
        left.append((str(name), "no class is set" if number == 0 else f"{number} classes are set"))
    meaning = {**{column: codes_of(column, own) for column in columns}, NO_CLASS: explained}
    return _known(pd.DataFrame({"name": names, "label": labels})[clear], meaning, left)


def _labels(table: pd.DataFrame, own: dict[str, Codes], left: list[tuple[str, str]]) -> pd.DataFrame:
    column = _label_column(table, own)
    assert column is not None
    rows = pd.DataFrame({"name": table[_column(table, _ID_COLUMNS)], "label": table[column].fillna("")})
    meaning = _meaning(table[column], column, own)
    if codes_of_binary(column) is not None and table[column].map(one_or_zero).notna().all():
        # "1" alone would say nothing to a reader.
        rows["label"] = [f"{column} {value}" for value in table[column]]
        meaning = {f"{column} {value}": codes for value, codes in meaning.items()}
    return _known(rows, meaning, left)


def _known(
    rows: pd.DataFrame, meaning: dict[object, Codes | None] | dict[str, Codes | None], left: list[tuple[str, str]]
) -> pd.DataFrame:
    """Return the rows whose label is known, with its `codes`; the others are left out."""
    codes = pd.Series([meaning.get(label) for label in rows["label"]], index=rows.index, dtype=object)
    known = codes.notna()
    for name, label in rows.loc[~known, ["name", "label"]].itertuples(index=False):
        left.append((str(name), f"class {label!r} is none that the model knows" if label else "no class is given"))
    return rows[known].assign(codes=codes[known])


def _matched(rows: pd.DataFrame, files: list[Path], folder: Path, left: list[tuple[str, str]]) -> pd.DataFrame:
    """Return the rows with the file that each means, by path, with or without its ending, or by name alone."""
    by_key: dict[str, set[Path]] = {}
    for path in files:
        relative = path.relative_to(folder).as_posix().lower()
        for key in {relative, _stem(relative), relative.rsplit("/", 1)[-1], _stem(relative.rsplit("/", 1)[-1])}:
            by_key.setdefault(key, set()).add(path)

    def files_of(name: object) -> set[Path]:
        key = str(name).strip().replace("\\", "/").lower().removeprefix("./")
        return by_key.get(key) or by_key.get(_stem(key)) or by_key.get(_stem(key.rsplit("/", 1)[-1])) or set()

    # A picture whose row was left out has its reason already.
    named = {path for name, _ in left for path in files_of(name)}
    paths: list[Path | None] = []
    for name in rows["name"]:
        candidates = files_of(name)
        if len(candidates) > 1:
            several = ", ".join(sorted(path.relative_to(folder).as_posix() for path in candidates)[:_SHOWN])
            raise InputError(f"{folder}: {name} could be any of {several}: write the path of the picture in the table.")
        paths.append(next(iter(candidates), None))
        if not candidates:
            left.append((str(name), "there is no such picture"))
    found = rows.assign(path=pd.Series(paths, index=rows.index, dtype=object))
    found = found[found["path"].notna()]
    named |= set(found["path"])
    left += [
        (path.relative_to(folder).as_posix(), "the table says nothing of it") for path in files if path not in named
    ]
    return found.assign(image_id=[_identifier(path, folder) for path in found["path"]])


def _stem(name: str) -> str:
    head, _, suffix = name.rpartition(".")
    return head if head and f".{suffix}" in PICTURE_SUFFIXES else name


def _identifier(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _class_folders(files: list[Path], folder: Path, own: dict[str, Codes], left: list[tuple[str, str]]) -> pd.DataFrame:
    """Return a row for each picture, labelled by the nearest folder above it whose name is known."""
    rows = []
    for path in files:
        above = path.relative_to(folder).parts[:-1]
        label = next((name for name in reversed(above) if codes_of(name, own) is not None), None)
        if label is None:
            where = f"folder {above[-1]!r} is no class that the model knows" if above else "it lies in no class folder"
            left.append((_identifier(path, folder), where))
            continue
        rows.append((_identifier(path, folder), label, codes_of(label, own), path))
    return pd.DataFrame(rows, columns=["image_id", "label", "codes", "path"])


def _without_repeats(rows: pd.DataFrame, left: list[tuple[str, str]]) -> pd.DataFrame:
    """Return each picture once; a picture that is there twice must be the same each time."""
    again = rows["image_id"].duplicated()
    different = rows.groupby("image_id")["label"].nunique()
    contradictory = different[different > 1].index.tolist()
    if contradictory:
        raise InputError(
            f"{len(contradictory)} pictures have two different labels, for example {contradictory[0]}: "
            f"{', '.join(rows.loc[rows['image_id'] == contradictory[0], 'label'].unique())}."
        )
    left += [(image_id, "is in the table more than once; counted once") for image_id in rows.loc[again, "image_id"]]
    return rows[~again].reset_index(drop=True)


def _lesions(rows: pd.DataFrame, tables: list[pd.DataFrame]) -> list[str]:
    """Return the lesion of each picture, from whichever table says so."""
    lesion_of: dict[str, str] = {}
    for table in tables:
        name, lesion = _column(table, _ID_COLUMNS), _column(table, _LESION_COLUMNS)
        if name is not None and lesion is not None and name != lesion:
            known = table[[name, lesion]].dropna()
            for picture, value in known.itertuples(index=False):
                lesion_of.setdefault(_stem(str(picture).strip().lower().rsplit("/", 1)[-1]), str(value))
    return [lesion_of.get(_stem(image_id.lower().rsplit("/", 1)[-1]), image_id) for image_id in rows["image_id"]]


def _refuse_overlaps(classes: dict[str, Codes], folder: Path) -> None:
    groups = sorted(set(classes.values()))
    for number, one in enumerate(groups):
        for other in groups[number + 1 :]:
            if set(one) & set(other):
                names = [next(name for name, codes in classes.items() if codes == group) for group in (one, other)]
                raise InputError(
                    f"{folder}: the classes {names[0]!r} and {names[1]!r} overlap: both hold "
                    f"{', '.join(sorted(set(one) & set(other)))}. Say in {OWN_CLASSES} what each means."
                )


def _nothing_left(folder: Path, left: list[tuple[str, str]]) -> str:
    reasons = pd.Series([reason for _, reason in left]).value_counts().head(_SHOWN)
    return (
        f"no picture in {folder} can be judged: "
        + "; ".join(f"{count} times {reason}" for reason, count in reasons.items())
        + f". Names of classes that are not known can be explained in {OWN_CLASSES}."
    )
