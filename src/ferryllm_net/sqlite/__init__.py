"""One SQLite file each for what a gateway keeps by itself: how it is opened, and how its one connection is used.

Loaded only where something is kept: `sqlite3` costs start and memory.
"""

from .files import Fault, File, connect, make_private, make_tables, open_file, roll_back

__all__ = ["Fault", "File", "connect", "make_private", "make_tables", "open_file", "roll_back"]
