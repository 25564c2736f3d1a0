"""The keys that the file of a plan may have, and what their values must be."""

# For every key: a test of its value, and the words for a message.
TEXT = (lambda x: isinstance(x, str) and x != "", "a text")
TEXTS = (lambda x: isinstance(x, list) and all(isinstance(y, str) for y in x), "a list of texts")
SOME_TEXTS = (lambda x: TEXTS[0](x) and 0 < len(x) == len(set(x)), "a list of texts, each once")
SEEDS = (
    lambda x: isinstance(x, list) and 0 < len(x) == len({y for y in x if type(y) is int}),
    "a list of whole numbers, each once",
)
NUMBERS = (lambda x: isinstance(x, dict) and all(type(y) in (int, float) for y in x.values()), "a table of numbers")
FLAG_LISTS = (lambda x: isinstance(x, dict) and x and all(map(TEXTS[0], x.values())), "a table of lists of flags")
TABLES = (lambda x: isinstance(x, dict) and x and all(isinstance(y, dict) for y in x.values()), "a table of tables")
LIST_OF_TABLES = (lambda x: isinstance(x, list) and all(isinstance(y, dict) for y in x), "[[pictures]]")

FILE = {
    "title": TEXT,
    "seeds": SEEDS,
    "flags": TEXTS,
    "columns": FLAG_LISTS,
    "rows": TABLES,
    "pictures": LIST_OF_TABLES,
}
STARTS = {"from": "from_run", "init_from": "init_from"}  # key of a row -> the flag that it becomes
ROW = {
    "flags": TEXTS,
    "paper": NUMBERS,
    "columns": SOME_TEXTS,
    "seeds": SEEDS,
    "from_column": TEXT,
    **dict.fromkeys(STARTS, TEXT),
}
PICTURE = {"kind": TEXT, "title": TEXT, "column": TEXT}
