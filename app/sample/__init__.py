"""A small invented trust company and its talk, for demonstrations, tests and load benches."""
