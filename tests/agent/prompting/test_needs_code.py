"""Which answers are asked to be checked with code, and which are left alone: written examples, both ways."""

import time

import pytest

from agent.prompting.needs_code import calls_for_precision, needs_check

LEFT_ALONE = [
    ("Hi", "Hello! How can I help you today?"),
    ("Hello, who are you?", "I am a Python programmer. I can run code for you."),
    ("What can you do?", "I can write Python, run it, read files and calculate. What do you want to know?"),
    ("What can you do?", "I can help you with: calculations, data analysis, plots. Let me know what to calculate."),
    ("Thanks!", "You're welcome!"),
    ("What is a prime number?", "A number above 1 with no divisor but 1 and itself, such as 2, 3 and 5."),
    ("In one sentence: what is a prime number?", "A number above 1 with no divisor but 1 and itself."),
    ("What is a median?", "The middle value of a sorted list."),
    ("Explain the difference between a list and a tuple.", "A list can be changed, a tuple cannot."),
    ("Explain what a standard deviation is", "It tells how far values lie from their mean."),
    ("What does HTTP 404 mean?", "It means that the page was not found."),
    ("Who wrote Hamlet?", "William Shakespeare wrote Hamlet."),
    ("When did the Second World War end?", "It ended in 1945."),
    ("What is the capital of France?", "Paris."),
    ("Define recursion.", "A function that calls itself."),
    ("What does the sum function do in Excel?", "It adds the numbers of a range."),
    ("Who discovered the Fibonacci sequence?", "Leonardo of Pisa described it in 1202."),
    ("Write a haiku about rain.", "Soft rain on the roof\nthe gutters hum a low song\nthe cat sleeps through it"),
    ("Which is better, pandas or polars?", "It depends on the size of your data."),
    ("How do I reverse a list in Python?", "Call reversed(items) or items[::-1]."),
    ("Translate 'good morning' into French.", "Bonjour."),
    ("Why is the sky blue?", "Short wavelengths scatter more strongly."),
    ("Tell me a joke", "Why do programmers mix up Halloween and Christmas? Because Oct 31 is Dec 25."),
    ("什么是素数?", "素数是只能被1和它本身整除的数。"),
    ("你好", "你好!有什么可以帮你?"),
    ("Is Python compiled?", "It is compiled to bytecode, then interpreted, since version 1."),
    ("good morning!", "Good morning! What can I do for you?"),
    ("What's your name?", "I am Cellblock."),
    ("how are you?", "Fine, thanks."),
    ("What is Python?", "A programming language created in 1991 by Guido van Rossum."),
    ("What are generators?", "Functions that yield."),
    ("Which libraries do you have?", "numpy, pandas, scipy, sympy and matplotlib."),
    ("Can you read CSV files?", "Yes, put the file into /workspace and I read it with pandas."),
    ("Give me a synonym of happy", "Joyful."),
    ("What's the boiling point of water?", "100 °C at sea level."),
    ("Summarize Moby Dick in one sentence.", "A captain hunts a white whale."),
    ("What is machine learning?", "Learning from data."),
    ("Do you have internet access?", "No, there is no network."),
    ("thanks, that's all", "You're welcome."),
    ("What is the difference between mean and median?", "The mean is the sum divided by the count."),
    ("Who was Fibonacci?", "An Italian mathematician, born around 1170."),
    ("What languages do you speak?", "Many."),
    ("How does quicksort work?", "It picks a pivot and sorts both sides."),
    ("When was Python 3 released?", "December 3, 2008."),
    ("Is a tomato a fruit?", "Yes."),
    ("What is the largest planet?", "Jupiter."),
    ("How do I install pandas?", "Run pip install pandas."),
    ("Help", "Ask me a question; I write Python and run it. For example: what is 2 ** 100?"),
]
ASKED_AGAIN = [
    ("What is 123 to the power of 21?", "It is 772693."),
    ("2+2", "4"),
    ("What is 17 * 23?", "391"),
    ("What is 15% of 80?", "12"),
    ("What is the 100th Fibonacci number?", "354224848179261915075"),
    ("How many primes are below 1000?", "There are 168."),
    ("How many r are in strawberry?", "Two."),
    ("Spell strawberry backwards.", "yrrebwarts"),
    ("Leave out the vowels of extraordinary.", "xtrrdnry"),
    ("List the permutations of abc.", "abc, acb, bac"),
    ("2024 年 5 月 1 日是星期几?", "星期三"),
    ("Sort these words: pear, apple, fig", "apple, fig, pear"),
    ("Compute the determinant of [[1,2],[3,4]]", "-2"),
    ("What is the median of 3, 9, 4?", "4"),
    ("What day of the week was 2000-01-01?", "Saturday"),
    ("Convert 255 to hexadecimal.", "ff"),
    ("Plot sin(x).", "Here is a plot of the sine."),
    ("What is 20!?", "2432902008176640000"),
    ("计算 1 到 100 的总和", "5050"),
    ("Tell me about the file", "Let me load the file with Python:"),
    ("Is it a leap year?", "Let me calculate that with Python:"),
    ("Is 91 special?", "I will run some code to check."),
    ("Find the answer.", "Here is the Python code:"),
    ("Which is larger?", "We can verify this by calculating: 3 * 7 = 21, so the first."),
    ("How tall is a stack of all the coins?", "It is approximately 1,234.5 metres."),
    ("If I save 20 a week, when do I have 500?", "500 / 20 = 25 weeks."),
    ("Reverse the word cellblock", "kcolbllec"),
    ("What is the average of the column?", "About 17."),
    ("(3 + 4) * 12 =", "84"),
    ("What is sqrt(2) to 30 digits?", "1.414213562373095048801688724209"),
    ("Give me the first ten primes", "2, 3, 5, 7, 11, 13, 17, 19, 23, 29"),
    ("Is 7919 prime?", "Yes, 7919 is prime."),
    ("Sum of 1..100?", "5050"),
    ("What's 3^7 mod 5", "2"),
    ("Who won more: team A with 3*4 points or B with 11?", "A has 12."),
    ("gcd of 12 and 18", "6"),
    ("integrate x^2 from 0 to 3", "9"),
    ("Solve x^2 - 5x + 6 = 0", "x = 2 or 3"),
    ("How old is someone born in 1987-03-04 today?", "37"),
    ("Draw a histogram of 1000 random numbers", "I will generate the histogram."),
    ("What is the sha256 of 'abc'?", "ba7816bf..."),
    ("Simulate 1000 dice rolls", "The mean is about 3.5."),
    ("Which word occurs most often in this text: a b a", "a"),
    ("list the anagrams of 'stop'", "opts, pots"),
    ("What is the 50th prime?", "229"),
    ("Compound interest on 1000 at 5% for 3 years", "1157.63"),
    ("How long is 1e6 seconds?", "It is 11.57 days."),
    ("Multiply 12 and 13", "156"),
    ("What is 1000 divided by 7?", "142.857"),
    ("Check if 'racecar' is a palindrome", "To check this, I'll write a small script:"),
    ("Fit a line to (1,2),(2,4)", "y = 2x"),
    ("What's today's date?", "To find the date, we can run the following code:"),
]


@pytest.mark.parametrize(("task", "answer"), LEFT_ALONE)
def test_an_answer_that_needs_no_code_is_left_alone(task: str, answer: str) -> None:
    assert not needs_check(task, answer, has_files=False)


@pytest.mark.parametrize(("task", "answer"), ASKED_AGAIN)
def test_an_answer_that_code_should_have_given_is_asked_again(task: str, answer: str) -> None:
    assert needs_check(task, answer, has_files=False)


def test_a_file_calls_for_code() -> None:
    assert needs_check("What is in it?", "A table.", has_files=True)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("Give pi to 40 decimal places.", True),
        ("What are the first 100 digits of e?", True),
        ("The cube root of 5 with 30 significant digits", True),
        ("圆周率小数点后 30 位是什么?", True),
        ("Give the root to 3 decimals.", False),
        ("What are the last 10 digits of 7**99?", False),
        ("How many decimal digits does 2**1000 have?", False),
        ("What is 123 to the power of 21?", False),
        ("Add up 4000 and 12.", False),
    ],
)
def test_a_question_for_more_digits_than_a_float_holds_is_known(task: str, expected: bool) -> None:
    assert calls_for_precision(task) == expected


@pytest.mark.parametrize("unit", [": ", "what does ", "1+", "let me ", "≈ "])
def test_a_long_task_and_a_long_answer_take_little_processor_time_to_judge(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    begun = time.process_time()
    needs_check(text, text, has_files=False)
    assert time.process_time() - begun < 5
