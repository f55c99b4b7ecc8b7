"""The command line: `fastemd pairwise`, `fastemd nearest` and `fastemd info`."""

from .commands import app

__all__ = ["app"]
