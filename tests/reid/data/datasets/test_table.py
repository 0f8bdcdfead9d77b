from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest

from reid.data.datasets.table import read_csv
from reid.errors import UserError


@pytest.fixture
def table(tmp_path: Path, make_images) -> Path:
    make_images(tmp_path / "img", "0.jpg", "1.jpg", "2.jpg", "3.jpg")
    return tmp_path / "people.csv"


def test_all_columns_in_any_order(table, tmp_path):
    table.write_text(
        "split,pid, path ,camid\n"
        "train,anna,img/0.jpg,door\n"
        f'query,"Smith, B.",{tmp_path / "img" / "1.jpg"},yard\n'
        "\n"
        'gallery,"Smith, B.",img/2.jpg,door\n'
        "gallery,distractor,img/3.jpg,door\n"
    )
    data = read_csv(table)
    assert data.name == "people" and data.has_cameras
    assert data.identity_names == ("Smith, B.", "anna") and data.camera_names == ("door", "yard")
    found = [(Path(r.path).name, r.pid, r.camid) for r in data.train + data.query + data.gallery]
    assert found == [("0.jpg", 2, 1), ("1.jpg", 1, 2), ("2.jpg", 1, 1), ("3.jpg", 0, 1)]
    assert all(Path(r.path).is_absolute() for r in data.train + data.query)


def test_only_path_and_pid(table):
    # With a byte order mark, as spreadsheets write it.
    table.write_text("\ufeffpath,pid\nimg/0.jpg,7\nimg/1.jpg,7\nimg/2.jpg,9\nimg/3.jpg,9\n", encoding="utf-8")
    data = read_csv(table, test_share=1)
    assert not data.has_cameras
    assert [Path(record.path).name for record in data.query] == ["0.jpg", "2.jpg"]
    assert [Path(record.path).name for record in data.gallery] == ["1.jpg", "3.jpg"]


def test_accents_written_as_on_a_mac_are_the_same_names(table):
    rows = [f"img/{number}.jpg,{normalize(form, 'Jürgen,Süd')}" for number, form in enumerate(("NFC", "NFD"))]
    table.write_text("\n".join(["path,pid,camid", *rows]), encoding="utf-8")
    data = read_csv(table, test_share=0)
    assert (data.identity_names, data.camera_names) == (("Jürgen",), ("Süd",))


BAD = {
    "line 1: column 'path' is missing": "",
    "line 1: column 'pid' is missing": "path,camid\nimg/0.jpg,1\n",
    "line 1: unknown column 'camip'; nearest: camid": "path,pid,camip\n",
    "line 1: columns are separated by ';'; save the table with commas": "path;pid\nimg/0.jpg;1\n",
    "line 1: column 'pid' occurs twice": "path,pid,pid\n",
    "line 3: 3 values, but the header has 2 columns": "path,pid\nimg/0.jpg,1\nimg/1.jpg,1,1\n",
    "line 2: path or pid is empty": "path,pid\nimg/0.jpg, \n",
    "line 2: split is 'test'; it must be one of train, query, gallery": "path,pid,split\nimg/0.jpg,1,test\n",
    "line 2: image .*gone.jpg does not exist; correct the path, which is relative to": "path,pid\nimg/gone.jpg,1\n",
    "line 2: image .*gone.jpg does not exist; write its path with /": "path,pid\nimg\\gone.jpg,1\n",
    "line 3: image img/../img/0.jpg is already in line 2": "path,pid\nimg/0.jpg,1\nimg/../img/0.jpg,2\n",
    "line 3 has no camera": "path,pid,camid\nimg/0.jpg,1,1\nimg/1.jpg,1,\n",
    "line 2 has no part": "path,pid,split\nimg/0.jpg,1,\nimg/1.jpg,2,train\n",
    "is not a UTF-8 CSV file": 'path,pid\n"img/0.jpg,1\n',
    "contains no image": "path,pid\n",
}


@pytest.mark.parametrize("message", BAD)
def test_mistakes_name_the_line(table, message):
    table.write_text(BAD[message])
    with pytest.raises(UserError, match=message) as caught:
        read_csv(table)
    assert "people" in str(caught.value) and "\n" not in str(caught.value)


def test_file_that_is_missing_or_no_text(table):
    with pytest.raises(UserError, match="people.csv does not exist"):
        read_csv(table)
    table.write_bytes(b"path,pid\n\xff\xfe\x00,1\n")
    with pytest.raises(UserError, match="is not a UTF-8 CSV file .*; save the table as CSV in UTF-8$"):
        read_csv(table)
    with pytest.raises(UserError, match="cannot be read"):
        read_csv(table.parent)
