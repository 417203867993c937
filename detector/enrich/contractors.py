"""Contractors: approved companies, work orders, and second persons acted upon or asked."""

from __future__ import annotations

import unicodedata

import numpy as np
import polars as pl

from detector.enrich.batch import Batch, Register, booleans, encode_present
from detector.enrich.intervals import BEGINNING, FOREVER, Codes, Cover, Ints, pack
from detector.enrich.people import Accounts, Staff
from detector.enrich.permissions import Permissions
from registers.site import Site


class Contractors:
    """Work orders and the contractors declared in site.toml."""

    def __init__(self, site: Site, persons: Codes, systems: Codes) -> None:
        register = Register(site, "work_orders")
        self._no_orders = register.lacks("system") or (register.lacks("actor_id") and register.lacks("company"))
        self._persons, self._systems = persons, systems
        declared = sorted(site.config.contractors, key=lambda contractor: contractor.company)
        names = pl.Series([c.company for c in declared], dtype=pl.String)
        self._companies = Codes(_company(register.column("company")), _company(names))
        person = persons.encode(register.column("actor_id"))
        whole = register.column("actor_id").is_null().to_numpy()
        company = np.where(whole, self._companies.encode(_company(register.column("company"))), -1)
        # Place 0 among the systems: an order that names none covers whatever the company maintains.
        every = register.column("system").is_null().to_numpy()
        code = systems.encode(register.column("system"))
        place = np.where(every, 0, np.where(code >= 0, code + 1, -1))
        start, end = register.start("window_from"), register.end("window_to")
        self._by_person = Cover(self._pair(person, place), start, end)
        self._by_company = Cover(self._pair(company, place), start, end)
        self._approved = np.full(len(self._companies) + 1, FOREVER, dtype=np.int64)
        self._says = np.ones(len(self._companies) + 1, dtype=np.bool_)  # a company nobody declared is not approved
        self._below = np.zeros(len(self._companies) + 1, dtype=np.bool_)
        for row, contractor in zip(self._companies.encode(_company(names)).tolist(), declared, strict=True):
            self._says[row] = contractor.approved is not None
            if contractor.approved:
                since = site.config.moment(contractor.approved_on)
                self._approved[row] = BEGINNING if since is None else since
            self._below[row] = bool(contractor.subcontractor_of)
        self._declared = bool(declared)

    def add(self, batch: Batch) -> None:
        """Make `order.covers` and `contractor.*`."""
        vendor = (batch.column("person.type") == "vendor").fill_null(False).to_numpy()
        company = encode_present(self._companies, _company(batch.column("person.company")))
        covered = np.zeros(len(batch), dtype=np.bool_)
        for place in (np.where(batch.system >= 0, batch.system + 1, -1), np.zeros(len(batch), dtype=np.int64)):
            covered |= self._by_person.covers(self._pair(batch.person, place), batch.times)
            covered |= self._by_company.covers(self._pair(company, place), batch.times)
        known = vendor & (covered | batch.present("system.id")) & (not self._no_orders)
        batch.add("order.covers", booleans(covered, known))
        named = batch.present("person.company") & self._declared
        batch.add("contractor.approved", booleans(self._approved[company] <= batch.times, named & self._says[company]))
        batch.add("contractor.subcontractor", booleans(self._below[company], named))

    def _pair(self, who: Ints, place: Ints) -> Ints:
        return pack((who, max(len(self._persons), len(self._companies))), (place, len(self._systems) + 1))


class Others:
    """The second persons of an event: acted upon, approving, receiving."""

    def __init__(self, accounts: Accounts, staff: Staff, permissions: Permissions, persons: Codes) -> None:
        self._accounts, self._staff, self._permissions, self._persons = accounts, staff, permissions, persons

    def add(self, batch: Batch) -> None:
        """Make `target.self`, `approver.*` and `destination.permitted`."""
        actor, person = batch.column("actor.id"), batch.column("person.id")
        for key, name in (("target.actor", "target.self"), ("approver.id", "approver.self")):
            other = batch.column(key)
            same = (other == actor).fill_null(False) | (self._person(batch, other) == person).fill_null(False)
            batch.add(name, booleans(same.to_numpy(), batch.present(key, "actor.id")))
        approver = encode_present(self._persons, self._person(batch, batch.column("approver.id")))
        known = batch.present("approver.id") & (not self._staff.register.absent)
        batch.add("approver.known", booleans(self._staff.known(approver), known))
        receiver = encode_present(self._persons, self._person(batch, batch.column("destination")))
        permitted, answers = self._permissions.holds_any(batch, receiver)
        batch.add("destination.permitted", booleans(permitted, answers & (receiver >= 0)))

    def _person(self, batch: Batch, accounts: pl.Series) -> pl.Series:
        if accounts.null_count() == len(accounts):
            return accounts.cast(pl.String)
        return self._accounts.persons(batch, accounts)


def _company(names: pl.Series) -> pl.Series:
    """Company names with width, signs and blanks made equal: ㈱架空 and (株) 架空 are one."""
    if names.null_count() == len(names):
        return names.cast(pl.String)
    unique = names.cast(pl.String).drop_nulls().unique()
    plain = ["".join(unicodedata.normalize("NFKC", name).split()) for name in unique.to_list()]
    return names.cast(pl.String).replace(unique, pl.Series(plain, dtype=pl.String))
