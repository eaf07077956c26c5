"""The one exception that means "the user gave us something wrong".

The command line prints its text as one line and exits with 2; everything else is a defect and keeps its traceback.
"""


class InputError(ValueError):
    """What is wrong, where, and what to do about it, in one line."""
