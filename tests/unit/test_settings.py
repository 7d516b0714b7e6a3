"""Environment, `.env` and `assent.toml` become one object, or every fault at once."""

from __future__ import annotations

import base64
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from bot import settings
from bot.domain.errors import Unavailable
from bot.domain.model.spec import Hours
from bot.settings import Settings, SettingsError, stored_secret, stored_webhook_secret

KEYS = "k" * 32


def faults(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as error:
        settings.load(environ)
    return error.value.faults


def test_without_anything_it_starts_here_on_sqlite() -> None:
    loaded = settings.load({})
    assert loaded.base_url == "http://127.0.0.1:8080"
    assert loaded.assent_database_url == "sqlite:///assent.db"
    assert (loaded.smtp, loaded.slack_bot_token, loaded.assent_api_key) == (None, None, None)
    assert loaded.slack_api_url == "https://slack.com/api/"
    opened = [loaded.assent_auto_approve, loaded.slack_allow_external, loaded.assent_callback_allow_private]
    assert not any(opened)


def test_names_are_those_of_the_environment() -> None:
    loaded = settings.load(
        {
            "ASSENT_PORT": "9000",
            "ASSENT_HOST": "0.0.0.0",
            "ASSENT_BASE_URL": "https://assent.example.com/",
            "ASSENT_SECRET_KEYS": f"{KEYS}, {'o' * 32}",
            "ASSENT_DEFAULT_AUDIENCE": "email:ana@example.com, slack:C1",
            "ASSENT_AUTO_APPROVE": "true",
            "SLACK_API_URL": "http://127.0.0.1:1/api",
        }
    )
    assert (loaded.assent_port, loaded.base_url) == (9000, "https://assent.example.com")
    assert [k.get_secret_value() for k in loaded.assent_secret_keys] == [KEYS, "o" * 32]
    assert loaded.assent_default_audience == ("email:ana@example.com", "slack:C1")
    assert loaded.assent_auto_approve
    assert loaded.slack_api_url == "http://127.0.0.1:1/api/"


def test_every_fault_is_reported_at_once_and_names_its_setting() -> None:
    found = faults(
        ASSENT_PORT="99999",
        ASSENT_DATABASE_URL="mysql://root:hunter2@db/x",
        ASSENT_BASE_URL="assent.example.com",
        ASSENT_SECRET_KEYS="short",
        ASSENT_DEFAULT_AUDIENCE="ana, email:ok@example.com, slack:x",
        ASSENT_SMTP_URL="http://relay:hunter2@x",
        ASSENT_AUTO_APPROVE="perhaps",
        ASSENT_CONFIG="none.toml",
        SLACK_BOT_TOKEN="xoxb-hunter2",
    )
    named = {fault.partition(":")[0].partition(" ")[0] for fault in found}
    assert named == {
        "ASSENT_PORT",
        "ASSENT_DATABASE_URL",
        "ASSENT_BASE_URL",
        "ASSENT_SECRET_KEYS",
        "ASSENT_DEFAULT_AUDIENCE",
        "ASSENT_SMTP_URL",
        "ASSENT_AUTO_APPROVE",
        "ASSENT_CONFIG",
        "ASSENT_MAIL_FROM",
        "SLACK_SIGNING_SECRET",
    }
    assert "hunter2" not in "\n".join(found)
    (audience,) = (f for f in found if f.startswith("ASSENT_DEFAULT_AUDIENCE"))
    assert "'ana' is no email address" in audience
    assert "'slack:x' is no selector" in audience


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"SLACK_BOT_TOKEN": "xoxb-1"}, "SLACK_SIGNING_SECRET (HTTP mode) or SLACK_APP_TOKEN"),
        ({"SLACK_SIGNING_SECRET": "s"}, "SLACK_BOT_TOKEN is needed"),
        ({"SLACK_APP_TOKEN": "xapp-1"}, "SLACK_BOT_TOKEN is needed"),
        ({"ASSENT_SMTP_URL": "smtp://relay"}, "ASSENT_MAIL_FROM is needed"),
        ({"ASSENT_MAIL_FROM": "no address"}, "ASSENT_MAIL_FROM: "),
        ({"ASSENT_BASE_URL": "https://" + "a" * 80}, "ASSENT_BASE_URL: is longer than 78 characters"),
        ({"ASSENT_DATABASE_URL": "sqlite://"}, "needs a file"),
        ({"ASSENT_DATABASE_URL": "sqlite:///:memory:"}, "needs a file"),
        ({"ASSENT_DATABASE_URL": "what"}, "is no database URL"),
        ({"ASSENT_PORT": "-1"}, "ASSENT_PORT: "),
        ({"ASSENT_WEBHOOK_SECRET": "secret"}, "ASSENT_WEBHOOK_SECRET: must be whsec_"),
    ],
)
def test_what_cannot_work(environ: dict[str, str], words: str) -> None:
    (fault,) = faults(**environ)
    assert words in fault


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "https://:80",
        "ftp://example.com",
        "http://x/y?z",
        "http://x#f",
        "http://a b",
        "http://[::1",
        "http://x:99999",
    ],
)
def test_a_base_url_is_one_that_a_link_can_be_made_of(url: str) -> None:
    (fault,) = faults(ASSENT_BASE_URL=url)
    assert fault.startswith("ASSENT_BASE_URL: must be http://HOST or https://HOST")


@pytest.mark.parametrize(
    "url", ["http://[::1]:8080", "https://example.com/approvals", "https://bücher.example"]
)
def test_a_base_url_may_have_a_port_and_a_path(url: str) -> None:
    assert settings.load({"ASSENT_BASE_URL": f"{url}/"}).base_url == url


def test_secrets_never_show() -> None:
    loaded = settings.load({"ASSENT_API_KEY": "hunter2-hunter2-hunter2", "ASSENT_SECRET_KEYS": KEYS})
    assert "hunter2" not in repr(loaded) + str(loaded)
    assert KEYS not in repr(loaded)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ASSENT_API_KEY", "nineteen-characters", "ASSENT_API_KEY: needs at least 20 characters"),
        ("ASSENT_TRUSTED_PROXIES", "10.0.0.0/8, nginx", "ASSENT_TRUSTED_PROXIES: nginx: write addresses or"),
    ],
)
def test_what_would_be_unsafe_is_refused_at_start(name: str, value: str, words: str) -> None:
    with pytest.raises(settings.SettingsError) as refused:
        settings.load({name: value})
    assert refused.value.faults[0].startswith(words)
    assert "nineteen" not in str(refused.value)


def test_trusted_proxies_are_addresses_and_networks() -> None:
    loaded = settings.load({"ASSENT_TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.7,2001:db8::/32"})
    assert loaded.assent_trusted_proxies == ("10.0.0.0/8", "192.0.2.7", "2001:db8::/32")


def test_every_secret_of_the_settings_is_known_to_the_log() -> None:
    loaded = settings.load(
        {
            "ASSENT_API_KEY": "k" * 20,
            "ASSENT_DATABASE_URL": "postgresql://u:a%2Fpass%2Fword@h/db",
            "ASSENT_SMTP_URL": "smtp://u:mail-password@h",
            "ASSENT_MAIL_FROM": "a@example.com",
        }
    )
    assert {"k" * 20, "a/pass/word", "a%2Fpass%2Fword", "mail-password"} <= settings.secret_texts(loaded)


class TestFiles:
    def test_the_environment_wins_over_the_env_file(self) -> None:
        Path(".env").write_text("ASSENT_PORT=1\nASSENT_HOST=example.com\nHOME=/nowhere\n")
        loaded = settings.load({"ASSENT_PORT": "2"})
        assert (loaded.assent_port, loaded.assent_host) == (2, "example.com")

    def test_an_empty_value_counts_as_not_set(self) -> None:
        Path(".env").write_text("ASSENT_API_KEY=\nASSENT_PORT=\n")
        loaded = settings.load({"ASSENT_HOST": ""})
        assert (loaded.assent_api_key, loaded.assent_port, loaded.assent_host) == (None, 8080, "127.0.0.1")

    def test_groups_come_from_the_toml_file(self) -> None:
        Path("assent.toml").write_text(
            '[groups]\nfinance = ["ana@example.com", "slack:U1", "group:ops"]\nops = []\n'
        )
        assert settings.load({}).groups == {
            "finance": ("ana@example.com", "slack:U1", "group:ops"),
            "ops": (),
        }

    def test_a_group_may_be_computed_by_a_module_beside_the_file(self) -> None:
        Path("staff_list.py").write_text("def manager(asker):\n    return ['boss@example.com']\n")
        Path("assent.toml").write_text('[groups]\nmanager = "staff_list:manager"\n')
        assert settings.load({}).groups == {"manager": "staff_list:manager"}

    def test_working_hours(self) -> None:
        Path("assent.toml").write_text(
            '[working_hours]\ndays = ["mon", "sat"]\nstart = "08:30"\nzone = "Europe/Berlin"\n'
        )
        hours = settings.load({}).working_hours
        assert hours
        assert hours.hours == Hours(days=(0, 5), start="08:30", end="17:00", zone="Europe/Berlin")

    def test_or_from_one_that_is_named(self) -> None:
        Path("other.toml").write_text('templates = "mine"\n')
        loaded = settings.load({"ASSENT_CONFIG": "other.toml"})
        assert (loaded.templates, loaded.groups) == (Path("mine"), {})

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("[groups", "cannot be read"),
            ('[groups]\nfinance = ["ana"]', "ASSENT_CONFIG: groups: 'ana' is no email address"),
            ('[groups]\nfinance = "ana@example.com"', "ASSENT_CONFIG: groups: "),
            ('[groups]\nboss = "nowhere:boss"', "group boss: 'nowhere:boss' cannot be imported"),
            ('[working_hours]\nstart = "18:00"', "ASSENT_CONFIG: working_hours: start must be before end"),
            ('[working_hours]\nzone = "Europe/Oz"', "'Europe/Oz' is no time zone"),
            ('[working_hours]\ndays = ["monday"]', "ASSENT_CONFIG: working_hours: "),
            ('[[policies]]\nname = "x"\nthen = "approve"', "policy x: would decide everything"),
            ('[[policies]]\nname = "x"\nthen = "maybe"', "ASSENT_CONFIG: policies: "),
            ("templates = 5", "ASSENT_CONFIG: templates: "),
            ("[group]\nfinance = []", "has unknown entries: group"),
        ],
    )
    def test_faults_in_it_are_told_with_all_others(self, content: str, words: str) -> None:
        Path("assent.toml").write_text(content)
        found = faults(ASSENT_PORT="x")
        assert len(found) == 2
        assert any(words in fault for fault in found)

    def test_bytes_that_are_no_text(self) -> None:
        Path("assent.toml").write_bytes(b"\xff")
        assert "cannot be read" in faults()[0]


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    secret, new = stored_secret(tmp_path, "assent.key")
    assert new
    assert len(secret) >= 32
    assert stored_secret(tmp_path, "assent.key") == (secret, False)
    assert stat.S_IMODE((tmp_path / "assent.key").stat().st_mode) == 0o600


def test_the_webhook_secret_is_kept_as_receivers_take_it(tmp_path: Path) -> None:
    secret, new = stored_webhook_secret(tmp_path, "webhook.key")
    kept = (tmp_path / "webhook.key").read_text().strip()
    assert (new, kept) == (True, secret)
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    Webhook(secret).sign("msg_1", datetime.now(UTC), "{}")
    loaded = settings.load({"ASSENT_WEBHOOK_SECRET": secret}).assent_webhook_secret
    assert loaded
    assert loaded.get_secret_value() == secret
    assert stored_webhook_secret(tmp_path, "webhook.key") == (secret, False)
    assert stat.S_IMODE((tmp_path / "webhook.key").stat().st_mode) == 0o600


def test_one_of_before_signs_as_before_and_is_written_anew(tmp_path: Path) -> None:
    path, digits = tmp_path / "webhook.key", "0f" * 32
    path.write_text(digits + "\n")
    path.chmod(0o644)
    secret, new = stored_webhook_secret(tmp_path, "webhook.key")
    assert base64.b64decode(secret.removeprefix("whsec_")) == bytes.fromhex(digits)
    assert (new, path.read_text()) == (False, secret + "\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["webhook.key"]


@pytest.mark.parametrize("content", ["", "whsec_", "whsec_short", "0F" * 32, "no secret"])
def test_what_is_no_webhook_secret_is_told_without_showing_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "webhook.key").write_text(content)
    with pytest.raises(Unavailable, match=r"webhook\.key: must be whsec_ and the base64") as caught:
        stored_webhook_secret(tmp_path, "webhook.key")
    assert content in {"", "whsec_"} or content not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "folder"),
    [("sqlite:////var/lib/assent/a.db", Path("/var/lib/assent")), ("sqlite:///a.db", Path())],
)
def test_generated_secrets_stand_beside_the_database(url: str, folder: Path) -> None:
    assert Settings(assent_database_url=url).data_folder == folder


def test_or_in_the_working_folder() -> None:
    assert Settings(assent_database_url="postgresql://host/db").data_folder == Path.cwd()
