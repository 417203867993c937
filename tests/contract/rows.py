"""Events for tests of the wire: the least one, and any right ones."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from contract.event import FIELDS

LEAST: dict[str, Any] = {
    "event.id": "5f0c2a9be1d44c07",
    "event.schema": 1,
    "event.class": "access",
    "time.occurred": 1775090912000,
}


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    event_ = dict(LEAST)
    for field in draw(st.lists(st.sampled_from(FIELDS), max_size=8)):
        choice: st.SearchStrategy[Any]
        if field.values:
            choice = st.sampled_from(field.values)
        elif field.kind == "str":
            choice = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
        elif field.kind == "bool":
            choice = st.booleans()
        else:
            low = -(2**63) if field.minimum is None else field.minimum
            choice = st.integers(low, 2**63 - 1 if field.maximum is None else field.maximum)
        event_[field.key] = draw(choice)
    return event_
