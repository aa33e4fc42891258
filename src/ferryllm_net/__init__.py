"""Networking: runs the machines of ferryllm_proto over anyio, on asyncio and on trio."""
