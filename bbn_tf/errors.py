"""The one exception that ends a run with one line instead of a traceback."""


class UserError(Exception):
    """Something the user can put right; the message names the flag or file, what was received and
    what would be right."""
