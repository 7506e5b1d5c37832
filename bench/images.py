"""Images: what building, rebuilding, pushing and starting cost, beside ``podman build`` of the same thing in one run.

    python bench/images.py [--rounds 3] [--large-gb 0] [--peer .venvs/mlflow/bin/python]
    python bench/images.py --home DIR --results FILE --only push     # a part at a time: what is prepared stays in DIR

Both sides have their wheels and base on disk already. The engine's Dockerfile starts from the very same base layer and
installs the very same wheels with pip; ``chroot`` isolation spares it the start of a container. CPU seconds count all
processes of a side. MLflow's image cannot be built here; its size is computed from its recipe, in compressed bytes.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from penstock.ground.settings import load_settings
from penstock.images import program
from penstock.images.bases.apt_packages import PackageIndex, closure
from penstock.images.bases.apt_release import read_index, read_release
from penstock.images.bases.apt_sources import apt_proxies, host_sources, sources_for
from penstock.images.build import BuiltImage, build_image
from penstock.images.download import Downloader
from penstock.images.places import write_image_files
from penstock.images.target import build_target
from penstock.images.wheels.fetch import fetch
from penstock.images.wheels.resolve import resolve
from penstock.models.folder import read_model_folder
from penstock.models.pack import save_model
from penstock.oci.unpack import unpack_image

BUILD = """
import sys
from pathlib import Path
from penstock.images.build import build_image
from penstock.models.folder import read_model_folder
build_image(read_model_folder(Path(sys.argv[1])), cache_dir=Path(sys.argv[2]))
"""
REBUILD = """
import sys, time
from pathlib import Path
from penstock.images.build import build_image
from penstock.models.folder import read_model_folder
began = time.perf_counter()
build_image(read_model_folder(Path(sys.argv[1])), cache_dir=Path(sys.argv[2]))
print(time.perf_counter() - began)
"""
DOCKERFILE = """
FROM localhost/bench:base
COPY pip.whl /tmp/pip.whl
COPY wheels /tmp/wheels
RUN {install}
ENV PYTHONPATH=/opt/site
COPY program /opt/site
COPY model /opt/ml/model
ENTRYPOINT ["/usr/bin/python3", "-m", "penstock.serving"]
"""
# docker_utils.py of mlflow 3.17, `mlflow sagemaker build-and-push-container`: ubuntu:24.04 and these.
MLFLOW_PACKAGES = (
    "wget", "curl", "nginx", "ca-certificates", "bzip2", "build-essential", "cmake", "git", "tzdata", "libssl-dev",
    "zlib1g-dev", "libbz2-dev", "libreadline-dev", "libsqlite3-dev", "llvm", "libncurses-dev", "xz-utils", "tk-dev",
    "libxml2-dev", "libxmlsec1-dev", "libffi-dev", "liblzma-dev", "software-properties-common", "python3.11",
    "python3.11-distutils", "openjdk-17-jdk-headless", "maven",
)  # fmt: skip
MINIMAL = (
    "base-files",
    "bash",
    "coreutils",
    "dpkg",
    "apt",
    "libc-bin",
    "util-linux",
    "perl-base",
    "grep",
    "sed",
    "tar",
)


class Cost(NamedTuple):
    """What a command took."""

    wall_s: float
    cpu_s: float
    output: str


def run(command: list[str], **options: object) -> Cost:
    """Runs a command to its end; CPU counts all its descendants. The output is shown when it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)  # type: ignore[call-overload]
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command[:6])} failed:\n{output[-3000:]}")
    return Cost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, output)


RESULTS: list[dict[str, object]] = []


def show(what: str, ours: float, theirs: float | None, unit: str, target: str) -> None:
    """One line: both figures and ours over theirs."""
    ratio = f"{ours / theirs:8.3f}" if theirs else " " * 8
    RESULTS.append({"what": what.strip(), "ours": ours, "theirs": theirs, "unit": unit, "target": target})
    print(
        f"{what:44}{ours:10.2f}{'' if theirs is None else f'{theirs:10.2f}':>10} {unit:4}{ratio}  {target}", flush=True
    )


class Bench:
    """The iris model, a cache with everything fetched, and the engine's own storage and build context."""

    def __init__(self, home: Path, rounds: int) -> None:
        self.home, self.rounds = home, rounds
        self.model = home / "model"
        self.cache = home / "cache"
        self.built = self._prepared()
        self._podman = ["podman", "--runtime=runc", "--root", str(home / "root"), "--runroot", str(home / "run")]
        self.context = home / "context"
        if not self.context.is_dir():
            self._context()

    def _prepared(self) -> BuiltImage:
        if self.model.is_dir():
            return build_image(read_model_folder(self.model), cache_dir=self.cache)
        rows, kinds = load_iris(return_X_y=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            save_model(LogisticRegression(max_iter=1000).fit(rows, kinds), self.model, input_example=rows[:2])
        shared = load_settings().cache_dir
        build_image(read_model_folder(self.model), cache_dir=shared)
        for part in ("locks", "wheels", "debian", "sboms"):
            shutil.copytree(shared / part, self.cache / part, dirs_exist_ok=True, symlinks=True)
        return build_image(read_model_folder(self.model), cache_dir=self.cache)

    def _context(self) -> None:
        context = self.home / "context.new"
        (context / "wheels").mkdir(parents=True)
        for path in fetch(self.built.lock, cache_dir=self.cache).values():
            shutil.copy(path, context / "wheels")
        pip = resolve(["pip"], self.built.target, cache_dir=self.cache)
        shutil.copy(fetch(pip, cache_dir=self.cache)["pip"], context / "pip.whl")
        for name, content in program.program_files().items():
            (context / "program" / name).parent.mkdir(parents=True, exist_ok=True)
            (context / "program" / name).write_bytes(content)
        shutil.copytree(self.model, context / "model")
        write_image_files(self.built.base.image, self.home / "base.tar", form="tar", name="localhost/bench:base")
        self.podman("load", "--input", str(self.home / "base.tar"))
        context.rename(self.context)

    def close(self) -> None:
        """Lets go of what the engine keeps mounted over its storage."""
        for part in ("root", "run"):
            for path in (self.home / part / "overlay", self.home / part):
                subprocess.run(["umount", "--recursive", str(path)], check=False, capture_output=True)

    def podman(self, *arguments: str) -> Cost:
        return run([*self._podman, *arguments])

    def podman_build(self, *, compiled: bool, fresh: bool) -> Cost:
        names = sorted(path.name for path in (self.context / "wheels").iterdir())
        wheels = [f"/tmp/wheels/{name}" for name in names]
        pip = ["/usr/bin/python3", "/tmp/pip.whl/pip", "install", "--no-index", "--no-deps", "--no-cache-dir"]
        pip += [
            "--quiet",
            "--break-system-packages",
            "--target",
            "/opt/site",
            "--compile" if compiled else "--no-compile",
        ]
        (self.context / "Dockerfile").write_text(DOCKERFILE.format(install=json.dumps([*pip, *wheels])))
        cache = ["--no-cache"] if fresh else ["--layers"]
        limits = ["--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096", "--network=host", "--isolation=chroot"]
        return self.podman("build", "--format=docker", *cache, *limits, "-t", "localhost/bench:iris", str(self.context))

    def build(self, *, warm: str = "") -> Cost:
        """A build in a fresh process after the layers named by ``warm`` (all: nothing) were forgotten."""
        if not warm:
            shutil.rmtree(self.cache / "oci")
            shutil.rmtree(self.cache / "sboms", ignore_errors=True)
        return run([sys.executable, "-c", BUILD, str(self.model), str(self.cache)])

    def push_command(self, place: str) -> Cost:
        """`penstock push` of what `penstock build` made of the model as it is now."""
        here = {**os.environ, "PENSTOCK_CACHE_DIR": str(self.cache)}
        run([sys.executable, "-c", COMMAND, "build", str(self.model), "-t", place, "--quiet"], env=here)
        return run([sys.executable, "-c", COMMAND, "push", place, "--quiet"], env=here)

    def change_model(self, number: int) -> None:
        for folder in (self.model, self.context / "model"):
            (folder / "note.txt").write_text(f"change {number}")


def cold(bench: Bench) -> None:
    """Everything is made: base, packages with bytecode, program, model."""
    ours = [bench.build() for _ in range(bench.rounds)]
    theirs = [bench.podman_build(compiled=True, fresh=True) for _ in range(bench.rounds)]
    bare = [bench.podman_build(compiled=False, fresh=True) for _ in range(bench.rounds)]
    show("cold build, .pyc made on both sides, CPU", best(ours, "cpu_s"), best(theirs, "cpu_s"), "s", "<= 0.667")
    show("  the same, wall", best(ours, "wall_s"), best(theirs, "wall_s"), "s", "")
    show("  beside pip --no-compile (we compile), CPU", best(ours, "cpu_s"), best(bare, "cpu_s"), "s", "")


def shared(bench: Bench) -> None:
    """A second model with the same packages: for us a build from the cache; an engine runs pip again."""
    ours = [bench.build(warm="packages") for _ in range(bench.rounds)]
    theirs = [bench.podman_build(compiled=False, fresh=True) for _ in range(bench.rounds)]
    show("build with .pyc cached / deferred, CPU", best(ours, "cpu_s"), best(theirs, "cpu_s"), "s", "<= 0.25")


def rebuild(bench: Bench) -> None:
    ours, commands, theirs = [], [], []
    bench.podman_build(compiled=True, fresh=False)
    for number in range(bench.rounds + 2):
        bench.change_model(number)
        done = run([sys.executable, "-c", REBUILD, str(bench.model), str(bench.cache)])
        ours.append(float(done.output))
        commands.append(done.wall_s)
        theirs.append(bench.podman_build(compiled=True, fresh=False).wall_s)
    show("rebuild after the model changed, wall", min(ours), min(theirs), "s", "<= 0.1")
    show("  with a fresh interpreter and its imports", min(commands), min(theirs), "s", "")


def best(costs: list[Cost], field: str) -> float:
    return min(float(getattr(cost, field)) for cost in costs)


@contextmanager
def registry(home: Path) -> Iterator[str]:
    """A real docker-registry on loopback."""
    port = free_port()
    config = home / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {home / 'registry'}}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}, secret: x}}\n"
    )
    server = shutil.which("docker-registry") or "docker-registry"
    process = subprocess.Popen([server, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: socket.create_connection(("127.0.0.1", port), 1).close() is None)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


PUSH = """
import sys, time
from pathlib import Path
from penstock.images.build import build_image
from penstock.models.folder import read_model_folder
from penstock.oci.client import RegistryClient
model, cache, place = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
for number in range(int(sys.argv[4])):
    if number:
        (model / "note.txt").write_text(f"change {number} of {time.time_ns()}")
    image = build_image(read_model_folder(model), cache_dir=cache).image
    began = time.perf_counter()
    with RegistryClient() as client:
        client.push(image, place)
    print(time.perf_counter() - began)
"""
COMMAND = "from penstock.cli.main import main; main()"


def push(bench: Bench) -> None:
    """The call as the first of a process and as a later one, and the command with its interpreter and imports."""
    bench.podman_build(compiled=True, fresh=False)
    with registry(bench.home) as host:
        place = f"{host}/ours:iris"
        call = [sys.executable, "-c", PUSH, str(bench.model), str(bench.cache), place]
        there = ["push", "--tls-verify=false", "localhost/bench:iris", f"{host}/theirs:iris"]
        show("first push, wall", float(run([*call, "1"]).output), bench.podman(*there).wall_s, "s", "")
        first, later, commands, theirs = [], [], [], []
        for number in range(100, 100 + bench.rounds + 2):
            bench.change_model(number)
            took = [float(line) for line in run([*call, "3"]).output.split()]
            first.append(took[0])
            later += took[1:]
            bench.change_model(number + 1000)
            commands.append(bench.push_command(place).wall_s)
            bench.podman_build(compiled=True, fresh=False)
            theirs.append(bench.podman(*there).wall_s)
        show("push after the model changed, the call, wall", min(later), min(theirs), "s", "<= 0.333")
        show("  the first such call of a process", min(first), min(theirs), "s", "")
        show("  the command `penstock push`", min(commands), min(theirs), "s", "")
        before = bench.built.image
        after = build_image(read_model_folder(bench.model), cache_dir=bench.cache).image
        known = {layer.digest for layer in before.layers}
        sent = sum(layer.size_bytes for layer in after.layers if layer.digest not in known)
        sent += len(after.config_bytes()) + len(after.manifest())
        show("  bytes sent, the model's own layer included", sent / 1024, None, "KiB", "<= 64 beyond the model")


def sizes(bench: Bench) -> None:
    ours = bench.built.image.size_bytes
    theirs = mlflow_bytes(bench)
    show("image size, compressed (theirs computed)", ours / 1e6, theirs / 1e6, "MB", "<= 0.25")


def mlflow_bytes(bench: Bench) -> int:
    """The recipe's size: its Debian packages, with what they depend on and no more, and its wheels.

    Too small rather than too large: recommended packages, pyenv's checkout and the unpacked model are left out.
    """
    target = build_target("3.11")
    found = sources_for(host_sources(), "3.11")
    if found is None:
        sys.exit("This host's apt knows no Debian release with Python 3.11.")
    downloader, index = Downloader(proxies=apt_proxies()), PackageIndex()
    for source in found[1]:
        release = read_release(source, downloader)
        index.add(source.uri, read_index(release, "main", "amd64", downloader, bench.cache))
    debs = sum(package.size_bytes for package in closure(index, (*MINIMAL, *MLFLOW_PACKAGES), without=frozenset()))
    requirements = (*read_model_folder(bench.model).serving_requirements(), "mlflow")
    lock = resolve(requirements, target, cache_dir=bench.cache)
    wheels = sum(path.stat().st_size for path in fetch(lock, cache_dir=bench.cache).values())
    return debs + wheels


def start(bench: Bench, peer: str) -> None:
    """From exec to the first 200 of /ping, in the image's own root; and MLflow's server on the same model. For root."""
    if os.geteuid() != 0:
        return
    root = bench.home / "rootfs"
    unpack_image(bench.built.image, root)
    subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=False, capture_output=True)
    subprocess.run(["mount", "-t", "tmpfs", "shm", str(root / "dev")], check=False, capture_output=True)
    (root / "dev" / "shm").mkdir(parents=True, exist_ok=True)
    try:
        inside = ["chroot", str(root), "/opt/venv/bin/python"]
        imports = [run([*inside, "-c", "import sklearn.linear_model"]).wall_s for _ in range(bench.rounds + 2)]
        pings = [
            ping(lambda port: [*inside, "-m", "penstock.serving", "serve", "--port", str(port)])
            for _ in range(bench.rounds + 2)
        ]
    finally:
        for name in ("proc", "dev"):
            subprocess.run(["umount", str(root / name)], check=False, capture_output=True)
    show(
        "start to first /ping 200, beside the import",
        statistics.median(pings),
        statistics.median(imports),
        "s",
        "<= 1.3",
    )
    if Path(peer).exists():
        serve = [
            str(Path(peer).absolute()),
            "-m",
            "mlflow",
            "models",
            "serve",
            "-m",
            str(bench.model),
            "--env-manager=local",
        ]
        theirs = [ping(lambda port: [*serve, "-p", str(port)]) for _ in range(bench.rounds)]
        show(
            "start to first /ping 200, beside mlflow's",
            statistics.median(pings),
            statistics.median(theirs),
            "s",
            "<= 0.333",
        )


def ping(command: Callable[[int], list[str]]) -> float:
    port = free_port()
    began = time.perf_counter()
    arguments = command(port)
    beside = f"{Path(arguments[0]).parent}:{os.environ['PATH']}"  # mlflow looks for uvicorn there
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PATH": beside},
    )
    try:
        until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2).status == 200)
        return time.perf_counter() - began
    finally:
        os.killpg(process.pid, 15)
        process.wait()


LARGE = """
import resource, sys
from pathlib import Path
from penstock.images.target import build_target
from penstock.images.wheels.layers import ensure_wheel_layers
from penstock.images.wheels.lock import Lock, LockedWheel
from penstock.images.bytecode import find_interpreter
from penstock.ground.files import sha256_of
from penstock.oci.cache import BlobCache
from penstock.oci.client import RegistryClient
from penstock.oci.image import empty_image
from penstock.oci.types import Platform
paths = {path.name.split("-")[0]: path for path in Path(sys.argv[1]).glob("*.whl")}
wheels = tuple(LockedWheel(name=n, version="1", filename=p.name, url="", sha256=sha256_of(p)) for n, p in paths.items())
lock = Lock(target=build_target("3.11"), requirements=(), wheels=wheels)
made = ensure_wheel_layers(lock, paths, interpreter=find_interpreter("3.11"), blobs=BlobCache(Path(sys.argv[2])))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
with RegistryClient() as client:
    client.push(empty_image(Platform("linux", "amd64")).append([layer for _, layer in made]), sys.argv[3])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def large(home: Path, size_gb: int) -> None:
    """The peak memory of laying out wheels of a gigabyte each, and of pushing them."""
    if not size_gb:
        return
    folder = home / "large"
    folder.mkdir()
    for number in range(size_gb):
        write_large(folder / f"large{number}-1.0-py3-none-any.whl", f"large{number}")
    with registry(home) as host:
        done = run([sys.executable, "-c", LARGE, str(folder), str(home / "large-cache"), f"{host}/large:1"])
    laid_out, pushed = (float(line) for line in done.output.split())
    show(f"peak memory, {size_gb} GB of wheels laid out", laid_out, None, "MiB", "<= 300")
    show("  and pushed", pushed, None, "MiB", "<= 300")
    shutil.rmtree(folder)


def write_large(path: Path, name: str) -> None:
    block, rows = os.urandom(1 << 20), []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        hasher = hashlib.sha256()
        with archive.open(f"{name}/lib.so", "w", force_zip64=True) as file:
            for _ in range(1000):
                file.write(block)
                hasher.update(block)
        small = {f"{name}-1.0.dist-info/METADATA": b"Name: x\n", f"{name}-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\n"}
        rows = [(f"{name}/lib.so", hasher.digest())]
        for each, content in small.items():
            archive.writestr(each, content)
            rows.append((each, hashlib.sha256(content).digest()))
        listed = "".join(f"{each},sha256={encoded(digest)},\n" for each, digest in rows)
        archive.writestr(f"{name}-1.0.dist-info/RECORD", f"{listed}{name}-1.0.dist-info/RECORD,,\n")


def encoded(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            time.sleep(0.01)
    sys.exit("It did not come up.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large-gb", type=int, default=0, help="also lay out this many gigabytes of wheels")
    parser.add_argument("--peer", default=".venvs/mlflow/bin/python", help="an interpreter that has mlflow")
    parser.add_argument("--only", action="append", choices=PARTS, help="run this part; may be given several times")
    parser.add_argument("--home", type=Path, help="keep what is prepared in this folder, for the next part")
    parser.add_argument("--results", type=Path, help="add the figures to this file, one JSON line each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-images-") as folder:
        home = options.home or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        bench = Bench(home, options.rounds)
        print(f"{'':44}{'ours':>10}{'peer':>10}      {'ratio':>7}  target")
        try:
            for name in options.only or PARTS:
                PARTS[name](bench, options)
        finally:
            bench.close()
            keep_results(options.results)


def keep_results(path: Path | None) -> None:
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in RESULTS)


PARTS: dict[str, Callable[[Bench, argparse.Namespace], None]] = {
    "cold": lambda bench, _: cold(bench),
    "shared": lambda bench, _: shared(bench),
    "rebuild": lambda bench, _: rebuild(bench),
    "push": lambda bench, _: push(bench),
    "size": lambda bench, _: sizes(bench),
    "start": lambda bench, options: start(bench, options.peer),
    "large": lambda bench, options: large(bench.home, options.large_gb),
}


if __name__ == "__main__":
    main()
