"""Other people's folders, as they are: every layout, and what is wrong with them."""

import json
from pathlib import Path

import pytest
from PIL import Image

from derma_assets.diagnoses import CODES, DIAGNOSES, MALIGNANT
from derma_assets.errors import InputError
from derma_assets.evaluation.external_dataset import ExternalDataset, read_external
from derma_assets.evaluation.external_labels import codes_of, codes_of_binary, title

ISIC = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]


def _pictures(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / name)


def _one_hot(folder: Path, rows: dict[str, str], columns: list[str] = ISIC) -> None:
    lines = [",".join(["image", *columns])]
    lines += [
        ",".join([name, *("1.0" if column in classes.split() else "0.0" for column in columns)])
        for name, classes in rows.items()
    ]
    (folder / "GroundTruth.csv").write_text("\n".join(lines) + "\n")


def _labels(dataset: ExternalDataset) -> dict[str, str]:
    return dict(zip(dataset.truth["image_id"], dataset.truth["label"], strict=True))


def _reasons(dataset: ExternalDataset) -> dict[str, str]:
    return dict(zip(dataset.left_out["picture"], dataset.left_out["reason"], strict=True))


def test_isic_2018_with_its_lesion_groups(tmp_path: Path) -> None:
    _pictures(tmp_path, "Input/ISIC_1.jpg", "Input/ISIC_2.jpg", "Input/ISIC_3.jpg")
    _one_hot(tmp_path, {"ISIC_1": "MEL", "ISIC_2": "MEL", "ISIC_3": "NV"})
    (tmp_path / "LesionGroupings.csv").write_text(
        "image,lesion_id,diagnosis_confirm_type\nISIC_1,L1,histopathology\nISIC_2,L1,histopathology\nISIC_3,L2,none\n"
    )
    dataset = read_external(tmp_path)
    assert dataset.layout == "one-hot table"
    assert dataset.truth["label"].tolist() == ["MEL", "MEL", "NV"]
    assert dataset.truth["lesion_id"].tolist() == ["L1", "L1", "L2"]
    assert dataset.classes == {"MEL": ("mel",), "NV": ("nv",)}
    assert dataset.groups == [("mel",), ("nv",)]
    assert dataset.pictures["Input/ISIC_1.jpg"] == tmp_path / "Input" / "ISIC_1.jpg"
    assert dataset.left_out.empty


def test_isic_2019_has_classes_that_the_model_does_not_know(tmp_path: Path) -> None:
    _pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg")
    columns = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"]
    rows = {"a": "AK", "b": "SCC", "c": "UNK", "d": "", "e": "MEL NV", "missing": "NV"}
    _one_hot(tmp_path, rows, columns)
    dataset = read_external(tmp_path)
    assert _labels(dataset) == {"a.jpg": "AK"}
    assert dataset.classes == {"AK": ("akiec",)}
    reasons = _reasons(dataset)
    assert reasons["b"] == "class 'SCC' is none that the model knows"
    assert reasons["c"] == "class 'UNK' is none that the model knows"
    assert reasons["d"] == "no class is set"
    assert reasons["e"] == "2 classes are set"
    assert reasons["missing"] == "there is no such picture"
    assert reasons["f.jpg"] == "the table says nothing of it"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_of_labels_however_it_was_saved(tmp_path: Path, separator: str, encoding: str) -> None:
    _pictures(tmp_path, "sub/One.JPG", "two.png", "three.bmp")
    rows = [
        ("Image", "DX", "lesion_id"),
        ("sub/One.JPG", "Melanoma", "x"),
        ("two", "nv", "x"),
        ("THREE.bmp", "bkl", "y"),
    ]
    text = "\n".join(separator.join(row) for row in rows)
    (tmp_path / "truth.csv").write_text(text, encoding=encoding)
    dataset = read_external(tmp_path)
    assert dataset.layout == "table of labels"
    assert _labels(dataset) == {"sub/One.JPG": "Melanoma", "two.png": "nv", "three.bmp": "bkl"}
    assert dataset.classes == {"Melanoma": ("mel",), "nv": ("nv",), "bkl": ("bkl",)}
    assert dataset.truth["lesion_id"].tolist() == ["x", "x", "y"]


@pytest.mark.parametrize(
    ("column", "positive"), [("target", MALIGNANT), ("malignant", MALIGNANT), ("Melanoma", ("mel",))]
)
def test_a_column_of_noughts_and_ones(tmp_path: Path, column: str, positive: tuple[str, ...]) -> None:
    _pictures(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "train.csv").write_text(f"image_name,{column}\na,1\nb,0\n")
    dataset = read_external(tmp_path)
    assert dataset.classes[f"{column} 1"] == positive
    assert dataset.classes[f"{column} 0"] == tuple(code for code in CODES if code not in positive)
    assert all(picture == lesion for picture, lesion in dataset.truth[["image_id", "lesion_id"]].to_numpy())


def test_the_column_that_explains_most_is_taken(tmp_path: Path) -> None:
    _pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / "isic2020.csv").write_text(
        "image_name,diagnosis,benign_malignant\na,unknown,benign\nb,melanoma,malignant\nc,unknown,benign\n"
    )
    assert set(read_external(tmp_path).classes) == {"benign", "malignant"}


def test_a_one_hot_table_whose_last_class_is_none_of_its_columns(tmp_path: Path) -> None:
    """As ISIC 2017 has it: melanoma, seborrhoeic keratosis, and what is neither is a naevus."""
    _pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / "t.csv").write_text("image_id,melanoma,seborrheic_keratosis\na,1.0,0.0\nb,0.0,1.0\nc,0.0,0.0\n")
    assert _reasons(read_external(tmp_path)) == {"c": "no class is set"}

    (tmp_path / "classes.json").write_text(json.dumps({"none": ["nv"]}))
    dataset = read_external(tmp_path)
    assert _labels(dataset) == {"a.jpg": "melanoma", "b.jpg": "seborrheic_keratosis", "c.jpg": "none"}
    assert dataset.classes["none"] == ("nv",)
    assert dataset.left_out.empty


def test_weights_and_other_marks_beside_the_classes_are_no_classes(tmp_path: Path) -> None:
    """As the challenges' scoring has them, and flags that somebody has added."""
    _pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    (tmp_path / "t.csv").write_text(
        "image,MEL,NV,SCC,score_weight,validation_weight,is_male\n"
        "a,1.0,0.0,0.0,1.0,0.0,1\nb,0.0,1.0,0.0,1.0,1.0,0\nc,0.0,1.0,0.0,0.4,0.0,1\nd,0.0,0.0,1.0,1.0,0.0,0\n"
    )
    dataset = read_external(tmp_path)
    assert _labels(dataset) == {"a.jpg": "MEL", "b.jpg": "NV", "c.jpg": "NV"}
    assert _reasons(dataset) == {"d": "class 'SCC' is none that the model knows"}


def test_crosses_and_blanks_are_ones_and_noughts(tmp_path: Path) -> None:
    """As PH2's own table has it, saved as CSV."""
    _pictures(tmp_path, *(f"IMD00{number}/IMD00{number}.bmp" for number in range(1, 5)))
    (tmp_path / "PH2_dataset.csv").write_text(
        "Image Name;Common Nevus;Atypical Nevus;Melanoma;Asymmetry;White;Red\n"
        "IMD001;X;;;0;;X\nIMD002;;X;;1;;\nIMD003;;;X;2;X;X\nIMD004;;;;2;;\n"
    )
    dataset = read_external(tmp_path)
    assert [dataset.classes[label] for label in dataset.truth["label"]] == [("nv",), ("nv",), ("mel",)]
    assert _reasons(dataset) == {"IMD004": "no class is set"}


def test_one_blank_does_not_cost_a_column(tmp_path: Path) -> None:
    _pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / "t.csv").write_text("image,melanoma\na,1\nb,0\nc,\n")
    dataset = read_external(tmp_path)
    assert dataset.classes["melanoma 1"] == ("mel",)
    assert len(dataset.truth) == 2
    assert _reasons(dataset) == {"c": "no class is given"}


def test_classes_of_which_one_is_part_of_the_other_are_no_one_hot_table(tmp_path: Path) -> None:
    _pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / "t.csv").write_text("image,melanoma,malignant\na,1,1\nb,0,0\nc,0,1\n")
    dataset = read_external(tmp_path)
    assert [dataset.classes[label] == ("mel",) for label in dataset.truth["label"]] == [True, False, False]


@pytest.mark.parametrize("header", [",dx", "derm,dx", "no,image_path,dx", "img_id,diagnostic"])
def test_the_column_that_names_pictures_is_found_whatever_it_is_called(tmp_path: Path, header: str) -> None:
    _pictures(tmp_path, "x/a.jpg", "x/b.jpg")
    number = "7," if header.startswith("no") else ""
    (tmp_path / "t.csv").write_text(f"{header}\n{number}x/a.jpg,mel\n{number}x/b.jpg,nv\n")
    assert _labels(read_external(tmp_path)) == {"x/a.jpg": "mel", "x/b.jpg": "nv"}


def test_the_column_of_labels_is_found_whatever_it_is_called(tmp_path: Path) -> None:
    _pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / "t.csv").write_text("image,sex,histology\na,male,Melanoma in situ\nb,female,Blue naevus\nc,,wart\n")
    assert _labels(read_external(tmp_path)) == {"a.jpg": "Melanoma in situ", "b.jpg": "Blue naevus"}


def test_what_systems_and_people_leave_in_a_folder_does_no_harm(tmp_path: Path) -> None:
    data = tmp_path / "data"
    _pictures(data, "melanoma/a.jpg", "nevus/b.jfif.png")
    for name in ("melanoma/._a.jpg", "__MACOSX/._truth.csv", ".hidden/c.jpg", "notes.csv", "prices.csv"):
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).write_bytes(b"\x00\x05\x16")
    (data / "notes.csv").write_bytes(b"")
    (data / "prices.csv").write_text("Größe;Preis\n1;2\n", encoding="latin-1")
    _pictures(tmp_path / "elsewhere", "c.jpg")
    (data / "bcc").symlink_to(tmp_path / "elsewhere")
    dataset = read_external(data)
    assert _labels(dataset) == {"bcc/c.jpg": "bcc", "melanoma/a.jpg": "melanoma", "nevus/b.jfif.png": "nevus"}
    assert dataset.left_out.empty


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_tables_of_spreadsheet_programs_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    _pictures(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "t.csv").write_text("image\tdx\tclinic\na\tmel\tKöln\nb\tnv\tKöln\n", encoding=encoding)
    assert _labels(read_external(tmp_path)) == {"a.jpg": "mel", "b.jpg": "nv"}


def test_the_table_that_is_of_these_pictures_is_taken(tmp_path: Path) -> None:
    """As when the truth of every side of a challenge lies beside the pictures of one."""
    _pictures(tmp_path, "a.jpg")
    (tmp_path / "training.csv").write_text("image,dx\nx,mel\n")
    (tmp_path / "test.csv").write_text("image,dx\na,nv\n")
    assert _labels(read_external(tmp_path)) == {"a.jpg": "nv"}


def test_tables_that_were_not_used_are_named_when_nothing_can_be_judged(tmp_path: Path) -> None:
    _pictures(tmp_path, "a.jpg")
    (tmp_path / "PH2_dataset.xlsx").write_bytes(b"PK")
    (tmp_path / "t.csv").write_text("image,dx\na,wart\n")
    (tmp_path / "prices.csv").write_text("what,price\nlamp,3\n")
    with pytest.raises(InputError, match=r"class 'wart' is none that the model knows.*xlsx \(save it as CSV\)"):
        read_external(tmp_path)
    (tmp_path / "t.csv").unlink()
    with pytest.raises(InputError, match=r"prices\.csv \(no column that names pictures\)"):
        read_external(tmp_path)


@pytest.mark.parametrize(("yes", "no"), [("True", "False"), ("yes", "no"), ("1", "0"), ("1.0", "0.0")])
def test_a_column_of_words_for_noughts_and_ones(tmp_path: Path, yes: str, no: str) -> None:
    _pictures(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "t.csv").write_text(f"image,melanoma\na,{yes}\nb,{no}\n")
    dataset = read_external(tmp_path)
    assert [dataset.classes[label] == ("mel",) for label in dataset.truth["label"]] == [True, False]
    assert dataset.groups == [tuple(code for code in CODES if code != "mel"), ("mel",)]


def test_class_folders(tmp_path: Path) -> None:
    _pictures(
        tmp_path,
        "train/Common Nevus/1.jpg",
        "train/atypical_nevus/x/2.png",
        "test/Melanoma/1.jpg",
        "3.jpg",
        "test/Other/4.jpg",
    )
    dataset = read_external(tmp_path)
    assert dataset.layout == "class folders"
    assert _labels(dataset) == {
        "test/Melanoma/1.jpg": "Melanoma",
        "train/Common Nevus/1.jpg": "Common Nevus",
        "train/atypical_nevus/x/2.png": "atypical_nevus",
    }
    assert dataset.groups == [("mel",), ("nv",)]
    assert _reasons(dataset) == {
        "3.jpg": "it lies in no class folder",
        "test/Other/4.jpg": "folder 'Other' is no class that the model knows",
    }


def test_names_can_be_explained(tmp_path: Path) -> None:
    _pictures(tmp_path, "Spitz nevus/1.jpg", "Rest/2.jpg")
    (tmp_path / "classes.json").write_text(json.dumps({"spitz_nevus": ["nv"], "Rest": ["mel", "bcc"]}))
    assert read_external(tmp_path).classes == {"Spitz nevus": ("nv",), "Rest": ("bcc", "mel")}


@pytest.mark.parametrize(
    ("content", "message"), [("[]", "must be JSON"), ("{", "must be JSON"), ('{"a": ["xyz"]}', "unknown diagnoses xyz")]
)
def test_an_explanation_that_cannot_be_understood(tmp_path: Path, content: str, message: str) -> None:
    _pictures(tmp_path, "a/1.jpg")
    (tmp_path / "classes.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read_external(tmp_path)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        read_external(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no pictures"):
        read_external(tmp_path)
    _pictures(tmp_path, "strange/1.jpg", "strange/2.jpg")
    with pytest.raises(InputError, match=r"2 times folder 'strange' is no class.*classes\.json"):
        read_external(tmp_path)


def test_two_tables_that_could_both_be_meant(tmp_path: Path) -> None:
    _pictures(tmp_path, "a.jpg")
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("image,dx\na,mel\n")
    with pytest.raises(InputError, match=r"one\.csv, two\.csv"):
        read_external(tmp_path)


def test_a_name_that_could_be_two_pictures(tmp_path: Path) -> None:
    _pictures(tmp_path, "x/a.jpg", "y/a.jpg")
    (tmp_path / "t.csv").write_text("image,dx\na,mel\n")
    with pytest.raises(InputError, match=r"could be any of x/a\.jpg, y/a\.jpg"):
        read_external(tmp_path)
    (tmp_path / "t.csv").write_text("image,dx\nx/a,mel\ny/a.jpg,nv\n")
    assert _labels(read_external(tmp_path)) == {"x/a.jpg": "mel", "y/a.jpg": "nv"}


def test_repeats_are_counted_once_and_contradictions_refused(tmp_path: Path) -> None:
    _pictures(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "t.csv").write_text("image,dx\na,mel\na.jpg,mel\nb,nv\n")
    dataset = read_external(tmp_path)
    assert len(dataset.truth) == 2
    assert _reasons(dataset) == {"a.jpg": "is in the table more than once; counted once"}
    (tmp_path / "t.csv").write_text("image,dx\na,mel\na.jpg,Melanoma\nb,nv\n")
    assert _labels(read_external(tmp_path)) == {"a.jpg": "mel", "b.jpg": "nv"}
    (tmp_path / "t.csv").write_text("image,dx\na,mel\na.jpg,nv\nb,nv\n")
    with pytest.raises(InputError, match="two different labels"):
        read_external(tmp_path)


def test_classes_that_overlap_are_refused(tmp_path: Path) -> None:
    _pictures(tmp_path, "benign/1.jpg", "nevus/2.jpg")
    with pytest.raises(InputError, match="overlap"):
        read_external(tmp_path)


def test_names_of_classes() -> None:
    for code in CODES:
        assert codes_of(code) == codes_of(code.upper()) == (code,)
    assert codes_of("Bowen's disease") == ("akiec",)
    assert codes_of("Seborrhoeic  Keratosis") == ("bkl",)
    assert codes_of("non-melanoma") == tuple(code for code in CODES if code != "mel")
    assert codes_of("basal-cell_carcinoma") == ("bcc",)
    assert codes_of("carcinoma") is None
    for diagnosis in DIAGNOSES:
        assert codes_of(diagnosis.name) == codes_of(diagnosis.name.replace(" / ", "_")) == (diagnosis.code,)
    assert codes_of("NotMelanoma") == codes_of("not melanoma")
    assert codes_of("Haemangioma") == ("vasc",)
    assert codes_of_binary("score") is None
    assert [title(codes) for codes in (("nv",), MALIGNANT, ("df", "nv"))] == ["nv", "malignant", "df+nv"]
