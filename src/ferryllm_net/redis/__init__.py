"""What workers and replicas share, in Redis: limits and budgets, places of sessions, hints of broken providers, kept
responses. Nothing here is loaded where the configuration names no Redis.

Every decision is one script that the server runs as a whole (the ``.lua`` files); Python says what is asked, and puts
the answer into words.
"""
