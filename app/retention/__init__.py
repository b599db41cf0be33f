"""Retention: how long records stay, what holds them longer, and how they end with proof.

Guarantees: no schedule is shorter than six months; a record goes only when every rule that counts for it is over, no
hold covers it, and two people who did not ask for it have agreed; the database itself destroys no key that is held
and blanks no record whose key lives; what is gone leaves its leaf, so every old proof stays valid. What is not known
(when a relationship ended) keeps, and says so.
"""
