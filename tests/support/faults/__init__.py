"""A provider that fails in every way a network and a server can, over real sockets, and judges of what clients get.

`catalogue` names the faults as data, `provider` plays them, `rig` puts a gateway in front, `verdict` judges.
"""
