"""The one exception that ends a run with one line instead of a traceback."""


class UserError(Exception):
    """A mistake that the user can correct; the message names the flag or file, the received and a right value."""
