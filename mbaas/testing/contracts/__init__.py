"""What every store must do: plain test functions, run on any store by a test module that imports them.

    from mbaas.testing.contracts.documents import *

The test tree provides two fixtures: `clock`, a `mbaas.testing.clock.FakeClock`, and `store`, an empty store that reads
this clock. Tests are coroutines (pytest-asyncio in auto mode). `text` is for stores with a text index.
"""
