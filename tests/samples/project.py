"""A project folder of its own with the command run in it, and ``dagster dev`` over one."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gr2st_assets import worker
from gr2st_assets.lake import Lake
from gr2st_assets.readers import catalog_path
from gr2st_assets.records import Slot
from gr2st_assets.selection import DEFAULT_METHODS
from gr2st_assets.sql import run_query
from gr2st_assets.sql_formats import write_answer

ROOT = Path(__file__).parents[2]
QUICK = ROOT / "settings" / "quick.yml"
TIMEOUT_S = 900
START_S, RUN_S = 180, 600
COMMAND = ("-m", "gr2st_assets")
ALONE = ("-c", "from gr2st_assets import cli, worker; worker.MOST_WORKERS = 1; cli.main()")
"""The same command without workers: four processes fewer that import the libraries, on cores that are taken anyway."""
RUNS = "{ runsOrError { ... on Runs { results { runId jobName status tags { key value } } } } }"


class Project:
    """A project folder and the ``gr2st`` command run in it."""

    methods = DEFAULT_METHODS

    def __init__(self, home: Path) -> None:
        self.home = home

    @classmethod
    def create(cls, home: Path) -> "Project":
        """Make an empty project folder."""
        home.mkdir(parents=True)
        for name in ("dagster.yaml", "workspace.yaml"):
            shutil.copy(ROOT / name, home / name)
        return cls(home)

    def copy(self, home: Path) -> "Project":
        """Copy lake and instance; cohorts stay where they are."""
        shutil.copytree(self.home, home, symlinks=True)
        return Project(home)

    @property
    def lake(self) -> Lake:
        """The project's lake."""
        return Lake(self.home / "lake")

    @property
    def environment(self) -> dict[str, str]:
        """Environment of the project's processes."""
        own = {"GR2ST_HOME": str(self.home), "OMP_WAIT_POLICY": "PASSIVE", "DAGSTER_DISABLE_TELEMETRY": "1"}
        return {**{k: v for k, v in os.environ.items() if k not in ("DAGSTER_HOME", "GR2ST_LAKE")}, **own}

    def gr2st(
        self, *arguments: str, code: int | None = 0, command: tuple[str, ...] = COMMAND, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command; fail with its output if it does not exit with ``code``."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *command, *arguments],
            cwd=self.home,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert code is None or done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def materialize(
        self, *arguments: str, settings: Path = QUICK, workers: bool = False, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Materialize the default methods, or those named, with workers or in one process of as many threads."""
        if not workers:
            options = {**one_share(), **options, "command": ALONE}
        return self.gr2st("materialize", "--settings", str(settings), *arguments, **options)

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Ask the catalogue in this process, and read the answer as the command would print it."""
        stream = io.BytesIO()
        write_answer(run_query(catalog_path(self.lake), query).table, "json", stream)
        return json.loads(stream.getvalue())

    def digests(self, *tables: str) -> dict[Slot, str]:
        """Digest of every artefact of the tables, of all tables by default."""
        lake = self.lake
        return {slot: lake.require_head(slot).digest for t in tables or lake.tables() for slot in lake.slots(t)}


def one_share() -> dict[str, str]:
    """Threads of a worker, on which the bytes of sums depend."""
    n_cores = worker._n_cores()
    threads = str(max(1, n_cores // min(worker.MOST_WORKERS, n_cores)))
    return {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}


class Server:
    """``dagster dev`` on loopback, over one project."""

    def __init__(self, project: Project) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        home = project.home / ".dagster_home"
        home.mkdir(exist_ok=True)
        if not (home / "dagster.yaml").exists():
            (home / "dagster.yaml").symlink_to("../dagster.yaml")
        self.log = (project.home / "server.log").open("w")
        command = ["dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(
            [str(Path(sys.executable).parent / "dagster"), *command],
            cwd=project.home, env={**project.environment, "DAGSTER_HOME": str(home), "OMP_NUM_THREADS": "1"},
            stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())["data"]

    def wait_until_up(self) -> None:
        stop = time.monotonic() + START_S
        while time.monotonic() < stop:
            try:
                if self.ask("{ version }"):
                    return
            except OSError:
                time.sleep(1)
        raise TimeoutError("the server did not answer")

    def wait_for_runs(self, belongs: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Wait until the runs that belong have all ended; sensors start others beside them."""
        runs: list[dict[str, Any]] = []
        stop = time.monotonic() + RUN_S
        while time.monotonic() < stop:
            runs = [run for run in self.runs() if belongs(run)]
            if runs and all(run["status"] in ("SUCCESS", "FAILURE", "CANCELED") for run in runs):
                return runs
            time.sleep(2)
        raise TimeoutError(f"runs did not end: {runs}")

    def runs(self) -> list[dict[str, Any]]:
        """Every run of the instance, the newest first."""
        return self.ask(RUNS)["runsOrError"]["results"]

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()
