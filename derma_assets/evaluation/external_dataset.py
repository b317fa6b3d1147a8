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

import pandas as pd

from derma_assets.dataset.visible_files import visible_files
from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError
from derma_assets.evaluation.external_labels import Codes, codes_of, plain
from derma_assets.evaluation.external_pictures import PICTURE_SUFFIXES, PictureNames, identifier, is_picture
from derma_assets.evaluation.external_tables import TABLE_SUFFIXES, TruthTable, read_table

OWN_CLASSES = "classes.json"
# Of tables that are not read.
_OTHER_TABLES = frozenset({".xlsx", ".xls", ".ods"})
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
    folder = folder.absolute()
    everything = sorted(visible_files(folder))
    files = [path for path in everything if is_picture(path)]
    if not files:
        raise InputError(f"{folder} holds no pictures ({', '.join(sorted(PICTURE_SUFFIXES))}).")
    own = _own_classes(folder / OWN_CLASSES)
    pictures = PictureNames(files, folder)
    tables, unused = _tables(everything, pictures, own)
    truth = _truth(tables, folder)
    left: list[tuple[str, str]] = []
    if truth is not None:
        layout = str(truth.layout)
        matched = _matched(truth.rows(left), files, pictures, folder, left)
    else:
        layout = "class folders"
        matched = _class_folders(files, folder, own, left)
        unused += [f"{table.name} ({table.lacks})" for table in tables]
    matched = _without_repeats(matched, left)
    if matched.empty:
        raise InputError(_nothing_left(folder, left, unused))
    matched["lesion_id"] = _lesions(matched, tables, pictures)
    classes = {row["label"]: row["codes"] for _, row in matched.drop_duplicates("label").iterrows()}
    _refuse_overlaps(classes, folder)
    return ExternalDataset(
        layout=layout,
        truth=matched[["image_id", "lesion_id", "label"]].reset_index(drop=True),
        pictures=dict(zip(matched["image_id"], matched["path"], strict=True)),
        classes=classes,
        left_out=pd.DataFrame(left, columns=["picture", "reason"]),
    )


def _tables(files: list[Path], pictures: PictureNames, own: dict[str, Codes]) -> tuple[list[TruthTable], list[str]]:
    """Return the tables that can be read, and what is to be said of the others should they be missed."""
    tables, unused = [], []
    for path in files:
        if path.suffix.lower() in TABLE_SUFFIXES:
            try:
                tables.append(TruthTable(read_table(path), pictures, own))
            except InputError as error:
                unused.append(str(error))
        elif path.suffix.lower() in _OTHER_TABLES:
            unused.append(f"{path.name} (save it as CSV)")
    return tables, unused


def _truth(tables: list[TruthTable], folder: Path) -> TruthTable | None:
    """Return the table that says what the pictures show: one that names pictures which are there, if any does."""
    found = [table for table in tables if table.layout]
    found = [table for table in found if table.named] or found
    if len(found) > 1:
        raise InputError(
            f"{folder} has more than one table that could be the ground truth "
            f"({', '.join(table.name for table in found)}): keep one of them."
        )
    return found[0] if found else None


def _own_classes(path: Path) -> dict[str, Codes]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        own = {plain(name): tuple(code for code in CODES if code in codes) for name, codes in content.items()}
        unknown = {code for codes in content.values() for code in codes} - set(CODES)
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f'{path} must be JSON like {{"Spitz nevus": ["nv"]}}: {error}') from error
    if unknown:
        raise InputError(f"{path} names unknown diagnoses {', '.join(sorted(unknown))}; known: {', '.join(CODES)}.")
    return own


def _matched(
    rows: pd.DataFrame, files: list[Path], pictures: PictureNames, folder: Path, left: list[tuple[str, str]]
) -> pd.DataFrame:
    """Return the rows with the file that each means."""
    # A picture whose row was left out has its reason already.
    named = {path for name, _ in left for path in pictures.files_of(name)}
    paths: list[Path | None] = []
    for name in rows["name"]:
        candidates = pictures.files_of(name)
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
    return found.assign(image_id=[identifier(path, folder) for path in found["path"]])


def _class_folders(files: list[Path], folder: Path, own: dict[str, Codes], left: list[tuple[str, str]]) -> pd.DataFrame:
    """Return a row for each picture, labelled by the nearest folder above it whose name is known."""
    rows = []
    for path in files:
        above = path.relative_to(folder).parts[:-1]
        label = next((name for name in reversed(above) if codes_of(name, own) is not None), None)
        if label is None:
            where = f"folder {above[-1]!r} is no class that the model knows" if above else "it lies in no class folder"
            left.append((identifier(path, folder), where))
            continue
        rows.append((identifier(path, folder), label, codes_of(label, own), path))
    return pd.DataFrame(rows, columns=["image_id", "label", "codes", "path"])


def _without_repeats(rows: pd.DataFrame, left: list[tuple[str, str]]) -> pd.DataFrame:
    """Return each picture once; a picture that is there twice must be the same each time."""
    again = rows["image_id"].duplicated()
    different = rows.groupby("image_id")["codes"].nunique()
    contradictory = different[different > 1].index.tolist()
    if contradictory:
        raise InputError(
            f"{len(contradictory)} pictures have two different labels, for example {contradictory[0]}: "
            f"{', '.join(rows.loc[rows['image_id'] == contradictory[0], 'label'].unique())}."
        )
    left += [(image_id, "is in the table more than once; counted once") for image_id in rows.loc[again, "image_id"]]
    return rows[~again].reset_index(drop=True)


def _lesions(rows: pd.DataFrame, tables: list[TruthTable], pictures: PictureNames) -> list[str]:
    """Return the lesion of each picture, from the first table that says so."""
    lesion_of: dict[Path, str] = {}
    for table in reversed(tables):
        lesion_of |= table.lesions(pictures)
    return [lesion_of.get(path, image_id) for path, image_id in zip(rows["path"], rows["image_id"], strict=True)]


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


def _nothing_left(folder: Path, left: list[tuple[str, str]], unused: list[str]) -> str:
    reasons = pd.Series([reason for _, reason in left]).value_counts().head(_SHOWN)
    return (
        f"no picture in {folder} can be judged: "
        + "; ".join(f"{count} times {reason}" for reason, count in reasons.items())
        + f". Names of classes that are not known can be explained in {OWN_CLASSES}."
        + (f" Tables that were not used: {'; '.join(unused[:_SHOWN])}." if unused else "")
    )
