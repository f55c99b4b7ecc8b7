"""The table of solvers: the tests compare every row with the reference, and the comparison measures it.

Each is called in the way that suits it best: where its time grows with the number of bins squared or worse, it is shown
only the bins that hold mass; where it takes a batch, it gets one. All compute in float64, on two threads at most where
that can be set.
"""

from __future__ import annotations

from .entropic import ENTROPIC
from .exact import EXACT
from .formulas import COMPILED, FORMULAS

# In the order in which they are set up. torch.compile is last: without a cache its compiler may take longer than all
# others together, and a quick run's time would be up before they had a turn.
SOLVERS = (*EXACT, *FORMULAS, *ENTROPIC, COMPILED)
