"""Responses that go on from each other: what is kept of them, and what requests and answers have to do with it."""
