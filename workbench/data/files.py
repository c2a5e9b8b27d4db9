"""Files of a dataset: named when damaged."""


class DamagedFile(ValueError):
    """A file that cannot be read as what its name says; the message names it."""
