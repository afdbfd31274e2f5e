"""Requirements of a policy: what they are, in which form they are kept, and what is none."""

import pytest

from sandbox import Policy, SettingsError
from sandbox.packages import digest_of, locked, names_of, versions_in

HASH = "ab" * 32


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("polars", "polars"),
        ("Scikit_Learn", "scikit-learn"),
        (" ruamel.yaml ", "ruamel-yaml"),
        ("polars == 1.*", "polars==1.*"),
        ("polars>=1,<2", "polars<2,>=1"),
        ("pandas[excel, Parquet]", "pandas[excel,parquet]"),
        ('tomli; python_version<"3.11"', 'tomli; python_version < "3.11"'),
        (f"polars==1.0 --hash=sha256:{HASH}", f"polars==1.0 --hash=sha256:{HASH}"),
    ],
)
def test_a_requirement_is_kept_in_its_normal_form(given: str, kept: str) -> None:
    assert Policy(packages=(given,)).packages == (kept,)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "it must be a package"),
        ("scikit learn", "it must be a package"),
        ("polars==", "it must be a package"),
        ("polars=1", "it must be a package"),
        ("polars@1.0", "'@' is for URLs; a version is written as in polars==1.0"),
        ("-r requirements.txt", "it is an option of pip"),
        ("--index-url=http://example.com", "it is an option of pip"),
        ("polars --index-url=http://example.com", "it is a path or a URL"),
        ("polars --pre", "it must be a package"),
        ("./polars", "it is a path or a URL"),
        ("polars-1.0-py3-none-any.whl", "it is a path or a URL"),
        ("polars @ https://example.com/polars.whl", "it is a path or a URL"),
        ("polars @ file:polars.whl", "it is a path or a URL"),
        ("git+https://example.com/polars", "it is a path or a URL"),
        ("polars\n--pre", "a requirement is one line"),
        ("p" * 501, "a requirement is one line"),
        (f"polars==1.0 --hash=sha256:{HASH} --pre", "it must be a package"),
    ],
)
def test_options_paths_and_urls_are_refused(given: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        Policy(packages=(given,))


def test_policies_that_ask_for_the_same_are_equal() -> None:
    assert Policy(packages=("b", "A", "a")) == Policy(packages=("a", "B"))
    assert Policy.model_validate({"packages": "polars"}).packages == ("polars",)


def test_a_lock_is_not_mixed_with_requirements() -> None:
    with pytest.raises(SettingsError, match="either all packages have a hash, or none has"):
        Policy(packages=("humanize", f"polars==1.0 --hash=sha256:{HASH}"))


def test_a_lock_names_versions() -> None:
    lock = (locked("Polars_Runtime", "1.0+cpu", HASH), locked("humanize", "4.17.0", HASH))
    assert versions_in(lock) == {"polars-runtime": "1.0+cpu", "humanize": "4.17.0"}
    assert names_of(("pandas[excel]>=2", *lock)) == ["pandas", "polars-runtime", "humanize"]
    with pytest.raises(ValueError, match="is no line of a lock"):
        locked("humanize", "1 --pre", HASH)


def test_the_name_of_an_image_follows_from_what_it_is_made_of() -> None:
    assert digest_of("sha256:1", ("a", "b")) == digest_of("sha256:1", ("b", "a"))
    assert digest_of("sha256:1", ("a",)) != digest_of("sha256:2", ("a",)) != digest_of("sha256:2", ("b",))
