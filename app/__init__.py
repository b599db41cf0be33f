"""Liuhen 留痕: an append-only archive of adviser conversations that screens, finds and proves."""

__version__ = "0.1.0"
