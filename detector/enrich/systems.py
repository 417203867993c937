"""What the organisation promised about a system: who, how, from where, on which legal ground. And its words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl

from detector.enrich.batch import Batch, Register, as_codes, booleans, departments, encode_present, first_known, take
from detector.enrich.intervals import Bools, Codes, Ints, Timeline, pack
from registers.site import Site


class Systems:
    """The systems of site.toml as small tables (system × word), looked up per event."""

    def __init__(self, site: Site, systems: Codes, depts: Codes) -> None:
        declared = dict(sorted(site.config.systems.items()))
        self._words = departments(site)
        self._depts = depts
        self._named = _table(systems, declared)
        self._known = bool(declared)
        # An empty list of departments is a form not filled in; an empty list of grounds means "none at all".
        self._departments = _Listed(systems, {n: s.departments or None for n, s in declared.items()}, self._words)
        self._prohibited = _Listed(systems, {n: s.prohibited for n, s in declared.items()})
        default = site.config.limits.inquiry_items
        grounds = {n: default if s.inquiry_items is None else s.inquiry_items for n, s in declared.items()}
        self._inquiry = _Listed(systems, grounds)
        self._provision = _Listed(systems, {n: s.provision_items for n, s in declared.items()})
        self._origins = _Listed(systems, {n: s.import_from for n, s in declared.items()}, self._words)
        auth = {name: s.auth for name, s in declared.items() if s.auth}
        self._auth = pl.Series(list(auth.values()), dtype=pl.String)
        self._auth_row = _rows_of(systems, auth)

    def add(self, batch: Batch) -> None:
        """Make `system.*`."""
        system = batch.system
        known = self._named[system]
        said = batch.present("system.id")
        batch.add("system.known", booleans(known, said & self._known))
        self._add_departments(batch)
        action = batch.column("event.action")
        batch.add(
            "system.prohibited",
            booleans(
                self._prohibited.has(system, action), self._prohibited.speaks(system) & batch.present("event.action")
            ),
        )
        declared = take(self._auth, self._auth_row[system])
        logon = _true((action == "logon") & (batch.column("event.outcome") == "success"))
        method = batch.column("auth.method")
        both = batch.present("auth.method") & declared.is_not_null().to_numpy()
        batch.add("system.auth_ok", booleans(_true(method == declared), logon & both))
        self._add_law(batch, action)
        origin = as_codes(batch.column("origin"), self._words)
        imported = _true(action == "import") & batch.present("origin") & self._origins.speaks(system)
        batch.add("system.origin_allowed", booleans(self._origins.has(system, origin), imported))

    def _add_departments(self, batch: Batch) -> None:
        speaks = self._departments.speaks(batch.system)
        allowed = np.zeros(len(batch), dtype=np.bool_)
        known = np.zeros(len(batch), dtype=np.bool_)
        for post in batch.posts:
            known |= post != -1
            allowed |= self._departments.has_code(batch.system, post, self._depts)
        batch.add("system.dept_allowed", booleans(allowed, speaks & known))

    def _add_law(self, batch: Batch, action: pl.Series) -> None:
        ground = first_known(batch.column("basis.law").cast(pl.String), batch.column("purpose.code").cast(pl.String))
        # No ground at all is not a listed ground; but where only a case is referred to, the ground may stand there.
        stated = ground.is_not_null().to_numpy() | ~batch.present("basis.ref")
        inquire, provide = _true(action == "inquire"), _true(action == "provide")
        known = (inquire & self._inquiry.speaks(batch.system)) | (provide & self._provision.speaks(batch.system))
        listed = np.where(inquire, self._inquiry.has(batch.system, ground), self._provision.has(batch.system, ground))
        batch.add("system.law_listed", booleans(listed, known & stated))


class _Listed:
    """Which words each system lists."""

    def __init__(
        self, systems: Codes, declared: Mapping[str, Sequence[str] | None], same: dict[str, str] | None = None
    ) -> None:
        lists = {name: as_codes(_text(words), same or {}) for name, words in declared.items() if words is not None}
        self._words = Codes(*lists.values())
        width = max(len(self._words), 1)
        self._matrix = np.zeros((len(systems) + 1, width + 1), dtype=np.bool_)
        self._speaks = np.zeros(len(systems) + 1, dtype=np.bool_)
        rows = systems.encode(pl.Series(list(lists), dtype=pl.String))
        for row, words in zip(rows.tolist(), lists.values(), strict=True):
            self._matrix[row, self._words.encode(words)] = True
            self._speaks[row] = True

    def speaks(self, system: Ints) -> Bools:
        """Whether the system declares such a list, be it empty."""
        return np.asarray(self._speaks[system])

    def has(self, system: Ints, words: pl.Series) -> Bools:
        """Whether the system lists the word."""
        return np.asarray(self._matrix[system, encode_present(self._words, words)])

    def has_code(self, system: Ints, codes: Ints, of: Codes) -> Bools:
        """The same for words already encoded by `of`."""
        # Two more places, for the codes −1 and −2 of what has no code.
        translated = np.append(self._words.encode(of.texts), (-1, -1))
        return np.asarray(self._matrix[system, translated[codes]])


class Labels:
    """The words for function codes."""

    def __init__(self, site: Site, systems: Codes) -> None:
        register = Register(site, "labels")
        self._systems = systems
        self._functions = Codes(register.column("code"))
        self._texts = {name: register.column(name).cast(pl.String) for name in ("ja", "en")}
        code = self._functions.encode(register.column("code"))
        system = systems.encode(register.column("system"))
        start, end = register.start(), register.end()
        self._rows = Timeline(self._keys(code, system), start, end)
        anywhere = np.where(register.column("system").is_null().to_numpy(), code, -1)
        self._anywhere = Timeline(anywhere, start, end)

    def add(self, batch: Batch) -> None:
        """Make `label.*`."""
        code = encode_present(self._functions, batch.column("op.code"))
        rows = self._rows.row(self._keys(code, batch.system), batch.times)
        rows = np.where(rows >= 0, rows, self._anywhere.row(code, batch.times))
        for name, texts in self._texts.items():
            batch.add(f"label.{name}", take(texts, rows))

    def _keys(self, code: Ints, system: Ints) -> Ints:
        return pack((code, len(self._functions)), (system, len(self._systems)))


def _text(words: Iterable[str]) -> pl.Series:
    return pl.Series("word", list(words), dtype=pl.String)


def _table(systems: Codes, names: Iterable[str]) -> Bools:
    table = np.zeros(len(systems) + 1, dtype=np.bool_)
    table[systems.encode(pl.Series(list(names), dtype=pl.String))] = True
    table[-1] = False
    return table


def _rows_of(systems: Codes, names: Iterable[str]) -> Ints:
    rows = np.full(len(systems) + 1, -1, dtype=np.int64)
    order = list(names)
    rows[systems.encode(pl.Series(order, dtype=pl.String))] = np.arange(len(order))
    rows[-1] = -1
    return rows


def _true(values: pl.Series) -> Bools:
    return values.fill_null(False).to_numpy()
