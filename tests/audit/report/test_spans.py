"""A stretch of time in words."""

from __future__ import annotations

import pytest

from audit.report import spans
from audit.wording import Words
from tests.audit.report.sections.month import at


@pytest.mark.parametrize(
    ("begin", "end", "language", "said"),
    [
        ("2026-03-01", "2026-04-01", "ja", "令和8年（2026年）3月1日（日）〜3月31日（火）"),
        ("2026-03-01", "2026-04-01", "en", "2026-03-01 (Sun) – 2026-03-31 (Tue)"),
        ("2025-12-01", "2026-02-01", "ja", "令和7年（2025年）12月1日（月）〜令和8年（2026年）1月31日（土）"),
        ("2019-04-30", "2019-05-02", "ja", "平成31年（2019年）4月30日（火）〜令和元年（2019年）5月1日（水）"),
        ("2026-03-01", "2026-03-02", "ja", "令和8年（2026年）3月1日（日）"),
    ],
)
def test_both_years_stand_beside_each_other(begin, end, language, said):
    assert spans.days(at(begin), at(end), Words(language, "Asia/Tokyo")) == said
