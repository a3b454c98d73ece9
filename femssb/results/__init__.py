"""Results of a run: series, fields and numbers; they load without DOLFINx."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
