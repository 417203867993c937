"""`site.toml` of the fictional office."""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

from simulator.population import CONTRACTOR, DEPARTMENTS, DISASTER_DEPARTMENTS, NETWORKS, SUBCONTRACTOR
from simulator.world import World

HANDOVER_DAYS: Final = 5


def wareki(day: date) -> str:
    """A date as registers write it: R8.4.1."""
    era, before = ("R", 2018) if day >= date(2019, 5, 1) else ("H", 1988)
    return f"{era}{day.year - before}.{day.month}.{day.day}"


def moment(ms: int) -> str:
    """A moment in Tokyo to the minute."""
    return str(
        pl.select(pl.from_epoch(pl.lit(ms + 9 * 3_600_000), time_unit="ms").dt.strftime("%Y-%m-%d %H:%M")).item()
    )


def declaration(world: World) -> str:
    """The text of the file."""

    def local(ms: int) -> str:
        return moment(ms).replace(" ", "T") + ":00+09:00"

    offices = "\n".join(
        f'[[offices]]\nid = "{name}"\nname = "{label}"\nnetwork = "10.{NETWORKS[name]}.0.0/16"\n'
        for name, label in (("honcho", "本庁舎"), ("kita", "北支所"), ("minami", "南支所"))
    )
    travel = "\n".join(
        f'[[travel]]\nbetween = ["{a}", "{b}"]\nminutes = {m}\n'
        for a, b, m in (("honcho", "kita", 35), ("honcho", "minami", 30), ("kita", "minami", 50))
    )
    departments = "\n".join(f'{name} = "{label}"' for name, label in DEPARTMENTS.items())
    allowed = ", ".join(f'"{name}"' for name in (*DISASTER_DEPARTMENTS, "joho"))
    return f"""name = "架空町"
time_zone = "Asia/Tokyo"
subjects_are_tokens = false

[office_hours]
from = "08:30"
to = "17:15"

[holidays]
country = "JP"

[limits]
export_rows_needing_approval = 100
idle_min = 15
heartbeat_s = 900
handover_days = {HANDOVER_DAYS}
grace_days = 7
dormant_days = 180
inquiry_items = ["T42", "T43"]

[keys]
site = "keys/site.key"

[[emergencies]]
name = "地震対応 第1号"
from = "{local(world.when.quake[0])}"
to = "{local(world.when.quake[1])}"
systems = ["disaster"]

[[contractors]]
company = "{CONTRACTOR}"
approved = true
approved_on = "R7.4.1"
application_ref = "契約07-118"
systems = ["welfare", "disaster"]
max_handlers = 9

[[contractors]]
company = "{SUBCONTRACTOR}"
approved = true
approved_on = "R7.9.16"
application_ref = "再委託07-003"
systems = ["disaster"]
subcontractor_of = "{CONTRACTOR}"
max_handlers = 4

{offices}
{travel}
[systems.welfare]
name = "生活保護システム"
pia = "kanagawa-9"
auth = "card+password"
sources = ["welfare-ops", "auth-card"]
departments = ["seikatsu", "joho"]
inquiry_items = ["T42", "T43"]
provision_items = []

[systems.disaster]
name = "被災者台帳システム"
pia = "sakai-48"
auth = "password"
sources = ["disaster-ops", "file-server", "syslog"]
departments = [{allowed}]
prohibited = ["provide", "inquire", "send"]
import_from = ["shiminzei", "shimin"]

[departments]
{departments}
"""
