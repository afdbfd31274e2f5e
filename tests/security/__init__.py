import pytest

pytest.register_assert_rewrite("tests.security.attempts")
