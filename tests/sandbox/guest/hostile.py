"""Values that a kernel can send, chosen to harm their reader."""

from typing import Any

from hypothesis import strategies as st

HUGE = int("9" * 4300)
NESTED: list[object] = []
for _ in range(900):
    NESTED = [NESTED]
HOSTILE: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=300)
    | st.sampled_from([HUGE, -HUGE, NESTED]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
