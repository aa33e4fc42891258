"""The command line. Thin: it reads arguments, calls net and proto, prints."""
