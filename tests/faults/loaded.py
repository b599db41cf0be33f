"""Imported once by the process that servers are forked from: everything that costs seconds to load."""

import app.cli
import app.local
import app.serve
from app.screening import segment

segment.frequency("保本")  # reads jieba's dictionary
__all__ = ["app"]
