"""What the exit status of `ferryllm` says."""

OK = 0
FAILURE = 1
"""Something went wrong that has no status of its own."""
USAGE = 2
"""The command line is wrong (click's number)."""
CONFIG_INVALID = 3
"""The configuration cannot be used; its problems are on standard error."""
LOSSY = 4
"""The request would be sent, but not whole (`ferryllm explain`)."""
ADDRESS_IN_USE = 5
"""Another process listens on the address."""
