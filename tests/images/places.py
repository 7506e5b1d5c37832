"""Places that images are made from: a server that misbehaves, and an apt archive signed by a real key."""

from __future__ import annotations

import hashlib
import http.server
import lzma
import subprocess
import threading
from pathlib import Path

import pytest

from images.making import make_deb, make_wheel
from penstock.images.bases.apt_sources import AptSource
from penstock.images.bases.debian import roots
from penstock.models.folder import ModelFolder, read_model_folder


class Answer:
    """One answer of a test server."""

    def __init__(self, status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.status, self.body, self.headers = status, body, headers or {}


class TestServer:
    """A real HTTP server on loopback that answers from a table: path to the answers to give one after another."""

    __test__ = False

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                waiting = owner.answers.get(self.path, [Answer(404)])
                answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str, *, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Archive:
    """An apt archive in a folder, of one suite, with a release file signed by its own key."""

    def __init__(self, root: Path, gpg: Path, *, suite: str = "bookworm") -> None:
        self.root, self.suite = root, suite
        self.key = root / "archive.gpg"
        self._home = root / "gnupg"
        self._home.mkdir(parents=True, mode=0o700)
        self._gpg = [str(gpg), "--batch", "--quiet", "--homedir", str(self._home), "--pinentry-mode=loopback"]
        make_key = ["--passphrase", "", "--quick-generate-key", "archive", "ed25519", "sign", "never"]
        subprocess.run([*self._gpg, *make_key], check=True, capture_output=True)
        exported = subprocess.run([*self._gpg, "--export"], check=True, capture_output=True)
        self.key.write_bytes(exported.stdout)
        self._stanzas: list[str] = []

    def add(self, name: str, version: str = "1.0-1", **options: object) -> Path:
        path, stanza = make_deb(self.root / "pool", name, version, **options)  # type: ignore[arg-type]
        self._stanzas.append(stanza)
        return path

    def publish(self, *, fields: str = "") -> None:
        """Writes the package index and signs the release file over it."""
        packed = lzma.compress("\n".join(self._stanzas).encode())
        folder = self.root / "dists" / self.suite
        (folder / "main" / "binary-amd64").mkdir(parents=True, exist_ok=True)
        (folder / "main" / "binary-amd64" / "Packages.xz").write_bytes(packed)
        digest = hashlib.sha256(packed).hexdigest()
        listed = f"SHA256:\n {digest} {len(packed)} main/binary-amd64/Packages.xz\n"
        self.sign(f"Origin: Test\nSuite: {self.suite}\n{fields}{listed}")

    def sign(self, text: str) -> None:
        (self.root / "Release").write_text(text)
        signed = self.root / "dists" / self.suite / "InRelease"
        signed.unlink(missing_ok=True)
        command = ["--passphrase", "", "--clearsign", "--output", str(signed), str(self.root / "Release")]
        subprocess.run([*self._gpg, *command], check=True, capture_output=True)

    def source(self, **changes: object) -> AptSource:
        given = {"uri": f"file://{self.root}", "suite": self.suite, "components": ("main",), "signed_by": str(self.key)}
        return AptSource(**{**given, **changes})  # type: ignore[arg-type]

    def armored_key(self) -> str:
        done = subprocess.run([*self._gpg, "--export", "--armor"], check=True, capture_output=True, text=True)
        return done.stdout

    def close(self) -> None:
        kill = ["gpgconf", "--homedir", str(self._home), "--kill", "all"]
        subprocess.run(kill, check=False, capture_output=True)


class SmallWorld:
    """Everything an image is made of, tiny: ``apt_sources`` is the setting, ``index`` the folder of wheels."""

    def __init__(self, archive: Archive, index: Path) -> None:
        self.archive, self.index = archive, index
        self.apt_sources = f"deb [signed-by={archive.key}] file://{archive.root} bookworm main"
        library = {"./usr/lib/python3.11/": b"", "./usr/lib/python3.11/os.py": b"name = 'posix'\n"}
        for name in roots("3.11"):
            archive.add(name, files={f"./usr/share/doc/{name}/copyright": b"free"})
        archive.add("python3.11-minimal", "2.0-1", files={**library, "./usr/bin/python3.11": b"\x7fELF"})
        archive.publish()
        for name, version in (
            ("msgspec", "0.20"),
            ("pyyaml", "6.1"),
            ("numpy", "2.0"),
            ("httptools", "0.7"),
            ("uvloop", "0.22"),
        ):
            make_wheel(index, name, version)
        make_wheel(index, "scikit_learn", "1.9.1", requires=("numpy",), licence="BSD-3-Clause")

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Makes ``index`` all the package index there is."""
        for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("UV_NO_INDEX", "1")
        monkeypatch.setenv("UV_FIND_LINKS", str(self.index))
        monkeypatch.setenv("UV_CACHE_DIR", str(self.index.parent / "uv"))

    def model(
        self, path: Path, *, python: str = "3.11.7", requirements: str = "scikit-learn==1.9.1\nmlflow==3.1\n"
    ) -> ModelFolder:
        """A model folder of the sklearn flavor."""
        path.mkdir(parents=True)
        stated = ("loader_module: mlflow.sklearn", f"python_version: {python}", "model_path: model.pkl")
        flavors = "  python_function:\n" + "".join(f"    {line}\n" for line in stated)
        flavors += "  sklearn:\n    pickled_model: model.pkl\n"
        (path / "MLmodel").write_text(f"flavors:\n{flavors}run_id: {'a' * 32}\nmodel_id: m-1\n")
        (path / "model.pkl").write_bytes(b"pickle")
        (path / "requirements.txt").write_text(requirements)
        return read_model_folder(path)

    def folder(self, path: Path) -> ModelFolder:
        return read_model_folder(path)
