from xml.etree import ElementTree

from tinydl.cost.table import Table, by, in_bytes

TABLE = Table(
    "a <b>", ("layer", "n"), [("conv", "1,000"), ("a<b", "2")], ("total", "1,002"), 1, [("note", "x & y"), ("z", "1")]
)


def test_text_has_equal_columns_and_no_trailing_blanks():
    assert TABLE.text().splitlines() == [
        "layer      n", "------------", "conv   1,000", "a<b        2", "------------", "total  1,002",
        "note: x & y", "z: 1",
    ]  # fmt: skip


def test_html_is_well_formed_and_says_the_same():
    root = ElementTree.fromstring(TABLE.html().replace("details open", "details"))
    cells = [[cell.text for cell in row] for row in root.iter("tr")]
    assert cells == [["layer", "n"], ["conv", "1,000"], ["a<b", "2"], ["total", "1,002"]]
    assert [cell.get("style") for cell in root.find(".//tr")] == ["text-align:left", "text-align:right"]
    assert ["".join(item.itertext()) for item in root.iter("li")] == ["note: x & y", "z: 1"]
    assert root.find("summary/b").text == "a <b>"


def test_bytes_change_their_unit_before_a_fourth_digit():
    sizes = (1, 999, 1000, 999_949, 999_950, 1_000_000, 999_949_999, 999_950_000, 5_000_000_000)
    assert [in_bytes(n) for n in sizes] == [
        "1 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "1.0 MB", "999.9 MB", "1.0 GB", "5.0 GB",
    ]  # fmt: skip


def test_by():
    assert by([1, 28, 28]) == "1×28×28"
