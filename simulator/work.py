"""What people do all day: kinds of work items, how often each job meets them, and the screens each one leads through."""

from __future__ import annotations

from typing import Final, NamedTuple


class Step(NamedTuple):
    """One screen of a work item.

    Attributes:
        op: Function code.
        chance: How often the step is taken at all.
        gap_s: Median seconds until the next step.
        who: `S` the item's subject, `H` somebody else of the household, `-` nobody.
        query: What a search is by.
        rows: Typical number of rows; 1 for a record.
    """

    op: str
    chance: float = 1.0
    gap_s: float = 20.0
    who: str = "S"
    query: str = ""
    rows: float = 1.0


class Kind(NamedTuple):
    """A kind of work item: whose data, for what recorded reason, through which screens.

    Attributes:
        pool: Where the subject comes from: own (caseload), section, welfare, resident, recent (application waiting for
            approval), pay (list worked off in order), damaged, none.
        basis: Kind of basis in the register, or empty: a caseload needs none.
    """

    name: str
    pool: str
    basis: str
    purpose: str
    steps: tuple[Step, ...]


KINDS: Final[tuple[Kind, ...]] = (
    Kind("review", "own", "", "", (
        Step("WE101", 0.7, 7, "S", "id"), Step("WE110", 1, 55), Step("WE120", 0.45, 20, "H"), Step("WE300", 0.3, 35),
        Step("WE130", 0.5, 140), Step("WE600", 0.07, 30, rows=2),
    )),
    Kind("visit", "own", "visit", "visit", (
        Step("WE140", 0.3, 25, "-", rows=12), Step("WE110", 1, 60), Step("WE120", 0.4, 25, "H"), Step("WE130", 1, 210),
    )),
    Kind("phone", "section", "phone", "reception", (
        Step("WE102", 1, 12, "-", "name", 6), Step("WE100", 1, 45), Step("WE110", 0.5, 60), Step("WE130", 0.25, 80),
    )),
    Kind("change", "own", "application", "", (
        Step("WE101", 0.5, 8, "S", "id"), Step("WE110", 0.8, 40), Step("WE310", 0.3, 30), Step("WE300", 0.6, 40),
        Step("WE210", 1, 160), Step("WE600", 0.25, 25, rows=2),
    )),
    Kind("intake", "resident", "application", "reception", (
        Step("WE102", 1, 14, "-", "name", 5), Step("WE103", 0.2, 18, "-", "address", 9), Step("WE100", 1, 50),
        Step("WE120", 0.5, 25, "H"), Step("WE200", 0.8, 240),
    )),
    Kind("consult", "welfare", "visit", "reception", (
        Step("WE102", 1, 12, "-", "name", 5), Step("WE100", 1, 60), Step("WE110", 0.6, 90),
    )),
    Kind("mynumber", "welfare", "application", "reception", (
        Step("WE100", 1, 30), Step("WE410", 0.5, 25), Step("WE400", 1, 90),
    )),
    Kind("confirm", "given", "application", "", (Step("WE405", 1, 40),)),
    Kind("approve", "recent", "given", "", (Step("WE110", 0.8, 45), Step("WE120", 0.3, 20, "H"), Step("WE220", 1, 40))),
    Kind("oversee", "section", "", "", (Step("WE140", 0.3, 30, "-", rows=40), Step("WE110", 1, 80), Step("WE130", 0.15, 90))),
    Kind("pay", "pay", "payment day", "payment", (Step("WE500", 0.06, 40, "-", rows=180), Step("WE300", 0.15, 25), Step("WE520", 1, 30))),
    Kind("correct", "welfare", "correction", "payment", (Step("WE110", 1, 60), Step("WE300", 0.5, 40), Step("WE520", 0.6, 90))),
    Kind("returned", "resident", "list", "", (Step("WE103", 1, 14, "-", "address", 14), Step("WE100", 1, 30), Step("WE100", 0.3, 20, "H"))),
    Kind("letters", "welfare", "list", "", (Step("WE101", 0.6, 8, "S", "id"), Step("WE600", 1, 25, rows=1))),
    Kind("figures", "none", "", "", (Step("WE150", 1, 90, "-", rows=60), Step("WE600", 0.2, 30, "-", rows=3))),
    Kind("enquiry", "resident", "phone", "reception", (
        Step("DS101", 1, 15, "-", "name", 6), Step("DS110", 1, 50), Step("DS120", 0.3, 20, "H"),
    )),
    Kind("upkeep", "resident", "survey", "", (Step("DS103", 0.8, 9, "S", "id"), Step("DS110", 1, 30), Step("DS140", 0.9, 90))),
    Kind("damage", "damaged", "damage report", "reception", (
        Step("DS101", 0.7, 12, "-", "name", 5), Step("DS102", 0.3, 15, "-", "address", 12), Step("DS110", 1, 40),
        Step("DS120", 0.3, 15, "H"), Step("DS130", 0.9, 260),
    )),
    Kind("safety", "damaged", "survey", "survey", (
        Step("DS102", 0.6, 12, "-", "address", 10), Step("DS110", 1, 25), Step("DS110", 0.5, 18, "H"), Step("DS140", 0.9, 70),
    )),
    Kind("certificate", "damaged", "application", "reception", (Step("DS103", 0.7, 8, "S", "id"), Step("DS110", 1, 35), Step("DS150", 1, 60))),
    Kind("relief", "damaged", "application", "payment", (Step("DS110", 1, 45), Step("DS120", 0.3, 20, "H"), Step("DS180", 1, 120))),
    Kind("evacuees", "none", "", "", (Step("DS160", 1, 60, "-", rows=70),)),
)  # fmt: skip
NUMBER: Final = {kind.name: place for place, kind in enumerate(KINDS)}

# Job: work items an hour, and their mixture.
JOBS: Final[dict[str, tuple[float, dict[str, float]]]] = {
    "caseworker": (1.9, {"review": 0.55, "visit": 0.2, "phone": 0.15, "change": 0.1}),
    "supervisor": (1.8, {"approve": 0.45, "oversee": 0.4, "phone": 0.15}),
    "reception": (2.6, {"intake": 0.38, "consult": 0.4, "mynumber": 0.12, "phone": 0.1}),
    "payment": (2.2, {"correct": 0.35, "returned": 0.2, "letters": 0.3, "mynumber": 0.05, "figures": 0.1}),
    "payment_day": (13.0, {"pay": 0.94, "correct": 0.05, "figures": 0.01}),
    "manager": (0.6, {"approve": 0.7, "figures": 0.3}),
    "ledger": (0.22, {"enquiry": 0.4, "upkeep": 0.55, "evacuees": 0.05}),
    "ledger_quake": (1.6, {"damage": 0.42, "safety": 0.3, "certificate": 0.18, "relief": 0.05, "evacuees": 0.05}),
    "none": (0.0, {"figures": 1.0}),
}
# Basis kind: prefix of the number; days that it is opened before and closed after the access.
BASES: Final[dict[str, tuple[str, float, float]]] = {
    "application": ("SEI", 1.2, 14.0),
    "visit": ("HOM", 0.3, 3.0),
    "phone": ("TEL", 0.01, 1.0),
    "correction": ("TEI", 1.0, 5.0),
    "list": ("LST", 2.0, 6.0),
    "survey": ("CHO", 1.0, 5.0),
    "payment day": ("SHI", 2.0, 3.0),
    "damage report": ("HIG", 0.02, 30.0),
}
UNRECORDED: Final = 0.08  # of proper accesses that nobody wrote down a reason for
TIMEOUT_MS: Final = {"welfare": 20 * 60_000, "disaster": 30 * 60_000}
