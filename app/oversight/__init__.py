"""Oversight: a breach becomes one alert in the transaction that found it, and somebody sees it through to its end.

Guarantees: findings of one adviser in one stretch of conversation are one alert; every step is history, which only
grows; nobody handles an alert about himself or a conversation he took part in; a red alert is resolved by two people.
"""
