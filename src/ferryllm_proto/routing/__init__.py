"""Decisions about where a request goes; pure, with time and chance as arguments."""
