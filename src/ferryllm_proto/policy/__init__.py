"""Rules about requests: who may come in, what is changed. Pure."""
