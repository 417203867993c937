"""With what: terminals, cards and media, and in which office."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl

from detector.enrich.batch import Batch, Register, booleans, encode_present, first_known, take
from detector.enrich.intervals import BEGINNING, Codes, Ints, Timeline, last
from registers.site import Site

# So many addresses are remembered with their office.
MOST_ADDRESSES: Final = 65_536
_CARDS: Final = ("card", "temporary_card")
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Devices:
    """The register of terminals, cards and media. A row holds while the thing is in use, given or lent."""

    def __init__(self, site: Site) -> None:
        register = Register(site, "devices")
        names = ("kind", "office", "dept", "actor_id")
        self._texts = {name: register.column(name).cast(pl.String) for name in names}
        kind = self._texts["kind"].str.to_lowercase().str.replace_all(r"[\s-]", "_")
        start, end = register.start(), register.end()
        self._ids = Codes(_name(register.column("device_id")))
        self._device = Timeline(self._ids.encode(_name(register.column("device_id"))), start, end)
        self._addresses = Codes(register.column("ip"))
        self._address = Timeline(self._addresses.encode(register.column("ip")), start, end)
        serial = first_known(_name(register.column("serial")), _name(register.column("device_id")))
        card, medium = kind.is_in(_CARDS).fill_null(False), (kind == "media").fill_null(False)
        # A register of cards and media alone says nothing about terminals.
        self._terminals = not register.lacks("device_id") and bool((~(card | medium)).any())
        self._cards = _Things(serial, card, start, end)
        self._media = _Things(serial, medium, start, end)
        self._networks = [
            (ipaddress.ip_network(str(o.network), strict=False), o.id) for o in site.config.offices if o.network
        ]
        self._office_of = lru_cache(MOST_ADDRESSES)(lambda text: _narrowest(text, self._networks))

    def add(self, batch: Batch) -> None:
        """Make `device.*`, `src.office`, `card.*` and `media.*`."""
        named = batch.present("src.device")
        row = self._device.row(encode_present(self._ids, _name(batch.column("src.device"))), batch.times)
        by_address = self._address.row(encode_present(self._addresses, batch.column("src.ip")), batch.times)
        # A log that gives only an address still leads to the terminal that has it; an unknown address proves nothing.
        row = np.where(named, row, by_address)
        batch.add("device.known", booleans(row >= 0, (named | (row >= 0)) & self._terminals))
        for column, name in (("kind", "kind"), ("office", "office"), ("dept", "dept"), ("holder", "actor_id")):
            batch.add(f"device.{column}", take(self._texts[name], row))
        batch.add("src.office", first_known(batch.column("device.office"), self._office(batch.column("src.ip"))))
        self._add_card(batch)
        self._add_media(batch)

    def _add_card(self, batch: Batch) -> None:
        known = batch.present("auth.card") & self._cards.any
        valid, nearest = self._cards.rows(_name(batch.column("auth.card")), batch.times)
        batch.add("card.known", booleans(nearest >= 0, known))
        batch.add("card.kind", take(self._texts["kind"], nearest))
        batch.add("card.valid", booleans(valid >= 0, known))
        batch.add("card.holder", take(self._texts["actor_id"], valid))

    def _add_media(self, batch: Batch) -> None:
        valid, _ = self._media.rows(_name(batch.column("media.id")), batch.times)
        batch.add("media.registered", booleans(valid >= 0, batch.present("media.id") & self._media.any))
        batch.add("media.holder", take(self._texts["actor_id"], valid))

    def _office(self, addresses: pl.Series) -> pl.Series:
        """Office of the narrowest declared network that holds each address."""
        if not self._networks or addresses.null_count() == len(addresses):
            return pl.repeat(None, len(addresses), dtype=pl.String, eager=True)
        texts = addresses.drop_nulls().unique().sort()
        offices = [self._office_of(text) for text in texts.to_list()]
        table = pl.DataFrame({"ip": texts, "office": pl.Series(offices, dtype=pl.String)})
        return addresses.alias("ip").to_frame().join(table, on="ip", how="left", maintain_order="left")["office"]


class _Things:
    """Cards, or media, by serial number."""

    def __init__(self, serial: pl.Series, those: pl.Series, start: Ints, end: Ints) -> None:
        kept = serial.to_frame("serial").select(pl.when(those).then(pl.col("serial")))["serial"]
        self._serials = Codes(kept)
        codes = self._serials.encode(kept)
        self._valid, self._ended = Timeline(codes, start, end), last(codes, end + 1)
        self._any_time = last(codes, np.full(len(codes), BEGINNING, dtype=np.int64))
        # A register without a single card says nothing about cards.
        self.any = len(self._serials) > 0

    def rows(self, serial: pl.Series, times: Ints) -> tuple[Ints, Ints]:
        """The row valid at each time, and the same or else the nearest other row of that serial; −1 for none."""
        if serial.null_count() == len(serial):
            nothing = np.full(len(serial), -1, dtype=np.int64)
            return nothing, nothing
        code = encode_present(self._serials, serial)
        valid = self._valid.row(code, times)
        nearest = np.where(valid >= 0, valid, self._ended.row(code, times))
        return valid, np.where(nearest >= 0, nearest, self._any_time.row(code, times))


def _name(column: pl.Series) -> pl.Series:
    # Windows names are the same in capitals; serials are typed by hand.
    texts = column.cast(pl.String)
    return texts if texts.null_count() == len(texts) else texts.str.to_lowercase()


def _narrowest(text: str, networks: Sequence[tuple[_Network, str]]) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a host name, or several addresses: no office can be read from it
        return None
    inside = [(network.prefixlen, office) for network, office in networks if address in network]
    return max(inside, key=lambda found: found[0])[1] if inside else None
