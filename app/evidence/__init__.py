"""Evidence: both logs sealed into signed Merkle trees, and packages that prove themselves without trusting us.

Guarantees: a signed head is the beginning of every later one, or nothing more is signed; every archived record and
audit entry gets an inclusion proof; a package is built only after somebody other than its requester approved it, is
the same byte for byte whenever it is built, and says what is missing from it; `verify.py` checks it with Python's
standard library alone.
"""
