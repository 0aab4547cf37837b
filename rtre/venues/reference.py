"""The slow decoders: a venue's frames read plainly, and refusals explained in words.

Written for reading, with `json` and cattrs, apart from the codecs: tests hold that a codec gives
the ticks that are given here, and a codec that refuses a frame asks here for words to tell why.
A tick takes some fifty times as long as in a codec.

    >>> FinnhubReference(["AAPL"]).explain(b'{"type":"trade","data":[{"p":"abc"}]}')
    'data[0].p: must be a number, got "abc"; data[0].s: is missing; data[0].t: is missing'
"""

from __future__ import annotations

import abc
import json
import math
import re
from collections.abc import Callable, Collection
from typing import Any, ClassVar, NoReturn, TypeVar

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn

_SHOWN = 24  #: longest text of a venue that is repeated; cut, a token would not be known as one
_PROBLEMS = 3  #: told of one frame
_FIRST_MS, _LAST_MS = 10**11, 9 * 10**12  # 1973 to 2255: seconds and microseconds lie outside
_LAST_ID = 2**63 - 1
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # \udc80 to \udcff mark bytes
_MARK = re.compile("[\udc80-\udcff]")
_T = TypeVar("_T")
_NAMES = {dict: "an object", list: "an array", bool: "a boolean", type(None): "null"}


@attrs.frozen
class Trade:
    """A tick as the venue tells it: its symbol, and its time in nanoseconds."""

    symbol: str
    price: float
    size: float
    ts_event_ns: int


@attrs.frozen
class Reading:
    """What one frame says.

    Attributes
    ----------
    trades : tuple of Trade
        In their order. Those that are not fit for use are not among them.
    problems : tuple of str
        Why something of it is refused, place first; empty where nothing is.
    past : bool
        Whether it is history.
    """

    trades: tuple[Trade, ...] = ()
    problems: tuple[str, ...] = ()
    past: bool = False


class Reference(abc.ABC):
    """A slow decoder of one venue's frames for some symbols."""

    unread: ClassVar[re.Pattern[bytes] | None] = None  #: frames that begin so are not looked into

    def __init__(self, symbols: Collection[str]) -> None:
        self.symbols = frozenset(symbols)

    def read(self, frame: bytes) -> Reading:
        """Decode a frame, whatever it is."""
        if self.unread is not None and self.unread.match(frame):
            return Reading()
        try:
            return self._read(_parse(frame))
        except _RefusedError as refused:
            return Reading(problems=refused.problems)

    def explain(self, frame: bytes) -> str:
        """Why a frame is refused, in one short line; empty where it is not. Never raises."""
        try:
            return "; ".join(self.read(frame).problems[:_PROBLEMS])
        except Exception:  # noqa: BLE001 - it is asked when something is wrong already
            return ""

    @abc.abstractmethod
    def _read(self, message: Any) -> Reading:
        """Decode what a frame holds; raises `_RefusedError`."""


class _RefusedError(Exception):
    def __init__(self, *problems: str) -> None:
        self.problems = problems


# ---- JSON


def _parse(frame: bytes) -> Any:
    try:
        # a text that is not read need not be UTF-8: bytes that are not become marks, see `_text`
        text = frame.decode("utf-8", "surrogateescape")
        message = json.loads(text, parse_constant=_no_constant)
        if "\\u" in text and _HALF.search(json.dumps(message, ensure_ascii=False)):
            raise _RefusedError("it is no JSON: it holds half a character")
        return message
    except RecursionError:
        raise _RefusedError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()):
            raise _RefusedError("it is no JSON: it ends too early") from None
        raise _RefusedError(
            f"it is no JSON: {error.msg.lower().removesuffix(' at')} at character {error.pos}"
        ) from None
    except ValueError as error:  # NaN, or digits without end
        raise _RefusedError(f"it is no JSON: {error}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def show(value: object) -> str:
    """A value for people: short ones as they are, long ones by what they are.

    >>> show("abc"), show([1, 2]), show("x" * 60)
    ('"abc"', 'an array', 'a text of 60 characters')
    """
    if type(value) in _NAMES:
        return _NAMES[type(value)]
    try:
        text = json.dumps(value, ensure_ascii=False)
    except ValueError:  # digits without end
        return "a number that is too long"
    if len(text) <= _SHOWN + 2:
        return text
    return f"a text of {len(str(value))} characters" if isinstance(value, str) else "a long number"


# ---- cattrs: exact types, and what is wrong in words


def _number(value: object, _: object) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"must be a number, got {show(value)}")
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("is too large a number")
    return number


def _text(value: object, _: object) -> str:
    if type(value) is not str:
        raise ValueError(f"must be a text, got {show(value)}")
    if _MARK.search(value):
        raise ValueError("is not UTF-8")
    return value


def _integer(value: object, _: object) -> int:
    if type(value) is not int:
        raise ValueError(f"must be a whole number, got {show(value)}")
    return value


def _objects(kind: type) -> Callable[[object, object], Any]:
    """Of a class: its fields by name, others are passed over."""
    fields: Callable[[Any, Any], Any] = make_dict_structure_fn(kind, _CONVERTER)

    def structure(value: object, _: object) -> Any:
        if type(value) is not dict:
            raise ValueError(f"must be an object, got {show(value)}")
        return fields(value, kind)

    return structure


_CONVERTER = cattrs.Converter()
_CONVERTER.register_structure_hook(float, _number)
_CONVERTER.register_structure_hook(int, _integer)
_CONVERTER.register_structure_hook(str, _text)
_CONVERTER.register_structure_hook_factory(attrs.has, _objects)


def _structure(value: object, kind: type[_T]) -> _T:
    try:
        return _CONVERTER.structure(value, kind)
    except (cattrs.BaseValidationError, ValueError, TypeError) as error:
        found = cattrs.transform_error(error, format_exception=_in_words)
        placed = (text.rpartition(" @ $") for text in found)
        raise _RefusedError(*(_at(where, what) for what, _, where in placed)) from None


def _in_words(error: BaseException, _: object) -> str:
    return "is missing" if isinstance(error, KeyError) else str(error)


def _at(where: str, what: str) -> str:
    where = where.removeprefix(".")
    return f"{where}: {what}" if where else f"it {what}"


def _unfit(place: str, price: float, size: float, time_ms: int) -> str:
    """Why a trade of the right types is not fit for use; empty if it is."""
    if not price > 0.0:
        return f"{place}p: must be a price above zero, got {show(price)}"
    if not size >= 0.0:
        return f"{place}v: must be a size, got {show(size)}"
    if not _FIRST_MS <= time_ms <= _LAST_MS:
        return f"{place}t: must be a time in milliseconds, got {show(time_ms)}"
    return ""


# ---- Finnhub, and the simulated venue that speaks its protocol


@attrs.frozen
class _FinnhubTrade:
    p: float
    s: str
    t: int
    v: float


@attrs.frozen
class _FinnhubMessage:
    type: str
    data: list[_FinnhubTrade] | None = None
    msg: str | None = None


class FinnhubReference(Reference):
    """Finnhub's trades."""

    kinds: ClassVar[tuple[str, ...]] = ("trade",)

    def _read(self, message: Any) -> Reading:
        fields = message if type(message) is dict else {}
        kind, data = fields.get("type"), fields.get("data")
        if (
            type(kind) is str
            and not _MARK.search(kind)
            and kind not in ("trade", "history", "ping", "error")
        ):
            return Reading()  # another channel, whatever it says
        if type(data) not in (list, type(None)):  # cattrs takes whatever can be gone through
            raise _RefusedError(f"data: must be an array, got {show(data)}")
        read = _structure(message, _FinnhubMessage)
        if read.type not in self.kinds:
            return Reading()
        if read.data is None:
            raise _RefusedError("data: is missing")
        trades, problems = [], []
        for k, trade in enumerate(read.data):
            if trade.s not in self.symbols:
                problems.append(f"data[{k}].s: {show(trade.s)} is not a symbol of this run")
            elif problem := _unfit(f"data[{k}].", trade.p, trade.v, trade.t):
                problems.append(problem)
            else:
                trades.append(Trade(trade.s, trade.p, trade.v, trade.t * 1_000_000))
        return Reading(tuple(trades), tuple(problems), past=read.type == "history")


class SimulatedReference(FinnhubReference):
    """Those of the simulated venue, the past included."""

    kinds = ("trade", "history")


# ---- Binance


@attrs.frozen
class _BinanceMessage:
    e: str | None = None
    code: int | None = None
    msg: str | None = None


@attrs.frozen
class _BinanceTrade:
    s: str
    t: int
    p: str
    q: str
    T: int


class BinanceReference(Reference):
    """Binance's trades. Remembers the trade ids that it has seen, as a connection does."""

    unread = re.compile(
        rb'\{"stream":"[A-Za-z0-9_]+@(bookTicker"|depth|aggTrade"|kline_)|\{"e":"depthUpdate",'
        rb'|\{"u":(0|[1-9][0-9]{0,17}),"s":"'
    )

    def __init__(self, symbols: Collection[str]) -> None:
        super().__init__(symbols)
        self._seen: dict[str, int] = {}

    def explain(self, frame: bytes) -> str:
        """See `Reference`. A repeated trade is not refused, and is not remembered here."""
        if self._seen:
            return BinanceReference(self.symbols).explain(frame)
        told = super().explain(frame)
        self._seen.clear()
        return told

    def _read(self, message: Any) -> Reading:
        read = _structure(message, _BinanceMessage)
        if read.e is None and "data" in message:
            message = message["data"]
            read = _structure(message, _BinanceMessage)
        if read.e != "trade":
            return Reading()
        trade = _structure(message, _BinanceTrade)
        if trade.s not in self.symbols:
            raise _RefusedError(f"s: {show(trade.s)} is not a symbol of this run")
        if not 0 <= trade.t <= _LAST_ID:
            raise _RefusedError(f"t: must be a trade id, got {show(trade.t)}")
        if trade.t <= self._seen.get(trade.s, -1):
            return Reading()
        self._seen[trade.s] = trade.t
        price, size = _decimal("p", trade.p), _decimal("q", trade.q)
        if problem := _unfit("", price, size, trade.T):
            raise _RefusedError(problem.replace("t:", "T:", 1) if problem[0] == "t" else problem)
        return Reading((Trade(trade.s, price, size, trade.T * 1_000_000),))


def _decimal(place: str, text: str) -> float:
    whole, dot, part = text.partition(".")
    digits = [whole, part] if dot else [whole]
    if all(d.isascii() and d.isdigit() and len(d) <= 32 for d in digits):
        return float(text)
    raise _RefusedError(f"{place}: must be a plain number, got {show(text)}")
