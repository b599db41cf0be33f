"""Oversight: a violation becomes an alert in the transaction that found it; every step of review is history."""
