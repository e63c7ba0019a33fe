"""`comblang doctor` before servers and directories that are well, and before each way in which they are not."""

import json
import socket
import sqlite3
import subprocess
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lib.relay import SECRET, Filter, Relay, free_port
from lib.server import Server, comblang


class Diagnosis:
    """What `doctor --json` found."""

    def __init__(self, result: subprocess.CompletedProcess):
        assert result.stderr == "", result.stderr
        answer = json.loads(result.stdout)
        self.ok, self.findings, self.code = answer["ok"], answer["findings"], result.returncode
        assert self.ok == (self.code == 0) == all(one["status"] != "failed" for one in self.findings), answer
        assert SECRET not in result.stdout

    def of(self, area: str) -> list[dict]:
        return [one for one in self.findings if one["area"] == area]

    def the(self, area: str, status: str) -> dict:
        """The only finding of an area."""
        (found,) = self.of(area)
        assert found["status"] == status, found
        return found


def doctor(directory: Path, *arguments, **settings) -> Diagnosis:
    """Of these servers only, with short waits."""
    given = {"stun_url": "none", "data_dir": directory / "data"} | settings
    if "turn_url" in given:
        given = {"turn_secret": SECRET} | given
    return Diagnosis(comblang("doctor", "--json", "--timeout-seconds", "2", *arguments, **given))


@contextmanager
def silent(port: int, *, tcp: bool = True):
    """Somebody who takes what is sent and says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as listener:
        udp.bind(("127.0.0.1", port))
        if tcp:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        yield


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_server_that_works_is_found_to_work(tmp_path, transport):
    with Relay(tmp_path) as relay:
        found = doctor(tmp_path, turn_url=relay.url(transport), stun_url=relay.url(scheme="stun"))
        turn, stun = found.the("turn", "ok"), found.the("stun", "ok")
        assert found.ok and "went through it and back" in turn["text"]
        assert "sees this machine as 127.0.0.1:" in stun["text"]
        # What was allocated was given back.
        assert relay.output().count("delete: realm") >= 2 or "refreshed" in relay.output()


def test_a_wrong_secret_is_told_from_everything_else(tmp_path):
    with Relay(tmp_path) as relay:
        turn = doctor(tmp_path, turn_url=relay.url(), turn_secret="another secret that is long").the("turn", "failed")
        assert "turnSecret is not its secret" in turn["text"] and "static-auth-secret" in turn["advice"]


def test_a_wrong_clock_is_told_from_a_wrong_secret(tmp_path):
    with Relay(tmp_path, clock="+2h") as relay:
        turn = doctor(tmp_path, turn_url=relay.url()).the("turn", "failed")
        assert "its clock is ahead" in turn["text"] and "NTP" in turn["advice"]
        # Credentials that hold long enough for that clock are taken.
        assert doctor(tmp_path, turn_url=relay.url(), turn_ttl_seconds=4 * 3600).the("turn", "ok")


def test_a_port_where_nothing_listens_is_named(tmp_path):
    port = free_port()
    found = doctor(
        tmp_path, turn_url=f"turn:127.0.0.1:{port}?transport=udp,turn:127.0.0.1:{port}?transport=tcp",
        stun_url=f"stun:127.0.0.1:{port}")
    texts = [one["text"] for one in found.of("turn") + found.of("stun")]
    assert not found.ok and len(texts) == 3
    assert all(f"nothing listens at {kind} port {port}" in text for kind, text in zip(("UDP", "TCP", "UDP"), texts))


def test_a_host_that_does_not_answer_and_a_name_that_does_not_exist(tmp_path):
    port = free_port()
    with silent(port):
        dead = doctor(tmp_path, turn_url=f"turn:127.0.0.1:{port}").the("turn", "failed")
    assert "no answer over UDP within 2 s, and none over TCP" in dead["text"] and "firewalls" in dead["advice"]
    unnamed = doctor(tmp_path, stun_url="stun:nobody.invalid").the("stun", "failed")
    assert "nobody.invalid has no address" in unnamed["text"]


def test_udp_that_is_blocked_is_told_from_a_dead_host(tmp_path):
    port = free_port()
    with silent(port, tcp=False), Relay(tmp_path, "--no-udp", port=port) as relay:
        turn = doctor(tmp_path, turn_url=relay.url()).the("turn", "failed")
        assert "answers over TCP" in turn["text"] and "UDP is blocked" in turn["text"]
        assert "?transport=tcp" in turn["advice"]


def test_a_relay_that_lets_no_data_pass_to_its_own_address(tmp_path):
    with Relay(tmp_path, peers=()) as relay:
        turn = doctor(tmp_path, turn_url=relay.url()).the("turn", "failed")
        assert "lets no data pass to its own address: 403" in turn["text"] and "denied-peer-ip" in turn["advice"]


def test_what_was_allocated_is_given_back_when_the_relay_falls_silent(tmp_path):
    permission = b"\0\x08"
    with Relay(tmp_path) as relay, Filter(relay.port, lambda datagram: not datagram.startswith(permission)) as path:
        turn = doctor(tmp_path, turn_url=f"turn:127.0.0.1:{path.port}").the("turn", "failed")
        assert "it did not answer any more (no answer in time)" in turn["text"]
        assert relay.output().count("lifetime=0") == 2, relay.output()


def test_a_quota_of_one_allocation_and_one_of_none(tmp_path):
    with Relay(tmp_path, "--user-quota=1") as relay:
        turn = doctor(tmp_path, turn_url=relay.url()).the("turn", "warning")
        assert "not a second time" in turn["text"] and "486" in turn["text"] and "user-quota" in turn["advice"]


def test_a_relay_for_everybody(tmp_path):
    with Relay(tmp_path, auth=("--no-auth",)) as relay:
        turn = doctor(tmp_path, turn_url=relay.url()).the("turn", "failed")
        assert "anybody can relay through it" in turn["text"]


def test_a_certificate_is_checked(tmp_path):
    key, certificate, tls = tmp_path / "key.pem", tmp_path / "cert.pem", free_port()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    with Relay(tmp_path, f"--cert={certificate}", f"--pkey={key}", f"--tls-listening-port={tls}"):
        turn = doctor(tmp_path, turn_url=f"turns:127.0.0.1:{tls}").the("turn", "failed")
        assert "not trusted here" in turn["text"] and "certificate" in turn["advice"]
        # By an authority that is trusted; and the same server under a name that its certificate has not.
        urls = f"turns:localhost:{tls},turns:127.0.0.1:{tls}"
        found = doctor(tmp_path, "--ca-file", certificate, turn_url=urls, stun_url=f"stuns:localhost:{tls}").findings
        by_subject = {one["subject"]: one for one in found if one["area"] in ("stun", "turn")}
        assert by_subject[f"turns:localhost:{tls}?transport=tcp (127.0.0.1)"]["status"] == "ok", found
        assert by_subject[f"stuns:localhost:{tls} (127.0.0.1)"]["status"] == "ok", found
        misnamed = by_subject[f"turns:127.0.0.1:{tls}?transport=tcp"]
        assert misnamed["status"] == "failed" and "for another name" in misnamed["text"], misnamed


def test_tls_where_none_is_spoken(tmp_path):
    with Relay(tmp_path) as relay:
        turn = doctor(tmp_path, turn_url=relay.url("tcp", scheme="turns")).the("turn", "failed")
        # coturn without a certificate takes the greeting and says nothing.
        assert "TLS" in turn["text"] and "speaks TLS" in turn["advice"], turn


def test_a_bad_setting_is_a_finding(tmp_path):
    found = doctor(tmp_path, heartbeat_seconds="often")
    assert found.code == 1
    (fault,) = found.findings
    assert fault["area"] == "configuration" and "heartbeatSeconds" in fault["text"]


def test_short_secrets_and_files_for_all_are_warned_of(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("short")
    secret.chmod(0o644)
    with Relay(tmp_path, auth=("--use-auth-secret", "--static-auth-secret=short")) as relay:
        found = Diagnosis(comblang(
            "doctor", "--json", stun_url="none", data_dir=tmp_path / "data", turn_url=relay.url(),
            turn_secret_file=secret))
    assert found.ok, "warnings are no failures"
    warnings = {one["subject"]: one for one in found.of("configuration") if one["status"] == "warning"}
    assert "shorter" in warnings["turnSecret"]["text"] and "chmod 600" in warnings["turnSecretFile"]["advice"]
    found = doctor(tmp_path)
    assert "there is no TURN server" in found.the("configuration", "warning")["text"]


def test_a_file_of_bridges_is_read_and_should_be_the_owners_alone(tmp_path):
    bridges = tmp_path / "bridges.json"
    bridges.write_text('[{"name": "notebook", "room": "lobby", "url": "wss://example.org/{room}"}]')
    bridges.chmod(0o644)
    found = [one for one in doctor(tmp_path, bridges=bridges).of("configuration") if one["subject"] == "bridges"]
    assert [one["status"] for one in found] == ["warning"] and "chmod 600" in found[0]["advice"]
    bridges.write_text('[{"name": "notebook", "room": "lobby", "url": "https://example.org/{room}"}]')
    bridges.chmod(0o600)
    found = [one for one in doctor(tmp_path, bridges=bridges).of("configuration") if one["subject"] == "bridges"]
    assert [one["status"] for one in found] == ["failed"] and "notebook: url" in found[0]["text"]


# The data directory


def test_a_served_directory_is_left_alone_and_a_stopped_one_is_checked(server: Server, tmp_path):
    def data() -> dict[str, str]:
        return {one["text"]: one["status"] for one in doctor(tmp_path, data_dir=server.data).of("data")}

    assert "skipped" in data().values()
    assert "a server uses it, so its database is not looked at" in data()
    # Killed, with a write-ahead log that nobody has emptied.
    server.kill()
    before = {path.name: path.read_bytes() for path in server.data.iterdir() if path.suffix != ".sqlite-shm"}
    assert data()["the database is whole"] == "ok" and data()["its schema is up to date"] == "ok"
    after = {path.name: path.read_bytes() for path in server.data.iterdir() if path.suffix != ".sqlite-shm"}
    assert after == before, "a look changes nothing"
    server.start()
    assert server.stop() == 0
    assert set(data().values()) == {"ok"}


def test_what_is_wrong_with_a_directory_is_told(server: Server, tmp_path):
    server.stop()

    def failed(status: str = "failed") -> str:
        found = doctor(tmp_path, data_dir=server.data).of("data")
        return "; ".join(f"{one['subject']}: {one['text']}" for one in found if one["status"] == status)

    assert failed() == "" and failed("warning") == ""
    secret = server.data / "token-secret"
    whole = secret.read_bytes()
    secret.write_bytes(whole[:5])
    assert f"{secret}: it has 5 bytes" in failed()
    secret.write_bytes(whole)

    server.data.chmod(0o755)
    secret.chmod(0o644)
    assert f"{secret}: others on this machine may use it (mode 644)" in failed()
    server.data.chmod(0o700)
    assert failed() == "" and str(secret) in failed("warning")
    secret.chmod(0o600)

    database = server.data / "comblang.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DELETE FROM migration WHERE position = (SELECT max(position) FROM migration)")
        connection.commit()
    assert "older version" in failed("warning")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("INSERT INTO migration (name) VALUES ('9999_of_the_future')")
        connection.commit()
    assert "newer version" in failed()
    damaged = bytearray(database.read_bytes())
    damaged[8192:] = b"\xff" * (len(damaged) - 8192)
    database.write_bytes(damaged)
    assert "damaged" in failed()
    database.write_bytes(b"no database" * 1000)
    assert "not a database" in failed()


def test_for_people_it_speaks_in_lines_and_ends_with_counts(tmp_path):
    result = comblang(
        "doctor", "--timeout-seconds", "2", stun_url=f"stun:127.0.0.1:{free_port()}", data_dir=tmp_path / "data")
    assert result.returncode == 1 and result.stderr == ""
    lines = result.stdout.splitlines()
    assert any(line.startswith("FAILED   stun:127.0.0.1") for line in lines), result.stdout
    assert any(line.startswith("         -> ") for line in lines)
    assert lines[-1].endswith(" ok") and "1 failed" in lines[-1]
    assert not (tmp_path / "data").exists(), "a look makes nothing"
