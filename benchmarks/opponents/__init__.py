"""The same problems in other libraries."""
