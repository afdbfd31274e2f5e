"""Text that is no table: its lines, and the words in capitals that recur in it."""

from sandbox.profiles import FileProfile
from tests.sandbox.profiler.conftest import Look


def words_of(told: FileProfile) -> list[tuple[str, int]]:
    return [(word.word, word.count) for word in told.words]


def test_the_levels_of_a_log_are_counted_where_they_stand(look: Look) -> None:
    lines = ["10:00 INFO start", "10:01 INFO no-ERROR-page", "10:02 ERROR x", "  raise ERROR('x')", "E: ERROR again"]
    told = look("app.log", "\n".join(lines * 4) + "\n")
    assert (told.line_count, told.word_place) == (20, 1)
    assert words_of(told) == [("INFO", 8), ("ERROR", 8)]
    assert [word.line for word in told.words] == ["10:00 INFO start", "10:02 ERROR x"]


def test_a_word_is_told_with_the_marks_around_it_as_split_gives_it(look: Look) -> None:
    told = look("x.log", "a [WARN] b\na [ERROR] b\n" * 3)
    assert (words_of(told), told.word_place) == ([("[WARN]", 3), ("[ERROR]", 3)], 1)


def test_words_at_no_one_place_are_counted_by_lines(look: Look) -> None:
    told = look("x.log", "ERROR a\nb ERROR c\nd e ERROR ERROR\nf g h WARN\nnothing\n" * 2)
    assert (words_of(told), told.word_place) == ([("ERROR", 6), ("WARN", 2)], None)


def test_eight_words_are_told_at_most_and_none_that_is_there_once(look: Look) -> None:
    many = "".join(f"x {chr(65 + number) * 4}\n" * (20 - number) for number in range(12))
    assert [count for _, count in words_of(look("x.log", many + "x ONCE\n"))] == list(range(20, 12, -1))
    assert words_of(look("x.txt", "Plain words of a letter.\nNo word in capitals recurs: ONCE.\n")) == []


def test_the_last_line_counts_with_and_without_an_end(look: Look) -> None:
    assert [look("x.log", text).line_count for text in ("a", "a\n", "a\nb", "a\r\nb\r\n")] == [1, 1, 2, 2]
