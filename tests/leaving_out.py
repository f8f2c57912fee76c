"""What becomes of tests whose foreign program cannot be had on this machine: left out and said so, or, in CI, failed.

`.ci/run` sets the variable: that a real telephone exchange, unmodified update clients and a store that speaks S3 work is promised,
and so is tried there.
"""

import os
import warnings
from typing import Final, NoReturn

import pytest

NOTHING: Final = "VIGIE_TESTS_LEAVE_OUT_NOTHING"


def leave_out(why: str) -> NoReturn:
    """Skip the test that asked, with a warning that stands in the summary; fail it where nothing may be left out."""
    if os.environ.get(NOTHING):
        pytest.fail(f"{why}; {NOTHING} is set, so this is a failure", pytrace=False)
    warnings.warn(why, stacklevel=2)
    pytest.skip(why)
