"""The messages of a request, in all the forms that clients send."""

from typing import Any

import pytest

from agent.server.faults import Fault
from agent.server.work.messages import Talk, chat_messages, talk_of

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_the_last_message_is_the_question_and_the_others_are_the_history() -> None:
    messages = [
        {"role": "system", "content": "Be short."},
        user("Hello"),
        {"role": "assistant", "content": "Hi."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        user("What is 6*7?"),
    ]
    assert talk_of(messages, "messages") == Talk(
        question="What is 6*7?",
        history=(user("Hello"), {"role": "assistant", "content": "Hi."}),
        instructions="Be short.\n\nBe kind.",
    )


def test_a_result_of_a_call_may_be_told_in_place_of_a_question() -> None:
    messages = [
        user("What is the weather?"),
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    ]
    talk = talk_of(messages, "messages")
    assert (talk.question, talk.call_id) == ("rain", "c1")
    assert talk.history[1] == {"role": "assistant", "content": "", "tool_calls": [CALL]}


@pytest.mark.parametrize("empty", [None, [], "", [{"type": "text", "text": ""}]])
def test_earlier_content_may_be_nothing(empty: object) -> None:
    talk = talk_of([{"role": "assistant", "content": empty}, user("x")], "messages")
    assert talk.history == ({"role": "assistant", "content": ""},)


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        [{"text": "a"}, {"text": "b"}],
        ["a", "b"],
        [{"type": "input_text", "text": "a"}, {"type": "output_text", "text": "b"}],
    ],
)
def test_parts_of_text_are_lines(parts: list[Any]) -> None:
    assert talk_of([user(parts)], "messages").question == "a\nb"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
        {"type": "image_url", "image_url": "data:image/png;base64,AA"},
        {"image": "data:image/png;base64,AA"},
    ],
)
def test_images_go_with_the_question_and_stay_in_the_history(part: dict[str, Any]) -> None:
    url = "data:image/png;base64,AA"
    earlier, now = user([{"text": "This?"}, part]), user([part])
    talk = talk_of([earlier, now], "messages")
    assert (talk.question, talk.images) == ("See the image.", (url,))
    assert talk.history[0]["content"] == [
        {"type": "text", "text": "This?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]


def test_half_a_pair_of_surrogates_becomes_a_mark() -> None:
    assert talk_of([user("a\ud800")], "messages").question == "a?"


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([], "messages is empty: it needs a message with the role user."),
        (["x"], "messages[0] must be an object with role and content, and is 'x'."),
        ([{"role": "king", "content": ""}],
         "messages[0].role must be one of system, developer, user, assistant, tool, and is 'king'."),
        ([user(7)], "messages[0].content must be a text or a list of parts, and is 7."),
        ([user([{"type": "input_audio", "input_audio": {}}])],
         "messages[0].content[0] is of the kind 'input_audio': this server takes text and images."),
        ([user([{"image": "file:///etc/passwd"}])],
         "messages[0].content[0].image must be a URL of http, https or data, and is 'file:///etc/passwd'."),
        ([user(" ")], "The last of messages has no text: there is nothing to answer."),
        ([user("x"), {"role": "assistant", "content": "y"}],
         "The last of messages must have the role user or tool: there is nothing to answer."),
        ([{"role": "tool", "content": "y"}], "messages[0].tool_call_id must be a text, and is None."),
        ([{"role": "assistant", "content": "", "tool_calls": [{"id": "a"}]}, user("x")],
         "messages[0].tool_calls[0] must be a call of a function, and is {'id': 'a'}."),
        ([{"role": "system", "content": [{"image": "data:,"}]}, user("x")],
         "messages[0].content has an image: only the role user has images."),
        ([user("x")] * 5001, "messages has 5001 messages, over the limit of 5000."),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(messages: list[Any], told: str) -> None:
    with pytest.raises(Fault) as caught:
        talk_of(messages, "messages")
    assert (caught.value.status, caught.value.message) == (400, told)
    assert caught.value.param is not None


def test_messages_for_the_model_itself_keep_their_order() -> None:
    messages = [{"role": "system", "content": [{"text": "Be short."}]}, user([{"text": "Hi"}])]
    assert chat_messages(messages, "m") == [{"role": "system", "content": "Be short."}, user("Hi")]
