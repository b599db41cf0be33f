"""Finds every message that contains what was asked for, and no other.

One meaning of "contains" for every engine (`tokens`), one query language (`query`), one set of filters with
the searcher's scope inside (`filters`). The index is derived from the log and can be dropped at any time.
"""
