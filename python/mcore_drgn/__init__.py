"""Opens mcore's compressed dumps in drgn: `open_dump(path)` gives a Program."""

from .program import open_dump

__all__ = ["open_dump"]
