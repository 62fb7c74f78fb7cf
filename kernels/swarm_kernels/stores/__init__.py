"""What holds the tokens that have left the window: as they came, or quantised."""

from .base import Store, attend
from .kivi import KiviStore
from .packed import PackedStore
from .plain import PlainStore

__all__ = ["KiviStore", "PackedStore", "PlainStore", "Store", "attend"]
