"""What the model reads about each way in which a cell can go."""

import pytest

from agent.prompting.observation import MAX_CHARS, observe
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, Output, StreamOutput


def out(text: str, **fields: object) -> StreamOutput:
    return StreamOutput.model_validate({"name": "stdout", "text": text} | fields)


CASES: dict[str, tuple[Execution, str]] = {
    "printed": (Execution(status="ok", outputs=[out("1\n2\n")]), "1\n2"),
    "a value": (Execution(status="ok", outputs=[ExecuteResult(data={"text/plain": "42"})]), "42"),
    "nothing": (Execution(status="ok"), "The code ran without output. Print what you need to see."),
    "an image": (
        Execution(status="ok", outputs=[DisplayData(data={"image/png": "iVB", "text/plain": "<Figure>"})]),
        "[image shown: image/png]",
    ),
    "an error": (
        Execution(
            status="error",
            outputs=[out("a\n"), ErrorOutput(ename="E", evalue="v", traceback=["\x1b[31mTraceback", "E: v"])],
        ),
        "a\nTraceback\nE: v",
    ),
    "left out": (
        Execution(
            status="ok",
            outputs=[
                out("head"),
                out("tail", omitted_bytes=7, full_text_path="/workspace/x", full_text_bytes=15),
                ExecuteResult(data={"text/plain": "42"}),
            ],
        ),
        "head\n[... 7 bytes left out ...]\ntail\n42\n[The first 15 bytes of the output are in /workspace/x.]",
    ),
    "interrupted": (
        Execution(status="timeout", cause="timeout", duration_s=60.2, outputs=[out("a\n")]),
        "a\nThe code was stopped after 60 s. Use a faster method or a smaller input.\n"
        "Variables of earlier cells are kept.",
    ),
    "crashed": (
        Execution(status="died", cause="signal SIGSEGV", state_lost=True),
        "The Python process died (signal SIGSEGV).\n"
        "All variables and imports are lost: run again what you need. Files are kept.",
    ),
    "out of memory": (
        Execution(status="died", cause="out_of_memory", state_lost=True),
        "The Python process was killed because memory ran out. Use less memory.\n"
        "All variables and imports are lost: run again what you need. Files are kept.",
    ),
    "a child out of memory": (
        Execution(status="ok", outputs=[out("-9\n")], oom_kills=1),
        "-9\nA child process was killed because memory ran out. Use less memory.",
    ),
    "out of time for good": (
        Execution(status="timeout", cause="session_timeout", duration_s=30, state_lost=True, files_lost=True),
        "The time limit for all code of this task is reached; the code was stopped after 30 s.\n"
        "All variables and files are lost: start from the beginning.",
    ),
    "sandbox lost": (
        Execution(status="died", cause="sandbox_lost", state_lost=True, files_lost=True),
        "The sandbox was lost while the code ran.\nAll variables and files are lost: start from the beginning.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_exact_words(case: str) -> None:
    execution, words = CASES[case]
    assert observe(execution) == words


def test_a_long_output_keeps_both_ends() -> None:
    outputs: list[Output] = [out("a" * MAX_CHARS + "b" * MAX_CHARS)]
    text = observe(Execution(status="ok", outputs=outputs))
    assert text.startswith("aaa")
    assert text.endswith("bbb")
    assert f"[... {MAX_CHARS} characters left out ...]" in text


def test_a_progress_bar_is_its_last_state() -> None:
    assert observe(Execution(status="ok", outputs=[out("10%\r50%\r100%\ndone")])) == "100%\ndone"
