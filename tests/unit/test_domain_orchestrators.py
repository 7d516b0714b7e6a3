"""Which callback URLs are an orchestrator's, however they are written."""

from __future__ import annotations

import pytest

from bot.domain.callbacks import orchestrators

ID = "0f6e2f2c-8a52-4c8e-9d6b-1d2c3b4a5f60"
PREFECT = orchestrators.prefect("https://u:p@flow.example.com/pf/")
AIRFLOW = orchestrators.airflow("https://u:p@flow.example.com/af")
RESUME = f"https://flow.example.com/pf/flow_runs/{ID}/resume"
TASK = "https://flow.example.com/af/api/v2/dags/d/dagRuns/r/taskInstances/t/-1/hitlDetails"


@pytest.mark.parametrize(
    "url",
    [
        RESUME,
        f"HTTPS://FLOW.example.COM:443/pf/flow_runs/{ID}/resume",
        f"https://flow.example.com./pf//flow_runs/./{ID}/resume",
        f"https://flow.example.com/x/../pf/flow_runs/{ID}/resume",
        f"https://flow.example.com/pf/%66low_runs/{ID}/resume",
        f"https://flow.example.com/x/%2e%2e/pf/flow_runs/{ID}/resume",
        f"https://flow.example.com/pf%2Fflow_runs\\{ID}/resume",
        f"https://ﬂow.example.com/pf/flow_runs/{ID}/resume",
    ],
)
def test_one_route_however_it_is_written_goes_out_in_one_way(url: str) -> None:
    assert PREFECT.target(url) == RESUME


def test_ids_are_encoded_anew() -> None:
    url = TASK.replace("/r/", "/manual__2026-01-01T00:00:00+00:00/")
    assert AIRFLOW.target(url) == url.replace("T00:00:00+00:00", "T00%3A00%3A00%2B00%3A00")
    assert AIRFLOW.target(AIRFLOW.target(url) or "") == AIRFLOW.target(url)


@pytest.mark.parametrize("prefix", ["", "api/", f"api/accounts/{ID}/workspaces/{ID}/"])
def test_prefects_base_may_be_its_server_or_its_api(prefix: str) -> None:
    url = RESUME.replace("/pf/", f"/pf/{prefix}")
    assert PREFECT.target(url) == url


@pytest.mark.parametrize(
    "path",
    [
        "/pf/admin/flow_runs/x/resume",
        "/pf/flow_runs/filter",
        "/pf/flow_runs/x/resume?y=1",
        "/pf/flow_runs/x/resume#y",
        "/pf/flow_runs/x;y=1/resume",
        "/pf/flow_runs/x/resume/..",
        "/pf/flow_runs/x/y/../../../variables/resume",
        "/pf/flow_runs/x%252f..%252fy/resume",
        "/x/%252e%252e/pf/flow_runs/x/resume",
        "/x/..%5c%70f/variables",
        "/pf;x/flow_runs/x/resume",
        "//pf/api/variables/name/x",
        "/pf",
    ],
)
def test_what_lies_in_it_and_is_not_the_route_is_refused(path: str) -> None:
    url = f"https://flow.example.com{path}"
    assert PREFECT.target(url) is None
    assert orchestrators.misdirected(url, (AIRFLOW, PREFECT)) is PREFECT


def test_user_information_of_a_requester_is_refused() -> None:
    assert orchestrators.misdirected(RESUME.replace("://", "://a:b@"), (PREFECT,)) is PREFECT


@pytest.mark.parametrize(
    "url",
    [
        "https://flow.example.com/pf/../secret/flow_runs/x/resume",
        "https://flow.example.com/pf/%2e%2e/secret/flow_runs/x/resume",
        "https://flow.example.com/pf/%2e%2e%2fsecret%2fflow_runs/x/resume",
        "https://flow.example.com/pf\\..\\secret/flow_runs/x/resume",
        f"https://flow.example.com.evil.com/pf/flow_runs/{ID}/resume",
        f"https://flow.example.com@evil.com/pf/flow_runs/{ID}/resume",
        f"https://flow.example.com:8443/pf/flow_runs/{ID}/resume",
        f"http://flow.example.com/pf/flow_runs/{ID}/resume",
        f"https://evil.com\\@flow.example.com.evil.com/pf/flow_runs/{ID}/resume",
        "https://flow.example.com/pfx/flow_runs/x/resume",
        "https://flow.example.com/hook",
        "https://[::1",
        "https://flow.example.com:99999/pf/flow_runs/x/resume",
    ],
)
def test_credentials_go_nowhere_else(url: str) -> None:
    assert PREFECT.target(url) is None
    assert AIRFLOW.target(url) is None


@pytest.mark.parametrize(
    "path",
    [
        "/af/api/v2/dags/../../../api/v2/variables/x/hitlDetails",
        "/af/api/v2/dags/d/dagRuns/%2e%2e/variables/t/-1/hitlDetails",
        "/af/api/v2/dags/d/dagRuns/r%2Fx/taskInstances/t/-1/hitlDetails",
        "/af/api/v2/dags/d/dagRuns/r/taskInstances/t/0x1/hitlDetails",
        "/af/api/v2/dags/d/dagRuns/r/taskInstances/t/-1/hitlDetails/tries/1",
    ],
)
def test_nothing_but_the_task_is_answered_in_airflow(path: str) -> None:
    assert AIRFLOW.target(f"https://flow.example.com{path}") is None


@pytest.mark.parametrize(
    ("base", "host"),
    [
        ("http://127.0.0.1:4200", "127.1:4200"),
        ("http://127.0.0.1:4200", "0x7f000001:4200"),
        ("http://127.0.0.1:4200", "017700000001:4200"),
        ("http://[::1]:4200", "[0:0:0:0:0:0:0:1]:4200"),
        ("http://bücher.example:80", "xn--bcher-kva.example"),
    ],
)
def test_a_host_is_one_however_it_is_written(base: str, host: str) -> None:
    known = orchestrators.prefect(base)
    assert known.target(f"http://{host}/flow_runs/x/resume") == known.address("flow_runs", "x", "resume")
    assert known.owns(f"http://{host}/variables")


@pytest.mark.parametrize(
    "url", ["", "flow.example.com", "ftp://flow.example.com", "http://", "http://[::1", "http://h:x"]
)
def test_a_base_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"http://HOST|Invalid|Port"):
        orchestrators.prefect(url)
