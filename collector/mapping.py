"""Columns of text to keys of the event: which column, which word, which type. All vectorised, one column at a time."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import polars as pl

from collector.formats import DETAIL, REASON, STAMP, TIME
from collector.quotes import escape
from collector.sources import OWN_KEYS, SELF_DESCRIBED, TOKEN_KEYS, Source
from contract.event import BY_KEY, FIELDS, Field
from registers.mask import mask_my_numbers, mask_text, may_hold_my_numbers
from registers.text import normalise, normalise_id

# Keys that are compared with registers and with each other: brought into one form.
ID_KEYS: Final = frozenset(
    (
        "actor.id", "actor.dept", "session.id", "auth.card", "src.ip", "src.device", "system.id", "op.code", "resource.id",
        "target.actor", "target.function", "subject.area", "purpose.code", "basis.ref", "basis.law", "approver.id", "media.id",
        "agent.id", "agent.boot", "origin", "channel", *TOKEN_KEYS,
    )
)  # fmt: skip
_TRUE: Final = ("1", "true", "yes", "on", "y", "t", "有", "あり", "○", "はい")
_FALSE: Final = ("0", "false", "no", "off", "n", "f", "無", "なし", "×", "いいえ")
_TRUTHS: Final = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}
_TRUTH_WORDS: Final = pl.Enum(list(_TRUTHS))
MY_NUMBER_DIGITS: Final = 12
_FEW: Final = 32
_WHITE: Final = " \t\r\n\u3000\ufeff"


class Refusals:
    """The first thing that is wrong with each row."""

    def __init__(self, reason: pl.Series, detail: pl.Series) -> None:
        self.reason = reason.cast(pl.String)
        self.detail = detail.cast(pl.String)

    def add(self, bad: pl.Series, reason: str, detail: pl.Expr | str, values: pl.Series | None = None) -> None:
        """Refuse the rows where `bad` is true and nothing was wrong before.

        Args:
            bad: Boolean series.
            reason: Word of `contract.rejected.Reason`.
            detail: Text, or an expression over `value`.
            values: The values that `detail` quotes.
        """
        if not bad.any():
            return
        bad = bad.fill_null(False)
        frame = pl.DataFrame({"bad": bad, "reason": self.reason, "detail": self.detail})
        frame = frame.with_columns(value=values if values is not None else pl.lit(None, dtype=pl.String))
        now = pl.col("bad") & pl.col("reason").is_null()
        said = pl.lit(detail) if isinstance(detail, str) else detail
        frame = frame.with_columns(
            detail=pl.when(now).then(said).otherwise("detail"),
            reason=pl.when(now).then(pl.lit(reason)).otherwise("reason"),
        )
        self.reason, self.detail = frame.get_column("reason"), frame.get_column("detail")


def cleaned(wide: pl.DataFrame, lines: pl.Series, source: Source) -> pl.DataFrame:
    """The columns that are used, trimmed; what means "no value" is null.

    Args:
        wide: String columns of the format, with `REASON` and `DETAIL`.
        lines: The lines they were cut from.
        source: Says what is used.
    """
    used = {name for names in source.columns.values() for name in names} | {*source.time, *source.received, TIME, STAMP}
    if source.format in SELF_DESCRIBED:
        used |= BY_KEY.keys()
    nulls = wide.null_count().row(0, named=True)
    names = [name for name in wide.columns if name in used]
    filled = [name for name in names if nulls[name] < wide.height]
    trim = dict.fromkeys(filled, True)
    if filled and not _has_trim_cells(lines, source):
        # Most columns have no white space at their ends all the same. To strip all of it and compare lengths takes half
        # as long as to strip these signs only; the byte order mark is none of it.
        text = pl.col(filled).str
        marked = text.starts_with("\ufeff").any() | text.ends_with("\ufeff").any()
        same = (text.strip_chars().str.len_bytes() == text.len_bytes()).all()
        trim = wide.select(same & ~marked).row(0, named=True)
    kept = _without_empty(wide, [name for name in filled if trim[name]], source)
    changed = {name: _cleaned(name, source.empty, trim[name]) for name in filled if name not in kept}
    return wide.select(REASON, DETAIL, *(changed.get(name, name) for name in names))


def _without_empty(wide: pl.DataFrame, names: list[str], source: Source) -> set[str]:
    """Those of these columns in which every text is longer than any word that means "no value"."""
    if not names:
        return set()
    longest = max((len(word.encode()) for word in source.empty), default=0)
    shortest = wide.select(pl.col(names).str.len_bytes().min()).row(0, named=True)
    return {name for name, size in shortest.items() if size is not None and size > longest}


def _has_trim_cells(lines: pl.Series, source: Source) -> bool:
    """Whether the lines themselves show that no cell has white space at its ends."""
    if source.format == "delimited":
        sides, spelt = {source.delimiter, source.quote} - {""}, ""
    elif source.format == "json":
        sides, spelt = {'"'}, r"|\\[tnru]"
    else:
        return False
    if not sides.isdisjoint(_WHITE):
        return False
    side = "|".join(("^", "$", *map(escape, sorted(sides))))
    some = lines.filter(lines.str.contains(f"[{_WHITE}]{spelt}"))
    return not some.str.contains(f"(?:{side})[{_WHITE}]|[{_WHITE}](?:{side}){spelt}").any()


# Putting an expression together takes as long as working it out for some hundred rows, so those that do not depend on the
# piece are kept.
@lru_cache(maxsize=4096)
def _cleaned(name: str, empty: tuple[str, ...], is_trim: bool) -> pl.Expr:
    text = pl.col(name) if is_trim else pl.col(name).str.strip_chars(_WHITE)
    has_value = pl.all_horizontal(text != word for word in ("", *empty))
    return pl.when(has_value).then(text).alias(name)


def texts(wide: pl.DataFrame, names: tuple[str, ...]) -> pl.Series:
    """The columns of a time, joined by a blank; null where all are empty or none is there."""
    columns = [wide.get_column(name) for name in names if name in wide.columns]
    if not columns:
        return pl.Series("time", [None] * wide.height, dtype=pl.String)
    if len(columns) == 1:
        return columns[0].alias("time")
    frame = pl.DataFrame([column.alias(str(at)) for at, column in enumerate(columns)])
    joined = frame.select(pl.concat_str(pl.all(), separator=" ", ignore_nulls=True).alias("time")).to_series()
    return joined.set(joined == "", None)


def values(wide: pl.DataFrame, times: list[pl.Series], source: Source, refusals: Refusals) -> pl.DataFrame:
    """The keys of the event that a source speaks of, typed; ids of people on file are still raw.

    Args:
        wide: String columns, one row per line, `cleaned`.
        times: `time.occurred` and, if there is one, `time.received`.
        source: The declaration.
        refusals: Takes what is wrong.

    Returns:
        One row per line, one column per key with a value anywhere.
    """
    spoken = {field.key: names for field in FIELDS if (names := _names(wide, field, source))}
    words = wide.select(_text(key, names, tuple(source.codes.get(key, {}).items())) for key, names in spoken.items())
    plain = _plain(words, source)
    found = list(times)
    for field in FIELDS:
        if field.key in OWN_KEYS:
            continue
        constant = source.constants.get(field.key)
        if field.key in spoken:
            typed = plain.get(field.key)
            if typed is None:
                typed = _typed(words.get_column(field.key), field, source, refusals)
            found.append((typed.fill_null(constant) if constant is not None else typed).alias(field.key))
        elif constant is not None:
            found.append(pl.Series(field.key, [constant], dtype=field.dtype).new_from_index(0, wide.height))
    frame = pl.DataFrame(found)
    _required(frame, wide, source, refusals)
    return frame


def _names(wide: pl.DataFrame, field: Field, source: Source) -> tuple[str, ...]:
    """The columns of a key; none if the source does not speak of it."""
    if field.key in OWN_KEYS:
        return ()
    names = [name for name in source.columns.get(field.key, ()) if name in wide]
    if source.format in SELF_DESCRIBED and field.key in wide:
        names.append(field.key)  # a self-described format's own reading, after what the source says
    return tuple(names)


@lru_cache(maxsize=4096)
def _text(key: str, names: tuple[str, ...], table: tuple[tuple[str, str], ...]) -> pl.Expr:
    """A key's text: the first column that has one, in our words."""
    text = pl.col(names[0]) if len(names) == 1 else pl.coalesce(names)
    if not table:
        return text.alias(key)
    every = dict(table).get("*")
    default = text if every is None else pl.when(text.is_not_null()).then(pl.lit(every))
    words = [word for word, _ in table if word != "*"]
    if every and not words:
        return default.alias(key)
    ours = pl.Series([our for word, our in table if word != "*"], dtype=pl.String)
    number = text.cast(pl.Enum(words), strict=False).to_physical()
    if every == "":  # what is not in the table has no value
        return pl.lit(ours.replace("", None)).gather(number).alias(key)
    text = pl.coalesce(pl.lit(ours).gather(number), default)
    return (pl.when(text != "").then(text) if "" in dict(table).values() else text).alias(key)


def _plain(text: pl.DataFrame, source: Source) -> dict[str, pl.Series]:
    """The columns in which nothing is to be done or to be said, typed.

    Mostly that is so for all of them, and it is found out for all of them at once: looking into one column after the
    other would cost more than the work on those that need it.
    """
    columns = {column.name: column for column in text}
    absent = {key for key, column in columns.items() if column.null_count() == text.height}
    # Ids that become tokens are brought into one form there, each once.
    later = absent.union(TOKEN_KEYS).difference(source.required)
    others = [BY_KEY[key] for key in columns if key not in later]
    looks = text.select(
        look for field in others if field.kind != "int" for look in _looks(field, field.key in source.ids.strip_zeros)
    )
    seen = looks.row(0, named=True) if looks.width else {}
    long = [field.key for field in others if seen.get(f"{field.key} is long") and not seen[field.key]]
    if long:
        seen |= text.select(may_hold_my_numbers(pl.col(long)).any()).row(0, named=True)
    plain: dict[str, pl.Series] = {}
    for key, column in columns.items():
        field = BY_KEY[key]
        if key in absent:
            plain[key] = column.head(1).cast(field.dtype, strict=False).new_from_index(0, text.height)
        elif field.kind == "int":
            number = column.cast(pl.Int64, strict=False)
            if number.null_count() == column.null_count() and is_within(number, field.minimum, field.maximum):
                plain[key] = number
        elif not seen.get(key, False):
            plain[key] = column if field.kind == "str" else _truths(column)
    return plain


@lru_cache(maxsize=1024)
def _looks(field: Field, strips: bool) -> tuple[pl.Expr, ...]:
    """Whether `_typed` would do anything in a whole column, under its key; and whether free texts are `long` enough for a
    My Number, which then is still to be looked for."""
    text = pl.col(field.key)
    if field.kind == "bool" or field.values:
        return ((~text.is_in(list(field.values or _TRUTHS))).any(),)
    odd = pl.lit(False)
    if field.key in ID_KEYS:
        odd = (text.str.len_bytes() != text.str.len_chars()).any()
    if field.key in TOKEN_KEYS:
        return (odd.alias(field.key),)
    if strips:
        odd = odd | text.str.contains("^0[0-9]|[^!-~]").any()
    long = (text.str.len_bytes() >= MY_NUMBER_DIGITS).any()
    return odd.alias(field.key), long.alias(f"{field.key} is long")


def is_within(number: pl.Series, minimum: int | None, maximum: int | None) -> bool:
    """Whether no number of an integer series is below or above these bounds (None: there is none)."""
    low, high = number.min(), number.max()
    if not isinstance(low, int) or not isinstance(high, int):
        return True  # there is no number
    return (minimum is None or low >= minimum) and (maximum is None or high <= maximum)


def _typed(text: pl.Series, field: Field, source: Source, refusals: Refusals) -> pl.Series:
    if field.kind == "int":
        return _integers(text, field, refusals)
    if field.kind == "bool":
        return _booleans(text, field, refusals)
    if field.values:
        wrong = text.is_not_null() & ~text.is_in(list(field.values))
        hint = f'{field.key}: {{}} is none of its words; add it to [codes."{field.key}"]'
        refusals.add(wrong, "value", pl.format(hint, "value"), text)
        return text.set(wrong, None) if wrong.any() else text
    if field.key in ID_KEYS:
        strip = field.key in source.ids.strip_zeros and field.key not in TOKEN_KEYS
        text = _one_form(text, strip)
    return text if field.key in TOKEN_KEYS else masked(text)


def _one_form(text: pl.Series, strip_zeros: bool) -> pl.Series:
    """NFKC, only where there is anything to change: it costs more than all the rest."""
    form = normalise_id(pl.col("id"), strip_zeros)
    if strip_zeros:
        ids = text.unique()
        if 4 * ids.len() < text.len():  # the same few ids come again and again
            return text.replace_strict(ids, ids.to_frame("id").select(form).to_series(), return_dtype=pl.String)
    odd = text.str.contains("[^!-~]" if not strip_zeros else "^0[0-9]|[^!-~]").fill_null(False).arg_true()
    if odd.is_empty():
        return text
    if not strip_zeros and not (text.str.len_bytes() != text.str.len_chars()).any():
        return text
    return text.clone().scatter(odd, text.gather(odd).to_frame("id").select(form).to_series())


def masked(text: pl.Series) -> pl.Series:
    """My Numbers replaced; rows that are too short to hold one are not looked at."""
    long = text.str.len_bytes() >= MY_NUMBER_DIGITS
    suspect = text.to_frame("text").select(pl.lit(long) & may_hold_my_numbers(pl.col("text"))).to_series()
    rows = suspect.fill_null(False).arg_true()
    if rows.is_empty():
        return text
    some = text.gather(rows)
    unique = some.unique()  # the same few texts come again and again in some columns
    if unique.len() > _FEW:
        after = mask_my_numbers(unique)
    else:  # its further gates would cost more than they spare
        after = pl.Series([mask_text(one) for one in unique.to_list()], dtype=pl.String)
    if after.equals(unique):
        return text
    return text.clone().scatter(rows, some.replace_strict(unique, after, return_dtype=pl.String))


def _integers(text: pl.Series, field: Field, refusals: Refusals) -> pl.Series:
    plain = text.cast(pl.Int64, strict=False)
    odd = text.is_not_null() & plain.is_null()
    if odd.any():
        # 1,234 円 and full-width digits
        other = text.to_frame("n").select(normalise(pl.col("n")).str.replace(r"\s*円$", "").str.replace(r"^[¥\\]", ""))
        other = other.select(
            pl.when(pl.col("n").str.contains(r"^[+-]?[0-9]{1,3}(?:,[0-9]{3})+$"))
            .then(pl.col("n").str.replace_all(",", ""))
            .otherwise("n")
        )
        plain = other.select(pl.col("n").str.replace(r"\.0+$", "")).to_series().cast(pl.Int64, strict=False)
        odd = text.is_not_null() & plain.is_null()
        refusals.add(odd, "value", pl.format(f"{field.key}: {{}} is no whole number", "value"), text)
    if field.minimum is not None:
        low = plain < field.minimum
        refusals.add(low, "value", pl.format(f"{field.key}: {{}} is below {field.minimum}", "value"), text)
    if field.maximum is not None:
        high = plain > field.maximum
        refusals.add(high, "value", pl.format(f"{field.key}: {{}} is above {field.maximum}", "value"), text)
    return plain


def _booleans(text: pl.Series, field: Field, refusals: Refusals) -> pl.Series:
    found = _truths(text.to_frame("b").select(normalise(pl.col("b")).str.to_lowercase()).to_series())
    wrong = text.is_not_null() & found.is_null()
    refusals.add(wrong, "value", pl.format(f"{field.key}: {{}} is neither yes nor no", "value"), text)
    return found


def _truths(text: pl.Series) -> pl.Series:
    return pl.Series(_TRUTHS.values(), dtype=pl.Boolean).gather(text.cast(_TRUTH_WORDS, strict=False).to_physical())


def _required(frame: pl.DataFrame, wide: pl.DataFrame, source: Source, refusals: Refusals) -> None:
    everywhere = pl.Series([True]).new_from_index(0, wide.height)
    for key in dict.fromkeys(["event.class", *source.required]):
        if key in frame.columns:
            if frame.get_column(key).null_count():
                refusals.add(frame.get_column(key).is_null(), "required", f"{key}: is missing or empty")
        elif key in BY_KEY and key != "time.occurred":
            names = ", ".join(source.columns.get(key, ())) or "none declared"
            refusals.add(everywhere, "columns", f"{key}: its column ({names}) is not in the log")
