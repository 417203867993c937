"""Property tests here try the same examples on every run, and no example fails for being slow on a busy machine."""

from hypothesis import settings

settings.register_profile("registers", deadline=None, derandomize=True)
settings.load_profile("registers")
