"""``python -m ferryllm_cli``."""

from .main import main

main(prog_name="ferryllm")
