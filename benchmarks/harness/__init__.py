"""Shared by the suites: sizes, the clock, fresh processes, memory, files of results, tables, pictures."""
