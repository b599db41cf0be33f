"""A small invented trust company and its talk, for demonstrations, tests and load benches.

Everything is made up and everything is repeatable: the same arguments give the same bytes. Departments, groups
and products carry 样例 in their names; nobody in it exists. Everyday talk holds no breach; what a compliance
officer should find is told by `stories`.
"""

from app.sample.company import Company, company, people
from app.sample.load import load
from app.sample.messages import messages
from app.sample.push import Pushed, ndjson, push
from app.sample.stories import Story, stories

__all__ = [
    "Company",
    "Pushed",
    "Story",
    "company",
    "load",
    "messages",
    "ndjson",
    "people",
    "push",
    "stories",
]
