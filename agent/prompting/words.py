"""What the model is told beside what its code printed: every sentence, in one place."""

OBSERVATION = {
    "nothing": "The code ran without output. Print what you need to see.",
    "assigned": "The code ran without output. Print what you need to see: print({name})",
    "timeout": "The code was stopped after {seconds:.0f} s. Use a faster method or a smaller input.",
    "interrupted": "The code was stopped from outside after {seconds:.0f} s.",
    "died": "The Python process died ({cause}).",
    "out_of_memory": "The Python process was killed because memory ran out. Use less memory.",
    "sandbox_lost": "The sandbox went away while the code ran.",
    "session_timeout": "The time for all code of this task is over; the code was stopped after {seconds:.0f} s.",
    "child_out_of_memory": "A child process was killed because memory ran out. Use less memory.",
    "state_kept": "Variables of earlier cells are kept.",
    "state_lost": "All variables and imports are gone: run again what you need. Files are kept.",
    "files_lost": "All variables and files are gone: start again from nothing.",
    "omitted": "\n[... {count} bytes left out ...]\n",
    "full_text": "[The first {size} bytes of the output are in {path}.]",
    "omitted_outputs": "[{count} further outputs were left out.]",
    "image": "[image shown: {kind}]",
    "cut": "\n[... {count} characters left out ...]\n",
    "shortened": "\n[... {count} characters of this old output left out to save space ...]\n",
    "repeated_frame": "[the same {count} more times]",
    "not_run": "The code was not run. {why}",
    "turn_over": "The turn was stopped before.",
    "no_calls_left": "The limit on calls is reached.",
    "abandoned": "The code was stopped before its end.",
    "output": "Output:\n{text}",
    "tool_failed": "{name} failed: {error}",
    "bad_arguments": "The arguments of {name} are wrong, so it was not called: {errors}.",
    "unreadable_arguments": "they are cut off, or no JSON",
}

HINTS = {
    "missing_module": "{name!r} is not installed, and nothing can be downloaded: there is no network.",
    "missing_module_online": "{name!r} is not installed.",
    "installed": "Installed are {packages} and Python's own modules. Write the program with these.",
    "other_name": "Did you mean {names}?",
    "own_module": "The module {own} does the same.",
    "class_not_module": "{name} is here the class {name}.{name}, and not its module: "
    "write from {name} import {attribute}.",
    "no_pip": "Nothing can be installed: there is no network and no pip.",
    "no_pip_online": "There is no pip here.",
    "files": "The files in /workspace are: {files}.",
    "no_files": "There are no files in /workspace.",
    "no_input": "Nobody can type anything: write the values into the code.",
    "tool_not_function": "{name} is a tool and no Python function: call it as you call run_python.",
    "overflow": "A numpy integer has 64 bits and overflows without an error: "
    "for a number this large, use Python's own integers.",
    "repeated_import": "{name!r} is still not there. Do not import it again: write what you need of it yourself, "
    "in plain Python.",
    "repeated": "This is the same code with the same error as before. Change something: "
    "mend the line that fails, or do it another way.",
}

INSTRUCTION = {
    "write": "Write a Python program for this in a ```python block.",
    "write_precisely": "Write a Python program for this in a ```python block. A float has only 16 digits: "
    "use mpmath with a higher mp.dps, or integers.",
    "limit": "No more code can be run. Give your best answer now, from what you have seen.",
    "nudge": "Nothing was run for this. Write a Python program for it in a ```python block now. Only if no program can "
    "help, say your answer again.",
    "failed": "The last program failed, so there is no result. Mend it, and write the whole program again in a "
    "```python block. Only if the error itself is the answer, say your answer again.",
    "no_install": "Nothing can be installed here. Write the whole program again in a ```python block, with Python's "
    "own modules and what is installed. Only if the error itself is the answer, say your answer again.",
    "no_file": "The file {missing} was to be made, and is not there. Write the whole program again in a ```python "
    "block, and let it save {missing}. Only if no file is wanted, say your answer again.",
    "unsaid": "That is not what the program printed, which is {output}\nSay your answer again with exactly that, in "
    "one short sentence.",
    "unseen": "Nothing was printed, so there is no result. Write the whole program in a ```python block, and print the "
    "result. Only if nothing is to be printed, say your answer again.",
    "cut": "Your reply was cut off at the limit on output tokens. Say it again in fewer words.",
    "empty": "Your reply was empty. Answer the question, or write code in a ```python block.",
    "resumed": "You can run code again; variables and files are as they were. Go on.",
    "stopped": "I stopped this answer. Wait for my next question.",
}
