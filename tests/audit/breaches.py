"""One broken promise each: what an office does that a control must notice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.audit.office import DISASTER, VENDORS, WELFARE, WORKING, Office, at

NOON = at(WORKING[8], "12:00:00")


def _password_only(office: Office) -> None:
    office.event(NOON, WELFARE[0], "welfare", "logon", source_id="welfare-auth", auth_method="password")


def _registers_without_right(office: Office) -> None:
    office.event(
        NOON, WELFARE[9], "welfare", "register", op_code="WE400", resource_class="mynumber", approver_id=WELFARE[0]
    )


def _registers_alone(office: Office) -> None:
    office.event(
        NOON, WELFARE[0], "welfare", "register", op_code="WE400", resource_class="mynumber", approver_id=WELFARE[0]
    )


def _former_staff_reads(office: Office) -> None:
    person = next(row for row in office.registers["staff"] if row["actor_id"] == WELFARE[3])
    person["end"] = (WORKING[4] - timedelta(days=1)).isoformat()


def _silent_welfare(office: Office) -> None:
    _silence(office, "welfare-auth")


def _silent_disaster(office: Office) -> None:
    _silence(office, "disaster-media")


def _silence(office: Office, source: str) -> None:
    begin, end = at(WORKING[12], "00:00:00"), at(WORKING[12], "23:59:59")
    office.events = [e for e in office.events if e["source.id"] != source or not begin <= e["time.occurred"] <= end]


def _count(what: str, system: str, value: int) -> Callable[[Office], None]:
    def change(office: Office) -> None:
        row = next(r for r in office.registers["counts"] if r["what"] == what and r["system"] == system)
        row["value"] = value

    return change


def _serious_accident(office: Office) -> None:
    office.registers["incidents"][0]["serious"] = 1


def _inquires_on_other_ground(office: Office) -> None:
    office.event(NOON, WELFARE[0], "welfare", "inquire", op_code="WE310", basis_law="T99")


def _function_without_right(office: Office) -> None:
    office.registers["permissions"] = [
        row | {"function": "DS110"} if row["actor_id"] == DISASTER[1] else row
        for row in office.registers["permissions"]
    ]


def _right_in_other_department(office: Office) -> None:
    row = next(row for row in office.registers["staff"] if row["actor_id"] == DISASTER[40])
    row["dept"] = "zeimu"


def _never_logs_off(office: Office) -> None:
    office.event(NOON, f"d.{DISASTER[30]}", "disaster", "logon", auth_method="password")


def _two_devices_at_once(office: Office) -> None:
    session = next(s for s in office.sessions if s["system.id"] == "disaster")
    office.sessions.append(session | {"session": "w-second", "first": session["first"] + 1, "src.device": "KITA09"})


def _account_issued_by_others(office: Office) -> None:
    row = next(row for row in office.registers["accounts"] if row["account"] == "kanri1")
    row["issued_by"] = WELFARE[0]


def _unregistered_medium(office: Office) -> None:
    office.event(NOON, f"d.{DISASTER[0]}", "media", "connect", source_id="disaster-media", media_id="USB-9999")


def _copy_without_approval(office: Office) -> None:
    office.event(NOON, f"d.{DISASTER[7]}", "media", "copy", source_id="disaster-media", media_id="USB-0012")


def _many_vendors(office: Office) -> None:
    for number in range(10):
        actor = f"V30{number:02}"
        office.registers["staff"].append(office.registers["staff"][-1] | {"actor_id": actor})
        office.event(NOON + number, actor, "disaster", "config", op_code="DS910")


def _unapproved_company(office: Office) -> None:
    row = next(row for row in office.registers["staff"] if row["actor_id"] == VENDORS[0])
    row["company"] = "無届ソフト"


def _deletes_without_record(office: Office) -> None:
    office.event(NOON, f"d.{DISASTER[4]}", "disaster", "delete", op_code="DS300")


def _provides(office: Office) -> None:
    office.event(NOON, f"d.{DISASTER[4]}", "disaster", "provide", op_code="DS400")


def _inquires(office: Office) -> None:
    office.event(NOON, f"d.{DISASTER[4]}", "disaster", "inquire", op_code="DS410")


def _too_few_users(office: Office) -> None:
    office.registers["permissions"] = [
        row for row in office.registers["permissions"] if row["actor_id"] not in DISASTER[20:40]
    ]


def _imports_from_elsewhere(office: Office) -> None:
    office.event(NOON, DISASTER[0], "disaster", "import", op_code="DS200", origin="seikatsu", channel="lgwan")


BREACHES: dict[str, Callable[[Office], None]] = {
    "kanagawa-9/P1": _password_only,
    "kanagawa-9/P2": _registers_without_right,
    "kanagawa-9/P3": _registers_alone,
    "kanagawa-9/P4": _former_staff_reads,
    "kanagawa-9/P5": _silent_welfare,
    "kanagawa-9/P6": _count("subjects on file", "welfare", 10_000),
    "kanagawa-9/P7": _count("permitted handlers", "welfare", 500),
    "kanagawa-9/P8": _serious_accident,
    "kanagawa-9/P9": _inquires_on_other_ground,
    "sakai-48/P1": _function_without_right,
    "sakai-48/P2": _right_in_other_department,
    "sakai-48/P3": _never_logs_off,
    "sakai-48/P4": _two_devices_at_once,
    "sakai-48/P5": _account_issued_by_others,
    "sakai-48/P6": _unregistered_medium,
    "sakai-48/P7": _copy_without_approval,
    "sakai-48/P8": _many_vendors,
    "sakai-48/P9": _unapproved_company,
    "sakai-48/P10": _deletes_without_record,
    "sakai-48/P11": _provides,
    "sakai-48/P12": _inquires,
    "sakai-48/P13": _too_few_users,
    "sakai-48/P14": _count("subjects on file", "disaster", 99_999),
    "sakai-48/P15": _imports_from_elsewhere,
    "sakai-48/P16": _silent_disaster,
}
