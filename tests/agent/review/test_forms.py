"""The forms that a question shows for its answer are read off their shape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.review.forms import missing_forms


@pytest.mark.parametrize(
    ("task", "good", "bad"),
    [
        ("Answer as @mean[value].", "@mean[34.65]", "The mean is 34.65."),
        ("Answer as @mean[value].", "@mean[34.65]", "@mean[value]"),
        ("@mean[float, two decimals], @top[the name]", "@mean[3.10], @top[Bob]", "@mean[3.10]"),
        ("Answer as @mean[value].", "@mean[34]", "@mean[...]"),
        ("Answer as @mean[value].", "@mean[a value]", "@mean[ ]"),
        ("Answer: <list>", "Answer: []", "Answer: <list>"),
        ("Answer: ___", "Answer: 😀", "Answer: ___"),
        ("Answer: ___", "Answer: ∞", "MyAnswer: 5"),
        ("<answer></answer>", "<answer>\n5\n</answer>", "<answer> </answer>"),
        ("<answer>value</answer>", "<answer>the value</answer>", "<answer>value</answer>"),
        ("put it in \\boxed{...}", "\\boxed{\n5\n}", "\\boxed{...}"),
        ('{"mean": <float>}', '{"mean": 3}', '{"mean": "<float>"}'),
        ('{"a": "...", "b": 0}', '{"a": "x", "b": 0}', '{"a": "...", "b": 0}'),
        ('{"<city>": <number>, ...}', '{"Ulm": 5}', "Ulm: 5"),
        ("Give RESULT[number].", "RESULT[5]", "5"),
        (r"Put it in \boxed{}.", r"It is \boxed{5}.", "It is 5."),
        ("Reply as `Total: <n> EUR`.", "Total: 5 EUR", "5 EUR"),
        ("x = <x>, y=<y>", "x=3, y = 4", "3 and 4"),
        ("End with:\nAnswer: ___", "So:\n**Answer:** 5", "So 5."),
        ("“Answer: [number]”", "Answer: 5", "5"),
        ("Use <answer></answer>.", "<answer>5</answer>", "5"),
        ('As {"mean": <float>, "n": <int>}', '```json\n{"mean": 3.4, "n": 2}\n```', "mean 3.4, n 2"),
        ('As {"name": "...", "n": 0}', '{"n": 2, "name": "x"}', '{"name": "x"}'),
        ('[{"city": "string", "rows": [{"a": "number"}]}]', '[{"city": "x", "rows": [{"a": 1}]}]', '{"a": 1}'),
        ("A table:\n| City | People |\n|---|---|", "| City | People |\n|:--|--:|\n| Ulm | 5 |", "Ulm has 5."),
    ],
)
def test_an_answer_has_the_form_or_lacks_it(task: str, good: str, bad: str) -> None:
    assert missing_forms(task, good) == []
    assert missing_forms(task, bad)


@pytest.mark.parametrize(
    "task",
    [
        "Is arr[i] larger than list[int] in vector<int>?",
        'What is the sum of {"a": 1, "b": "Bob Smith"}?',
        "| City | People |\n|---|---|\n| Ulm | 5 |\nHow many?",
        "What does x = [n**2 for n in range(5)] do?",
        "```python\nprint(f'@mean[value]')\n```\nWhat does it print?",
        "If a < b and c > d, is f(x) positive? Dates are YYYY-MM-DD.",
        'How many keys has {"a": 0, "b": null, "c": true}?',
        'Why is {"a": 1,} no JSON, and {"a": 1,, "b": 2}?',
        "Colors: [red, green]\nHow many?",
        "What does foo#bar[baz] mean to @bob[1] and bob@x.com[mailto:bob]?",
        "Write to me@example.com about issue #12.",
        "Why is <b>this</b> bold and <script>x = 1</script> not?",
        "What is $\\frac{a}{b}$?",
    ],
)
def test_what_data_and_code_have_is_no_form(task: str) -> None:
    assert missing_forms(task, "5") == []


@given(st.text(), st.text())
def test_any_question_is_read(task: str, answer: str) -> None:
    missing_forms(task, answer)


def test_a_hostile_question_is_read_in_linear_time() -> None:
    for piece in ("@a[", '{"a": ', "|a", "<a>", "A: ", "a=<"):
        assert missing_forms(piece * 40_000, piece * 40_000) is not None


@pytest.mark.parametrize(
    ("task", "piece"),
    [("@a[x]", "@a["), (r"\boxed{}", r"\boxed{"), ("<a1></a1>", "<a1>"), ("| a | b |", "| a ")],
)
def test_a_hostile_answer_is_read_in_linear_time(task: str, piece: str) -> None:
    assert missing_forms(task, piece * 20_000)
