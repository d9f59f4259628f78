"""Whole numbers of any size in few bytes, and a reader that never looks behind the end."""

from __future__ import annotations

MAX_NUMBER = (1 << 63) - 1
"""The largest number that is read: it fits NumPy's integers."""


class FormatError(ValueError):
    """Bytes that are no packed network: damaged, cut off, of a newer version, or made to do harm."""


def number(value: int) -> bytes:
    """Return a number ≥ 0 in groups of seven bits, the lowest first; all bytes but the last have their high bit set.

    >>> number(5).hex(), number(300).hex()
    ('05', 'ac02')
    """
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def sized(data: bytes) -> bytes:
    r"""Return `data` behind its length.

    >>> sized(b"fc")
    b'\x02fc'
    """
    return number(len(data)) + data


class Reader:
    """Reads bytes from front to back.

    Raises: FormatError when more is asked for than there is.

    >>> reader = Reader(number(300) + sized(b"fc"))
    >>> reader.number(), reader.sized()
    (300, b'fc')
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return len(self._data) - self._place

    def take(self, n: int) -> bytes:
        """Return the next `n` bytes."""
        if n > self.left:
            raise FormatError(f"{n} bytes are announced where {self.left} are left")
        self._place += n
        return self._data[self._place - n : self._place]

    def byte(self) -> int:
        """Return the next byte as a number."""
        return self.take(1)[0]

    def number(self) -> int:
        """Return the next number of `number`."""
        value, shift = 0, 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if value > MAX_NUMBER:
                raise FormatError(f"a number is larger than {MAX_NUMBER}")
            if byte < 128:
                return value

    def sized(self) -> bytes:
        """Return the bytes of `sized`."""
        return self.take(self.number())
