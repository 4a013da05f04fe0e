"""Servers that take dumps: OpenSSH's sshd, nginx and an object store, each with a configuration, keys and a port of its own on 127.0.0.1."""

import contextlib
import getpass
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from guest.paths import REPOSITORY

LIMIT = 20
OBJECT_STORE = pathlib.Path(__file__).parent / "object_store.py"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children(pid: int) -> list[int]:
    """All processes below `pid`, the deepest last."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child] + children(child)
    return found


def wait_until(condition, what: str, limit: float = LIMIT):
    """Looks again and again: what servers do can't be waited for otherwise."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {limit} s: {what}")


class Server:
    """A process in the foreground. Ended with everything below it when the block is left."""

    def __init__(self, directory: pathlib.Path):
        self.directory = directory
        directory.mkdir(mode=0o700)
        self.port = free_port()
        self.process = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def __enter__(self):
        self.log = open(self.directory / "log", "wb")
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_until(self.answers, f"{self.command()[0]} answers: {(self.directory / 'log').read_text()}")
        return self

    def answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError((self.directory / "log").read_text())
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def signal_sessions(self, number: int) -> int:
        """To what serves connections at present, not to the server itself. Returns to how many."""
        count = 0
        for pid in children(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                count += 1
        return count

    def __exit__(self, *_):
        self.signal_sessions(signal.SIGCONT)
        self.signal_sessions(signal.SIGKILL)
        self.process.kill()
        self.process.wait(LIMIT)
        self.log.close()


class SSHServer(Server):
    """sshd for the user that runs the tests; in a network namespace it listens on every address there."""

    def __init__(self, directory: pathlib.Path, namespace: str | None = None):
        super().__init__(directory)
        self.namespace = namespace
        for name in ("host", "client", "stranger"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", directory / name], check=True, timeout=LIMIT
            )
        self.key = directory / "client"
        shutil.copy(directory / "client.pub", directory / "authorized_keys")
        self.known_hosts = directory / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {(directory / 'host.pub').read_text()}")
        (directory / "config").write_text(
            f"""
            Port {self.port}
            {"" if namespace else "ListenAddress 127.0.0.1"}
            HostKey {directory}/host
            AuthorizedKeysFile {directory}/authorized_keys
            PidFile none
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin prohibit-password
            StrictModes no
            UsePAM no
            # What the user's own shell does at its start is not what is tested.
            SetEnv HOME={directory}
            """
        )

    def command(self):
        # Where sshd puts an unprivileged process; Debian's service makes it at its start.
        if os.geteuid() == 0:
            pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        inside = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        return [*inside, shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", str(self.directory / "config")]

    def answers(self):
        if not self.namespace:
            return super().answers()
        return "Server listening on ::" in (self.directory / "log").read_text()

    def target(self, path) -> str:
        return f"ssh:{getpass.getuser()}@127.0.0.1:{self.port}:{path}"

    def options(self, **changes) -> list[str]:
        chosen = {"ssh-key": self.key, "ssh-known-hosts": self.known_hosts} | changes
        return [word for name, value in chosen.items() for word in (f"--{name}", str(value))]


def make_certificate(directory: pathlib.Path) -> tuple:
    """Of 127.0.0.1, for a day: the certificate and its key."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-subj",
        "/CN=test",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-days", "1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=LIMIT)
    return certificate, key


class ObjectStore(Server):
    """An object store that speaks S3 and checks signatures, with TLS and one bucket."""

    def __init__(self, directory: pathlib.Path):
        super().__init__(directory)
        made = subprocess.run([REPOSITORY / "scripts/moto-venv.sh"], check=True, capture_output=True, text=True, timeout=900)
        self.python = pathlib.Path(made.stdout.strip()) / "bin/python"
        self.certificate, self.key = make_certificate(directory)

    def command(self):
        words = [self.python, OBJECT_STORE, "serve", self.port, self.certificate, self.key, self.directory]
        return [str(word) for word in words]

    def answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError((self.directory / "log").read_text())
        return (self.directory / "user").exists()

    @property
    def user(self) -> str:
        return (self.directory / "user").read_text()

    def options(self, user=None) -> list:
        config = self.directory / "curl"
        signed = f'aws-sigv4 = "aws:amz:us-east-1:s3"\nuser = "{user or self.user}"\n'
        config.write_text(f'cacert = "{self.certificate}"\n{signed}')
        return ["--curl-config", str(config)]

    def target(self, prefix: str) -> str:
        return f"https://127.0.0.1:{self.port}/dumps/{prefix}/"

    def fetch(self, out: pathlib.Path) -> int:
        """Every object becomes a file. Returns how many uploads were begun and not completed."""
        words = [self.python, OBJECT_STORE, "fetch", self.port, self.certificate, self.directory, out]
        ended = subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True, timeout=120)
        return int(ended.stdout)


class WebServer(Server):
    """nginx with TLS: /dav/ has WebDAV, /put/ takes PUT alone, /shut/ refuses, /token/ wants one, /small/ takes a MiB,
    /away/ sends who puts something elsewhere."""

    TOKEN = "a-secret-that-nobody-may-see"

    def __init__(self, directory: pathlib.Path, has_expired: bool = False):
        super().__init__(directory)
        self.root = directory / "root"
        for name in ("dav", "put", "shut", "token", "small", "away"):
            (self.root / name).mkdir(parents=True)
        self.certificate, key = make_certificate(directory)
        if has_expired:
            words = ["openssl", "x509", "-in", self.certificate, "-signkey", key, "-days", "-1", "-out", self.certificate]
            subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=LIMIT)
        self.config = directory / "curl"
        self.config.write_text(f'cacert = "{self.certificate}"\n')
        self.token_config = directory / "curl-token"
        self.token_config.write_text(f'cacert = "{self.certificate}"\nheader = "Authorization: Bearer {self.TOKEN}"\n')
        temporary = "".join(
            f"{kind}_temp_path {directory}/tmp-{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""
        dav = "dav_methods PUT DELETE MKCOL MOVE; create_full_put_path on;"
        (directory / "config").write_text(
            f"""
            daemon off; {user} pid {directory}/pid; error_log stderr; worker_processes 1;
            events {{}}
            http {{
              access_log off; {temporary} client_max_body_size 0;
              server {{
                listen 127.0.0.1:{self.port} ssl;
                ssl_certificate {self.certificate}; ssl_certificate_key {directory}/key.pem;
                root {self.root};
                location /dav/ {{ {dav} }}
                location /put/ {{ dav_methods PUT; create_full_put_path on; }}
                location /shut/ {{ {dav} limit_except GET HEAD MKCOL {{ deny all; }} }}
                location /token/ {{ {dav} if ($http_authorization != "Bearer {self.TOKEN}") {{ return 401; }} }}
                location /away/ {{ {dav} if ($request_method = PUT) {{ return 302 /login; }} }}
                location /small/ {{ {dav} client_max_body_size 1m; }}
              }}
            }}
            """
        )

    def command(self):
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        return [nginx, "-e", "stderr", "-c", str(self.directory / "config"), "-p", str(self.directory)]

    def target(self, location: str) -> str:
        return f"https://127.0.0.1:{self.port}/{location}/"
