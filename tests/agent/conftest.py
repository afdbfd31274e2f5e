"""Hypothesis profiles for this package: `--hypothesis-profile=fuzz` runs each property 100,000 times."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fuzz", max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
