"""The tables that say who is told: every problem named, no secret repeated, and the channels as they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from detector.channels import settings
from service.options import Ground
from service.settings import Section, told

SECRET = "T012-B345-verysecret"
TABLES: list[tuple[type[Section], dict[str, Any]]] = [
    (settings.Alertmanager, {"urls": ["http://am.example:9093"], "authorization_file": "auth"}),
    (settings.Webhook, {"name": "soc", "url_file": "hook", "hosts": ["hooks.example"], "secret_file": "key"}),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "auth": f"Bearer {SECRET}\n", "hook": f"https://hooks.example/{SECRET}\n", "key": "k" * 32 + "\n", "short": "k" * 8,
        "two": f"https://hooks.example/{SECRET}\nhttps://x.example/", "plain": f"http://hooks.example/{SECRET}",
        "other": f"https://evil.example/{SECRET}", "user": f"https://u:{SECRET}@hooks.example/", "ftp": f"ftp://h/{SECRET}",
        "json": f"json://h/{SECRET}", "unknown": f"nothing://{SECRET}", "mail": f"mailtos://u:{SECRET}@mail.example?to=a@b.example",
        "bytes": "例え",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "open").write_text("https://hooks.example/")
    (tmp_path / "open").chmod(0o644)
    return tmp_path


def problems(model: type[Section], values: dict[str, Any], folder: Path) -> list[str]:
    """What is wrong with a table, without a secret."""
    lines = []
    try:
        model.model_validate(values, context=Ground(folder, frozenset()))
    except ValidationError as error:
        lines = told(error, model)
    assert SECRET not in "".join(lines)
    return lines


@pytest.mark.parametrize(("model", "values"), TABLES, ids=lambda one: getattr(one, "__name__", ""))
def test_a_right_table_makes_its_channel(model: Any, values: dict[str, Any], folder: Path):
    assert problems(model, values, folder) == []
    made = model.model_validate(values, context=Ground(folder, frozenset())).channel()
    assert made.name == values.get("name", "alertmanager")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"url_file": "other"}, "names a host that is not in hosts"),
        ({"url_file": "plain"}, "http:// would send findings in the clear"),
        ({"url_file": "two"}, "is not one line of ASCII"),
        ({"url_file": "bytes"}, "is not one line of ASCII"),
        ({"url_file": "user"}, "has a user in it"),
        ({"url_file": "ftp"}, "is no address"),
        ({"url_file": "open"}, "everybody may read"),
        ({"url_file": "gone"}, "cannot be read"),
        ({"secret_file": "short"}, "has under 24 bytes"),
        ({"hosts": []}, "hosts"),
        ({"allow_networks": ["10.0.0.0/99"]}, "is no network"),
        ({"name": "a b"}, "is no id"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"urls": ["x"]}, "unknown key"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_named(changed: dict[str, Any], said: str, folder: Path):
    [line] = problems(settings.Webhook, TABLES[1][1] | changed, folder)
    assert said in line


def test_a_webhook_inside_may_be_plain_if_its_network_is_named(folder: Path):
    changed = {"url_file": "plain", "allow_networks": ["10.1.0.0/16"]}
    assert problems(settings.Webhook, TABLES[1][1] | changed, folder) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"urls": ["am:9093"]}, "urls: is no address"),
        ({"urls": []}, "urls"),
        ({"valid_s": 100}, "valid_s: 100 is under three times resend_s"),
        ({"authorization_file": "two"}, "is not one line of ASCII"),
        ({"link": "javascript:alert(1)"}, "link"),
    ],
)
def test_what_is_wrong_with_alertmanager_is_named(changed: dict[str, Any], said: str, folder: Path):
    [line] = problems(settings.Alertmanager, TABLES[0][1] | changed, folder)
    assert said in line


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("json", "use [[webhooks]]"),
        ("unknown", "is no address that apprise knows"),
        ("two", "is not one line"),
        ("mail", None),
    ],
)
def test_what_is_wrong_with_a_mail_or_chat_is_named(file: str, said: str | None, folder: Path):
    pytest.importorskip("apprise", reason="needs apprise: type make venv")
    lines = problems(settings.Notify, {"name": "mail", "url_file": file}, folder)
    assert [said in line for line in lines if said] == [True] * bool(said)
    assert bool(lines) == bool(said)


def test_names_stand_once(folder: Path):
    made = settings.Webhook.model_validate(TABLES[1][1], context=Ground(folder, frozenset()))
    assert settings.names_problem([made], []) is None
    assert "'soc' stands there twice" in str(settings.names_problem([made, made], []))
    reserved = made.model_copy(update={"name": "alertmanager"})
    assert "'alertmanager'" in str(settings.names_problem([reserved], []))


def test_all_channels_are_made_in_order(folder: Path):
    tables = [model.model_validate(values, context=Ground(folder, frozenset())) for model, values in TABLES]
    manager, hook = tables
    assert isinstance(manager, settings.Alertmanager)
    assert isinstance(hook, settings.Webhook)
    assert [one.name for one in settings.channels(manager, [hook], [])] == ["alertmanager", "soc"]
    assert settings.channels(None, [], []) == []
