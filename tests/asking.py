"""What a process of ours answers at the port that it named on standard error."""

from __future__ import annotations

import urllib.error
import urllib.request


def get(said: str, path: str) -> tuple[int, str]:
    """Status and text of a page.

    Args:
        said: What the process wrote; the port that it named last is asked.
        path: Such as `/metrics`.
    """
    port = said.rsplit("metrics at port ", 1)[1].split()[0]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(page: str, name: str) -> float:
    """Sum over the series of a metric in the text of `/metrics`."""
    lines = page.splitlines()
    return sum(float(one.rsplit(" ", 1)[1]) for one in lines if one.split("{")[0].split(" ")[0] == name)
