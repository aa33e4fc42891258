"""Whole lives of requests on a virtual clock, made by chance: gateways, clients, providers and their faults.

All chance comes from one `random.Random`, which derives from a seed and the number of the run, so that a failure can be
run again: ``FERRYLLM_SEED`` and ``FERRYLLM_RUN``.
"""
