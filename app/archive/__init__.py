"""The record: every message numbered, sealed and kept; nothing in it changes, nothing goes missing unseen.

`append.Door` is the only way in. `store` reads, always within a scope. `fsck` re-derives every claim from the
stored bytes. `quarantine` keeps what could not be understood.
"""
