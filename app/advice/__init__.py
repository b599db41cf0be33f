"""Advice: an adviser learns before sending what the archive would find after it, and how to say it properly.

Guarantees: the check is done by the same engine and the same released word lists as the archive, with the
conversation's own recent messages before the text; a suggested wording passes the very check that the text failed;
of a text only a salted digest stays unless the policy says otherwise; every decision is kept once and stays; what was
sent in spite of a warning is found again in the archive and shown on its alert.
"""
