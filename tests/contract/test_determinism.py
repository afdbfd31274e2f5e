"""What makes two runs of the same code alike: always what costs nothing, and chance itself with a seed."""

import json

import pytest

from sandbox import Launcher, Policy, Session

pytestmark = pytest.mark.docker

CHANCE = "import random\nimport numpy as np\nprint(random.random(), np.random.rand(), hash('a'))"
SURROUNDINGS = "import os, time\nprint(os.environ['TZ'], os.environ['LC_ALL'], time.tzname[0], hash('a'))"
THREADS = (
    "import json, os\nprint(json.dumps({n: value for n, value in os.environ.items() if n.endswith('_NUM_THREADS')}))"
)


async def said(launcher: Launcher, policy: Policy, *codes: str) -> list[str]:
    async with Session(launcher, policy) as session:
        return [(await session.execute(code)).text for code in codes]


async def test_time_zone_locale_and_hashes_are_the_same_in_every_sandbox(launcher: Launcher) -> None:
    first, again = [await said(launcher, Policy(), SURROUNDINGS, "list({'a', 'b', 'c', 'd'})") for _ in range(2)]
    assert first == again
    assert first[0].startswith("UTC C.UTF-8 UTC ")


async def test_chance_is_left_alone_without_a_seed(launcher: Launcher) -> None:
    [first], [again] = [await said(launcher, Policy(), CHANCE) for _ in range(2)]
    assert all(one != other for one, other in zip(first.split()[:2], again.split()[:2], strict=True))


async def test_a_seed_fixes_chance_in_every_sandbox_and_another_seed_does_otherwise(launcher: Launcher) -> None:
    first, again, other = [await said(launcher, Policy(seed=seed), CHANCE, CHANCE) for seed in (7, 7, 8)]
    assert first == again
    assert not set(" ".join(first).split()) & set(" ".join(other).split())


async def test_a_replaced_kernel_begins_with_the_seed_anew(launcher: Launcher) -> None:
    async with Session(launcher, Policy(seed=7)) as session:
        first = (await session.execute(CHANCE)).text
        await session.execute("import os; os._exit(1)")
        assert (await session.execute(CHANCE)).text == first


async def test_numpy_is_seeded_whoever_imports_it(launcher: Launcher) -> None:
    drawn = "import numpy\nprint(numpy.random.rand())"
    direct = await said(launcher, Policy(seed=7), drawn)
    by_pandas = await said(launcher, Policy(seed=7), "import pandas", drawn)
    assert direct[-1] == by_pandas[-1]
    assert direct == await said(launcher, Policy(), "import numpy; numpy.random.seed(7); print(numpy.random.rand())")


async def test_numerical_libraries_have_one_thread_with_a_seed(launcher: Launcher) -> None:
    [free], [fixed] = await said(launcher, Policy(), THREADS), await said(launcher, Policy(seed=0), THREADS)
    assert free == "{}\n"
    assert set(json.loads(fixed)) >= {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
    assert set(json.loads(fixed).values()) == {"1"}


async def test_the_variables_of_the_user_go_before_ours(launcher: Launcher) -> None:
    policy = Policy(seed=7, environment={"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "2"})
    told = "import os\nprint(os.environ['TZ'], os.environ['PYTHONHASHSEED'], os.environ['OMP_NUM_THREADS'])"
    assert await said(launcher, policy, told) == ["Asia/Tokyo 1 2\n"]
