"""schemathesis by the contract, all phases and all checks, in every role: it finds nothing.

What it knows besides the contract is in `fuzzing/`. `SEED` repeats a run, `SCALE` multiplies the cases. In its small
form the seed is the same each time, so that what fails is what was changed; `make test-long` takes fresh ones.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import SCALE
from lib.contract import Contract
from lib.server import ROOT

FUZZING = Path(__file__).parent / "fuzzing"
# Random cases of each operation in each phase that makes them; those of the phases `examples` and `coverage` follow
# from the contract.
CASES = round(3 * SCALE)
# Chains of operations, each of which takes what an earlier one answered.
CHAINS = round(25 * SCALE)
RUN_SECONDS_MAX = 220 * max(1, SCALE)


@pytest.mark.parametrize("role", ["user", "admin", "nobody"])
def test_the_server_keeps_its_contract(server_factory, role: str, seed: int, tmp_path: Path):
    if SCALE <= 1 and "SEED" not in os.environ:
        seed = 1
    server = server_factory(admin_message_search="on").start()
    reached = tmp_path / "reached.json"
    environment = os.environ | {
        "FUZZ_URL": server.recorded_url, "FUZZ_ROLE": role, "FUZZ_ADMIN_TOKEN": server.admin_token,
        "FUZZ_REACHED": str(reached),
        "PYTHONPATH": str(FUZZING.parent),
    }
    settings = tmp_path / "schemathesis.toml"
    chains = f"\n[phases.stateful.generation]\nmax-examples = {CHAINS}\n"
    settings.write_text((FUZZING / "schemathesis.toml").read_text() + chains)
    run = subprocess.run(
        [Path(sys.executable).with_name("st"), "--config-file", settings, "run", ROOT / "openapi/openapi.yaml",
         "--url", server.recorded_url, "--max-examples", str(CASES), "--seed", str(seed), "--no-color"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
    assert server.is_running(), f"{server.output()[-4000:]}\n{run.stdout[-20000:]}"
    assert run.returncode == 0, f"{run.stdout[-40000:]}\n{run.stderr[-4000:]}"

    statuses = {operation: set(codes) for operation, codes in json.loads(reached.read_text()).items()}
    assert_all_were_reached(role, statuses)


# Only a handshake gets further than 426, and lib/wires.py makes those.
SOCKETS = {"openWebSocket", "openRoomSocket"}


def assert_all_were_reached(role: str, statuses: dict[str, set[int]]) -> None:
    """A run that got nothing but refusals would show nothing."""
    for path, item in Contract.shared().document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            name = operation["operationId"]
            found = statuses.get(name, set())
            is_done = any(status < 300 for status in found)
            expected = outcome(role, operation, path)
            assert expected in found or (expected == 200 and is_done), f"{name}: {sorted(found)}"


def outcome(role: str, operation: dict, path: str) -> int:
    """What a right request of this role gets; 200 stands for every success."""
    if operation["operationId"] in SOCKETS:
        return 426
    is_open = operation.get("security") == []
    if role == "nobody" and not is_open:
        return 401
    if role == "user" and path.startswith(("/v1/admin/", "/v1/webhooks")):
        return 403
    return 200
