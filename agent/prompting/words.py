"""The sentences that the model reads beside the system prompt and the output of its code."""

OBSERVATION = {
    "nothing": "The code ran without output. Print what you need to see.",
    "blank": "The output is blank. Print what you need to see.",
    "assigned": "The code ran without output. Print what you need to see: print({name})",
    "timeout": "The code was stopped after {seconds:.0f} s. Use a faster method or a smaller input.",
    "interrupted": "The code was stopped from outside after {seconds:.0f} s.",
    "died": "The Python process died ({cause}).",
    "out_of_memory": "The Python process was killed because memory ran out. Use less memory.",
    "sandbox_lost": "The sandbox was lost while the code ran.",
    "session_timeout": "The time limit for all code of this task is reached; the code was stopped after "
    "{seconds:.0f} s.",
    "child_out_of_memory": "A child process was killed because memory ran out. Use less memory.",
    "state_kept": "Variables of earlier cells are kept.",
    "state_lost": "All variables and imports are lost: run again what you need. Files are kept.",
    "files_lost": "All variables and files are lost: start from the beginning.",
    "omitted": "\n[... {count} bytes left out ...]\n",
    "full_text": "[The first {size} bytes of the output are in {path}.]",
    "omitted_outputs": "[{count} further outputs were left out.]",
    "image": "[image shown: {kind}]",
    "cut": "\n[... {count} characters left out ...]\n",
    "shortened": "\n[... {count} characters of this old output left out to save space ...]\n",
    "repeated_frame": "[the same {count} more times]",
    "not_run": "The code was not run. {why}",
    "given_functions": "The code was not run. {names} exist already, with real data: call them, do not define them.",
    "turn_over": "The turn was stopped before it.",
    "no_calls_left": "The limit on calls is reached.",
    "abandoned": "The code was stopped before its end.",
    "question": "\n\nThe question was: {task}",
    "output": "Output:\n{text}",
    "tool_failed": "{name} failed: {error}",
    "bad_arguments": "The arguments of {name} are wrong, so it was not called: {errors}.",
    "unreadable_arguments": "they are cut off or not valid JSON",
    "only_in_code": "{name} can be called in code only, so it was not called: call it in a program.",
}

FUNCTIONS = {
    "native": "These functions exist already in the kernel, with real data. Call them in your code; do not define or "
    "import them:",
    "fenced": "These functions exist already in the kernel, with real data. Your program calls them by name; it has no "
    "`def` and no import of them:",
    "fenced_end": "Write the program without functions of your own, and give each result another name than the "
    "function has.",
}
"""What is told of the caller's functions that code can call."""

FILES = {
    "file": "- /workspace/{name} ({size} bytes), {facts}",
    "compressed": "compressed by {compression}",
    "empty": "empty",
    "password": "protected by a password, so it cannot be read",
    "damaged": "damaged or cut off",
    "needs": "which cannot be read here: {package} is not installed",
    "encoding": "encoding {encoding}",
    "separator": "separator {separator}",
    "decimal_comma": "decimal comma",
    "thousands": 'thousands separator "{mark}"',
    "header_lines": "header in line {line}",
    "row_lines": "first row in line {line}",
    "row_names": "each row begins with its name, which has no column name",
    "uneven_rows": "some rows have more cells than the first",
    "has_nul": "with NUL bytes in it",
    "members": "{count} files in it",
    "more_members": "at least {count} files in it",
    "row": "1 row",
    "rows": "{count} rows",
    "about_rows": "about {count} rows",
    "column": "1 column",
    "columns_count": "{count} columns",
    "no_header": "no header",
    "columns": "Columns: {columns}",
    "columns_by": "Columns, by the first {count} rows: {columns}",
    "more_columns": "and {count} more",
    "empty_rows": "{count} of them empty",
    "above": "Above the header:",
    "total_below": 'Below them is a total ("{word}"), which skipfooter={count} leaves out.',
    "total_last": 'The last row is a total ("{word}"), which nrows={count} leaves out.',
    "total": 'The last row is a total ("{word}"): leave it out of sums.',
    "bare_formulas": "It has formulas without results: pandas reads them as NaN.",
    "table": '{kind} "{name}": {facts}',
    "more_tables": "{count} more: {names}",
    "hidden": "hidden",
    "header_row": "column names in row {row} (header={place})",
    "quantity": 'text such as "{example}", not a number yet',
    "quantities": "text, not a number yet",
    "odd": '{count} values are something else, such as "{example}"',
    "blank": "{count} blank",
    "null": "{count} NULL",
    "missing": "{count} missing",
    "as_text": "{type} as text",
    "unsure_date": "{type}, day or month first",
    "read": "Read it with {code}",
    "read_sheet": "Read this sheet with {code}",
    "read_joined": "Read the tables together with {code}",
    "read_elements": "Read the elements of {path}, when df is what that gives, with {code}",
    "foreign_keys": "Foreign keys: {links}",
    "fits": "{column} fits {other}",
    "lines": "{count} lines",
    "line": "1 line",
    "words_at": "Words in capitals, line.split()[{place}]: {words}.",
    "words": "Words in capitals, and how many lines have them: {words}.",
    "word_lines": "Other lines with them:",
    "count_word": "Count one with {code}",
    "seen_lines": "in the first {count} lines",
    "cut": "\n[... {count} characters left out ...] ",
}
"""What is told of given files: their kinds, and the words around what is found in them."""

FILE_KINDS = {
    "csv": "CSV",
    "spaced": "a table with spaces between its columns",
    "fixed": "a table with columns of fixed width",
    "text": "text",
    "json": "JSON",
    "jsonl": "JSON lines",
    "xml": "XML",
    "html": "an HTML page",
    "excel": "an Excel workbook",
    "old_excel": "an old Excel workbook (.xls)",
    "xlsb": "a binary Excel workbook (.xlsb)",
    "ods": "an OpenDocument spreadsheet",
    "sqlite": "an SQLite database",
    "parquet": "Parquet",
    "zip": "a zip archive",
    "tar": "a tar archive",
    "docx": "a Word document",
    "pptx": "a PowerPoint presentation",
    "word": "an old Word document (.doc)",
    "old_office": "an old Office document",
    "pdf": "a PDF document",
    "png": "a PNG image",
    "jpeg": "a JPEG image",
    "gif": "a GIF image",
    "tiff": "a TIFF image",
    "bmp": "a BMP image",
    "webp": "a WebP image",
    "npy": "a numpy array",
    "npz": "numpy arrays",
    "mat": "a MATLAB file",
    "stata": "a Stata file",
    "sas": "a SAS file",
    "spss": "an SPSS file",
    "hdf5": "HDF5",
    "binary": "not text",
}

COLUMN_TYPES = {"code": "code, keep as text", "empty": "always empty", "unknown": ""}

HINTS = {
    "missing_module": "{name!r} is not installed, and nothing can be downloaded: there is no network.",
    "missing_module_online": "{name!r} is not installed.",
    "installed": "Installed are {packages} and Python's own modules. Write the program with these.",
    "other_name": "Did you mean {names}?",
    "own_module": "The module {own} does the same.",
    "class_not_module": "{name} is the class {name}.{name} here, not the module: write from {name} import {attribute}.",
    "no_pip": "Nothing can be installed: there is no network and no pip.",
    "no_pip_online": "There is no pip here.",
    "files": "The files in /workspace are: {files}.",
    "no_files": "There are no files in /workspace.",
    "read_right": "{name} is {facts}. Read it with {code}",
    "file_is": "{name} is {kind}, {why}.",
    "columns": "The columns of {name} are: {columns}.",
    "table_columns": "{name} has: {tables}.",
    "elsewhere": "{column!r} is in the {kind} {table!r} of {name}.",
    "nested": "In {name}, {column!r} is in {paths}.",
    "nulls": "Some records of {name} have no {paths}: use .get(), or check for None.",
    "missing_in": "{path} (missing in {count})",
    "read_it": "Read it with {code}",
    "no_day": "{date} is no date: {month} has {days} days.",
    "no_month": "{date} is no date: there is no month {month}.",
    "tables": "The tables of /workspace/{name} are: {tables}.",
    "sheets": "The sheets of {name} are: {sheets}.",
    "no_input": "No one can type input: write the values into the code.",
    "tool_not_function": "{name} is a tool and no Python function: call it as you call run_python.",
    "not_awaited": "A coroutine has to be awaited: write {names}.",
    "hides": "A variable with the name of a function hides the function. Give yours another name than {names}.",
    "imports": "Do not import {names}: the kernel has that already.",
    "returns": "The functions that the code calls are:",
    "overflow": "A numpy integer has 64 bits and overflows without an error: "
    "for a number this large, use Python's own integers.",
    "running_loop": "A cell runs in an event loop already: write {await_it}.",
    "chained": "An inplace method on a column changes nothing, so the result is wrong. Write {right} in place "
    "of {wrong}.",
    "rewrite": "Write the whole program again in a ```python block.",
    "empty_figure": "plt.show() has closed the figure, so savefig after it has saved an empty picture: "
    "save the figure before it is shown.",
    "repeated_import": "{name!r} is still not there. Do not import it again: write what you need of it yourself, "
    "in plain Python.",
    "repeated": "This is the same code with the same error as before. Change something: "
    "fix the line that fails, or do it another way.",
}

INSTRUCTION = {
    "write": "Write a Python program for this in a ```python block.",
    "write_if_it_helps": "If a program can compute, count, check or make what is asked, write it in a ```python block.",
    "limit": "No more code can be run. Give your best answer now, from what you have seen.",
    "limit_failed": "No more code can be run, and no program has succeeded, so there is no result. Say in one or two "
    "sentences that it failed, and why. Do not give a result.",
    "no_code": "No code was run for this. Write a Python program for it in a ```python block now. Only if no program "
    "can help, repeat your answer.",
    "failed": "The last program failed, so there is no result. Fix it, and write the whole program again in a "
    "```python block. Only if the error itself is the answer, repeat your answer.",
    "no_result": "No program for this question has succeeded, so there is no result. Say in one or two sentences that "
    "it failed, and why. Do not give a result.",
    "not_run": "The last program was not run, so there is no result. Write the whole program again in a ```python "
    "block, without what was wrong with it.",
    "no_install": "Nothing can be installed here. Write the whole program again in a ```python block, with Python's "
    "own modules and the installed packages. Only if the error itself is the answer, repeat your answer.",
    "no_file": "The file {missing} was requested, but does not exist. Write the whole program again in a ```python "
    "block, and let it save {missing}. Only if no file is wanted, repeat your answer.",
    "compact": "Summarize this conversation, so that it can go on from your summary alone. Keep every fact, number, "
    "name, decision and open question. Write only the summary.",
    "compacted": "What was said before, in short:\n{said}",
    "typed": "The answer must be JSON that fits this JSON schema:\n{schema}",
    "schema": "The answer does not fit its JSON schema: {why}\nWrite the answer again, as JSON that fits it, and "
    "nothing else.",
    "uncalled": "A call of {tools} is wanted, and none was made. Make it now.",
    "format": "The answer must have this form: {forms}\nWrite it again in exactly that form, with the values in it and "
    "nothing else.",
    "support": "No output shows {unsupported}. Write a program in a ```python block that computes and prints it, or "
    "repeat your answer without what no output shows.",
    "unstated": "The answer has nothing of what the program printed:\n{printed}\nAnswer the question again, with the "
    "values that it asks for. Only if it asks for none, repeat your answer.",
    "unused": "The question names '{value}', a value of the column {column}, and no program used it. Write the whole "
    "program again in a ```python block, and choose the rows by that value, too. Keep all that the question asks "
    "for besides. Only if the question does not mean it, repeat your answer.",
    "unseen": "The program printed nothing, so there is no result. Write the whole program in a ```python block, and "
    "print the result. Only if nothing needs to be printed, repeat your answer.",
    "cut": "Your reply was cut off at the limit on output tokens. Say it again in fewer words.",
    "empty": "Your reply was empty. Answer the question, or write code in a ```python block.",
    "resumed": "You can run code again; variables and files are unchanged. Continue.",
    "stopped": "I stopped this answer. Wait for my next question.",
}
