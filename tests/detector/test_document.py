from detector import document


def test_columns_page_is_current():
    assert document.PAGE.read_text(encoding="utf-8") == document.page(), "run `python -m detector.document`"
