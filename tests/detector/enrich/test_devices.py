from registers.site import Site
from tests.detector.offices import at, end, one, site

TOML = """
[[offices]]
id = "honcho"
network = "10.11.0.0/16"
[[offices]]
id = "annex"
network = "10.11.7.0/24"
[[offices]]
id = "kita"
network = "2001:db8::/32"
"""
DEVICES = [
    {"device_id": "HO0041", "kind": "terminal", "office": "honcho", "dept": "zei", "ip": "10.11.7.9", "actor_id": "a1"},
    {"device_id": "HO0099", "kind": "kiosk", "office": "honcho", "valid_to": end("2026-03-31")},
    {"device_id": "IC-1", "kind": "card", "serial": "C-1", "actor_id": "a1"},
    {"device_id": "IC-2", "kind": "temporary_card", "serial": "C-2", "actor_id": "a2", "valid_from": at("2026-04-14 09:00"), "valid_to": at("2026-04-14 18:00")},
    {"kind": "temporary_card", "serial": "C-2", "actor_id": "a3", "valid_from": at("2026-04-20 09:00"), "valid_to": at("2026-04-20 18:00")},
    {"device_id": "USB-1", "kind": "media", "actor_id": "a1", "valid_to": end("2026-04-14")},
]  # fmt: skip
OF = site(TOML, devices=DEVICES)


def row(prefix, names, of=OF, **keys):
    found = one(of, **keys)
    return tuple(found[f"{prefix}.{name}"] for name in names)


def test_terminals():
    names = ("known", "kind", "office", "dept", "holder")

    assert row("device", names, src__device="HO0041") == (True, "terminal", "honcho", "zei", "a1")
    assert row("device", names, src__device="ho0041") == (True, "terminal", "honcho", "zei", "a1")
    assert row("device", names, src__device="HO0099") == (False, None, None, None, None)  # given back
    assert row("device", names, src__device="X") == (False, None, None, None, None)
    assert row("device", names) == (None,) * 5
    assert row("device", names, of=Site.none(), src__device="HO0041") == (None,) * 5
    assert row("device", ("known",), of=site(devices=DEVICES[2:3]), src__device="X") == (None,)


def test_a_terminal_by_its_address():
    assert row("device", ("known", "kind"), src__ip="10.11.7.9") == (True, "terminal")
    assert row("device", ("known", "kind"), src__ip="10.11.7.8") == (None, None)
    assert row("device", ("known", "kind"), src__device="X", src__ip="10.11.7.9") == (False, None)


def test_the_office_of_the_terminal_else_of_the_narrowest_network():
    def office(**keys):
        return one(OF, **keys)["src.office"]

    assert office(src__device="HO0041", src__ip="2001:db8::1") == "honcho"
    assert [office(src__ip=ip) for ip in ("10.11.7.1", "10.11.8.1", "2001:db8::1", "192.0.2.1", "pc-1", None)] == [
        "annex", "honcho", "kita", None, None, None,
    ]  # fmt: skip


def test_cards():
    names = ("known", "kind", "valid", "holder")

    def card(serial, when="2026-04-14 10:00", of=OF):
        return row("card", names, of=of, auth__card=serial, time__occurred=at(when))

    assert card("C-1") == (True, "card", True, "a1")
    assert card("C-2") == (True, "temporary_card", True, "a2")
    assert card("C-2", "2026-04-14 18:01") == (True, "temporary_card", False, None)
    assert card("C-2", "2026-04-20 10:00") == (True, "temporary_card", True, "a3")
    assert card("C-9") == (False, None, False, None)
    assert card(None) == (None,) * 4
    assert card("C-1", of=site(devices=DEVICES[:1])) == (None,) * 4  # a register without cards


def test_media():
    def medium(name, when, of=OF):
        return row("media", ("registered", "holder"), of=of, media__id=name, time__occurred=at(when))

    assert medium("USB-1", "2026-04-14") == (True, "a1")
    assert medium("USB-1", "2026-04-15") == (False, None)
    assert medium("USB-9", "2026-04-14") == (False, None)
    assert medium(None, "2026-04-14") == (None, None)
    assert medium("USB-1", "2026-04-14", site(devices=DEVICES[:1])) == (None, None)
