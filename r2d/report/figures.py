"""Sizes and times as people read them."""


def size(count: int) -> str:
    """Bytes in decimal units, three digits: "812 MB", "1.23 GB"."""
    if count < 1000:
        return f"{count} B"
    amount = float(count)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.5:
            return f"{_three_digits(amount)} {unit}"
    return f"{_three_digits(amount / 1000)} TB"


def _three_digits(amount: float) -> str:
    if amount >= 99.95:
        return f"{amount:.0f}"
    return f"{amount:.1f}" if amount >= 9.995 else f"{amount:.2f}"


def duration(seconds: float) -> str:
    """A time with the precision one cares about at its length: "8.2s", "1m 24s", "1h 02m"."""
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    return whole_duration(seconds)


def whole_duration(seconds: float) -> str:
    """A running time without tenths, which would flicker: "8s", "1m 24s", "1h 02m"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02}m"


def short_id(identifier: str) -> str:
    """As much of an id or a commit as people compare."""
    return identifier.removeprefix("sha256:")[:12]
