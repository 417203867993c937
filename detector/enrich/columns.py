"""The columns that `enrich` adds to an event: name, type, meaning, and the registers each needs.

This is the one place where they are declared; `docs/columns.md` is made from it. A column is null where the site does
not declare what it needs, or the event lacks the key: nothing is guessed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import polars as pl


class Column(NamedTuple):
    """One enriched column: its type, what it says in one sentence, and the registers (or parts of them) it needs."""

    dtype: pl.DataType
    meaning: str
    needs: tuple[str, ...]


_S: Final = pl.String()
_B: Final = pl.Boolean()
_I: Final = pl.Int64()

ENRICHED: Final[dict[str, Column]] = {
    # --- who acts
    "person.id": Column(_S, "The person behind the account, else the account as logged", ("accounts",)),
    "person.known": Column(_B, "The person stands in the staff register, at any time", ("staff",)),
    "person.type": Column(_S, "staff, vendor or service by the register, else as logged", ("staff",)),
    "person.dept": Column(_S, "Department on that day", ("staff.dept",)),
    "person.role": Column(_S, "Role on that day", ("staff.role",)),
    "person.company": Column(_S, "Company, for people of contractors", ("staff.company",)),
    "person.area": Column(_S, "Area in which the person lives", ("staff.area",)),
    "person.employed": Column(_B, "Between first and last day of employment, both included", ("staff.end",)),
    "person.days_after_end": Column(_I, "Days since the last day of employment; null while employed", ("staff.end",)),
    "person.days_to_end": Column(_I, "Days until a known last day of employment; null if none is known", ("staff.end",)),
    "person.days_since_transfer": Column(_I, "Days since the person came to this department from another", ("staff.dept",)),
    "person.previous_dept": Column(_S, "Department before the last transfer", ("staff.dept",)),
    "account.age_days": Column(_I, "Days since this account was first given to this person", ("accounts.valid_from",)),
    # --- rights
    "permission.granted": Column(_B, "The person may use this function of this system that day", ("permissions.function",)),
    "permission.ever": Column(_B, "The person may use it that day or could earlier", ("permissions.function",)),
    "permission.age_days": Column(_I, "Days since the permission has been held without a break", ("permissions.valid_from",)),
    "permission.ended_days": Column(_I, "Days since the permission last ended; null while it is held", ("permissions.valid_to",)),
    "permission.granted_by": Column(_S, "Who granted the permission used", ("permissions.granted_by",)),
    "permission.system": Column(_B, "The person may use some function of the system that day", ("permissions",)),
    # --- the system's own promises
    "system.known": Column(_B, "The system is declared", ("site.systems",)),
    "system.dept_allowed": Column(_B, "The person's department may use the system (or the one before, while handing over)", ("site.systems.departments", "staff.dept")),
    "system.prohibited": Column(_B, "The assessment says that this action never happens here", ("site.systems.prohibited",)),
    "system.auth_ok": Column(_B, "Log-on by the declared method; only for successful log-ons", ("site.systems.auth",)),
    "system.law_listed": Column(_B, "The legal ground of an inquiry or provision is on the declared list", ("site.systems.inquiry_items",)),
    "system.origin_allowed": Column(_B, "The data imported came from a declared department", ("site.systems.import_from",)),
    # --- whose data
    "subject.self": Column(_B, "The subject is the actor", ("staff.subject_id",)),
    "subject.own_household": Column(_B, "The subject lives in the actor's household, and is not the actor", ("staff.household_id",)),
    "subject.colleague": Column(_B, "The subject is another member of staff", ("staff.subject_id",)),
    "subject.colleague_dept": Column(_S, "Department of that colleague", ("staff.subject_id", "staff.dept")),
    "subject.neighbour": Column(_B, "The subject lives in the actor's area, and not in the actor's household", ("staff.area", "subjects.area")),
    "subject.protected": Column(_B, "The subject is shielded that day", ("subjects.protected",)),
    "subject.vip": Column(_B, "The subject is in the public eye that day", ("subjects.vip",)),
    "subject.home": Column(_S, "Area in which the subject lives: as logged, else by the register", ("subjects.area",)),
    # --- recorded reasons
    "basis.known": Column(_B, "The stated reference stands in the register", ("bases",)),
    "basis.kind": Column(_S, "What the stated reference is: application, visit, case …", ("bases.kind",)),
    "basis.matches": Column(_B, "The stated reference is for this subject, or for nobody in particular", ("bases.subject_id",)),
    "basis.open": Column(_B, "The stated reference was open, days of grace included", ("bases.opened", "bases.closed")),
    "basis.days_after_close": Column(_I, "Days since the stated reference was closed, else since the subject's last one was", ("bases.closed",)),
    "basis.any_open": Column(_B, "The subject has something open in the actor's department, whatever was stated", ("bases.subject_id", "staff.dept")),
    "basis.within_30_days": Column(_B, "The subject has something on record within 30 days before or after", ("bases.subject_id",)),
    "assignment.match": Column(_B, "The subject, or the area it lives in, is assigned to the person", ("assignments",)),
    "assignment.kind": Column(_S, "How it is assigned: primary, cover, area …", ("assignments.kind",)),
    # --- when
    "presence.leave": Column(_B, "The person was on leave", ("presence",)),
    "presence.onsite": Column(_B, "The person was on site", ("presence",)),
    "presence.overtime": Column(_B, "Overtime was ordered", ("presence",)),
    "time.hour": Column(_I, "Local hour, 0–23", ("site.time_zone",)),
    "time.date": Column(pl.Date(), "Local date", ("site.time_zone",)),
    "time.weekday": Column(_I, "Local day of the week, 1 (Monday) – 7", ("site.time_zone",)),
    "time.day_off": Column(_B, "Weekend, national or local holiday", ("site.holidays",)),
    "time.office_hours": Column(_B, "A working day, between the declared hours", ("site.office_hours", "site.holidays")),
    "emergency.active": Column(_B, "A declared emergency covers the time and the system", ("site",)),
    # --- with what
    "device.known": Column(_B, "The terminal stands in the register that day", ("devices",)),
    "device.kind": Column(_S, "terminal, kiosk or server", ("devices.kind",)),
    "device.office": Column(_S, "Office of the terminal", ("devices.office",)),
    "device.dept": Column(_S, "Department of the terminal", ("devices.dept",)),
    "device.holder": Column(_S, "Whom the terminal is given or lent to", ("devices.actor_id",)),
    "src.office": Column(_S, "Office of the terminal, else of the network of its address", ("devices.office", "site.offices")),
    "card.known": Column(_B, "The card stands in the register, at any time", ("devices.serial",)),
    "card.kind": Column(_S, "card or temporary_card", ("devices.kind",)),
    "card.valid": Column(_B, "The card is given or lent to somebody that day", ("devices.serial",)),
    "card.holder": Column(_S, "Whom the card is given or lent to that day", ("devices.actor_id",)),
    "media.registered": Column(_B, "The medium is registered that day", ("devices.serial",)),
    "media.holder": Column(_S, "Whom the medium is given or lent to that day", ("devices.actor_id",)),
    # --- contractors
    "order.covers": Column(_B, "A work order for the vendor's person or company covers system and time", ("work_orders",)),
    "contractor.approved": Column(_B, "The person's company is approved that day", ("site.contractors", "staff.company")),
    "contractor.subcontractor": Column(_B, "The person's company works for another contractor", ("site.contractors", "staff.company")),
    # --- second persons
    "target.self": Column(_B, "The account acted upon is the actor's own", ("accounts",)),
    "approver.self": Column(_B, "The second person is the actor", ("accounts",)),
    "approver.known": Column(_B, "The second person stands in the staff register", ("staff",)),
    "destination.permitted": Column(_B, "The person it went to may use this system", ("permissions",)),
    # --- words
    "label.ja": Column(_S, "The function in Japanese words", ("labels",)),
    "label.en": Column(_S, "The function in English words", ("labels",)),
}  # fmt: skip
