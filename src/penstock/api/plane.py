"""The embedded AWS on this machine: planes brought up, looked at, emptied and taken down, each by its name."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from penstock.ground.errors import Conflict, InvalidInput, NotFound
from penstock.ground.files import remove_tree
from penstock.ground.names import check_endpoint_name, near
from penstock.ground.settings import Settings, load_settings
from penstock.rehearsal.options import PlaneInfo
from penstock.rehearsal.process import (
    LOG,
    find_plane,
    plane_environment,
    real_credentials,
    start_plane,
    stop_plane,
)

DEFAULT = "local"


class PlaneView(msgspec.Struct, frozen=True, kw_only=True):
    """A plane as people see it. ``warning`` says when real AWS credentials are within reach of this shell."""

    name: str
    state_dir: str
    running: bool
    url: str | None = None
    pid: int | None = None
    region: str | None = None
    account: str | None = None
    time_scale: float | None = None
    runner: str | None = None
    warning: str | None = None


def up(
    name: str = DEFAULT,
    *,
    port: int = 0,
    time_scale: float | None = None,
    runner: str | None = None,
    region: str | None = None,
    check_signatures: bool = False,
    settings: Settings | None = None,
) -> PlaneView:
    """The plane of that name, started in the background unless it runs already. Raises ToolFailed, TimedOut.

    ``check_signatures`` has it refuse, with AWS's own codes, what is not signed with a key of the account.
    """
    settings = settings or load_settings()
    directory = _directory(name, settings)
    info = start_plane(
        directory, port=port, cache_dir=settings.cache_dir, time_scale=time_scale,
        runner=runner or settings.runner, region=region or settings.region, check_signatures=check_signatures,
    )  # fmt: skip
    return _view(name, directory, info)


def run(
    name: str = DEFAULT,
    *,
    port: int = 0,
    time_scale: float | None = None,
    runner: str | None = None,
    region: str | None = None,
    check_signatures: bool = False,
    settings: Settings | None = None,
) -> None:
    """Becomes the plane of that name, in the foreground; never returns. Raises Conflict if it runs already."""
    settings = settings or load_settings()
    directory = _directory(name, settings)
    if find_plane(directory):
        raise Conflict(f"The plane {name!r} is already up.", fix=f"Take it down: penstock plane down --name {name}.")
    options = {
        "--port": port, "--time-scale": time_scale, "--runner": runner or settings.runner,
        "--region": region or settings.region, "--cache-dir": settings.cache_dir,
    }  # fmt: skip
    command = [sys.executable, "-m", "penstock.rehearsal", "--state-dir", str(directory)]
    command += [str(part) for pair in options.items() if pair[1] is not None for part in pair]
    command += ["--check-signatures"] if check_signatures else []
    os.execv(sys.executable, command)


def down(name: str = DEFAULT, *, settings: Settings | None = None) -> bool:
    """Stops the plane and everything it runs, keeping its state; False when it was not up."""
    return stop_plane(_directory(name, settings or load_settings()))


def status(name: str | None = None, *, settings: Settings | None = None) -> list[PlaneView]:
    """The planes of this machine's state directory, or the one of that name. Raises NotFound."""
    settings = settings or load_settings()
    known = _known(settings)
    if name is not None and name not in known:
        raise NotFound(f"There is no plane {name!r}.{near(name, known)}", fix="Start it: penstock plane up.")
    names = known if name is None else [name]
    return [_view(each, _directory(each, settings), find_plane(_directory(each, settings))) for each in names]


def logs(name: str = DEFAULT, *, lines: int = 50, settings: Settings | None = None) -> list[str]:
    """The last ``lines`` lines of the plane's own log. Raises NotFound."""
    path = _directory(name, settings or load_settings()) / LOG
    if not path.exists():
        raise NotFound(f"The plane {name!r} has no log.", fix="Start it: penstock plane up.")
    return path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:] if lines > 0 else []


def reset(name: str = DEFAULT, *, settings: Settings | None = None) -> bool:
    """Takes the plane down and forgets its state: endpoints, objects, images, roles; False if there was none."""
    directory = _directory(name, settings or load_settings())
    stop_plane(directory)
    existed = directory.exists()
    remove_tree(directory)
    return existed


def env(name: str = DEFAULT, *, settings: Settings | None = None) -> dict[str, str]:
    """The variables that send every AWS client of a shell to the plane. Raises NotFound when it is not up."""
    info = find_plane(_directory(name, settings or load_settings()))
    if info is None:
        raise NotFound(f"The plane {name!r} is not up.", fix="Start it: penstock plane up.")
    return plane_environment(info)


def _directory(name: str, settings: Settings) -> Path:
    try:
        return settings.state_dir / "planes" / check_endpoint_name(name)
    except InvalidInput as error:
        raise InvalidInput(f"{name!r} cannot name a plane.", fix=error.fix) from error


def _known(settings: Settings) -> list[str]:
    folder = settings.state_dir / "planes"
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _view(name: str, directory: Path, info: PlaneInfo | None) -> PlaneView:
    place = real_credentials(os.environ)
    warning = f"Real AWS credentials are in reach ({place}); use the plane's environment." if place else None
    if info is None:
        return PlaneView(name=name, state_dir=str(directory), running=False, warning=warning)
    return PlaneView(
        name=name, state_dir=str(directory), running=True, url=info.url, pid=info.pid, region=info.region,
        account=info.account, time_scale=info.time_scale, runner=info.runner, warning=warning,
    )  # fmt: skip
