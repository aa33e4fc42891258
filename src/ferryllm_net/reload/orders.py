"""What is to be read again, as a process is told it, and as the parent of workers tells them."""

from __future__ import annotations

import enum


class Order(enum.Flag):
    """Parts of what a process has read. The value of each is also the word for it between parent and worker."""

    KEYS = 1
    """The keys of providers in files."""
    CONFIGURATION = 2
    """All of the configuration, the keys too."""
    CERTIFICATES = 4
    """The files of the listeners' TLS."""
    FAILED = 8
    """Nothing: the parent has read a configuration that cannot be used, and said so. Workers count it."""

    def word(self) -> bytes:
        """For a socket: one byte."""
        return bytes([self.value])


EVERYTHING = Order.KEYS | Order.CONFIGURATION | Order.CERTIFICATES


def orders(words: bytes) -> Order:
    """All that ``words`` say together; what no version of ours says is passed over."""
    found = Order(0)
    for word in words:
        found |= Order(word & (EVERYTHING | Order.FAILED).value)
    return found
