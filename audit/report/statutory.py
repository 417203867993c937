"""By when a leak has to be reported to the Personal Information Protection Commission (個人情報保護委員会).

A first report (速報) without delay, which the commission takes as three to five days, a full one (確報) within 30 days, or 60 where it may
have been done with wrongful intent: rule 8 of 個人情報の保護に関する法律施行規則 and, for My Numbers, the rule on reports under article
29-4 of the My Number Act (平成27年特定個人情報保護委員会規則第5号); https://www.ppc.go.jp/personalinfo/legal/leakAction/. Days are calendar
days, and the day on which it became known is the first, which is the earliest way to count. Where the last day of a full report is one on
which national authorities are closed it is the next that is not (行政機関の休日に関する法律, articles 1 and 2).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

FIRST_REPORT: Final = (3, 5)
FULL_REPORT: Final = 30
FULL_REPORT_WRONGFUL: Final = 60


def counted(known: date, n: int) -> date:
    """The n-th day, of which the day on which it became known is the first."""
    return known + timedelta(days=n - 1)


def closed(day: date) -> bool:
    """Whether national authorities are closed."""
    # Imported here because it takes a tenth of a second that most commands need not spend.
    import holidays

    year_end = (day.month, day.day) >= (12, 29) or (day.month, day.day) <= (1, 3)
    return day.weekday() >= 5 or year_end or day in holidays.country_holidays("JP", years=day.year)


def due(known: date, n: int) -> date:
    """The n-th day, or the next on which national authorities are open."""
    day = counted(known, n)
    while closed(day):
        day += timedelta(days=1)
    return day
