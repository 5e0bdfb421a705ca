"""Archives, good and hostile ones, made on the spot."""

import io
import tarfile
import zipfile

from fairtrial.errors import BAD_INPUT
from tests.data.making import fault_of, png

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")


def good(top=""):
    """name -> bytes of a small image folder."""
    kinds = [(split, name) for split in ("train", "test") for name in ("cat", "dog")]
    return {f"{top}{split}/{name}/0.png": png(number) for number, (split, name) in enumerate(kinds)}


def entry(name, data=b"", *, mode=0o644, kind=tarfile.REGTYPE, link="", **other):
    """One member of a tar, as tarfile would never make it."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.type, info.linkname = len(data), mode, kind, link
    for key, value in other.items():
        setattr(info, key, value)
    return info, data


def record(name, data=b"", *, mode=0o100644, method=zipfile.ZIP_DEFLATED, **other):
    """One member of a zip."""
    info = zipfile.ZipInfo(name)
    info.external_attr, info.compress_type = mode << 16, method
    for key, value in other.items():
        setattr(info, key, value)
    return info, data


def write_tar(path, entries=(), files=None, format=tarfile.GNU_FORMAT):
    mode = "w:gz" if path.suffix in (".gz", ".tgz") else "w"
    plain = good() if files is None else files
    with tarfile.open(path, mode, format=format) as made:
        for info, data in [*(entry(name, data) for name, data in plain.items()), *entries]:
            made.addfile(info, io.BytesIO(data))
    return path


def write_zip(path, entries=(), files=None):
    plain = good() if files is None else files
    with zipfile.ZipFile(path, "w") as made:
        for info, data in [*(record(name, data) for name, data in plain.items()), *entries]:
            made.writestr(info, data, info.compress_type)
    return path


def write(path, files=None):
    return (write_zip if path.suffix == ".zip" else write_tar)(path, files=files)


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def archives(cache_home):
    """What lies in the cache for archives, but for the locks."""
    home = cache_home / "fairtrial" / "archives"
    return sorted(p.name for p in home.iterdir() if not p.name.endswith(".lock")) if home.exists() else []


def failed(path, code=BAD_INPUT):
    return fault_of(f"folder:{path}", code)


def refused(path, tmp_path):
    """The Fault of an archive that is refused; nothing at all was written for it."""
    before = everything(tmp_path)
    fault = failed(path)
    assert everything(tmp_path) == before
    return fault
