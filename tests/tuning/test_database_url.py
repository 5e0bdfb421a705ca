"""The address of a database: what is refused, and that its password is never shown."""

from pathlib import Path

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import REFUSED, USAGE, Fault
from fairtrial.storage import lock
from fairtrial.tuning.database_url import FILE_VARIABLE, VARIABLE, given_url, one_driver, read_url

SECRET = "s3cr%t/päss"
SPELLED = ("s3cr%25t%2Fp%C3%A4ss", SECRET)
URL = f"postgresql://ann:{SPELLED[0]}@db.example:5433/trials"


def refusal(text, **how):
    with pytest.raises(Fault) as refused:
        read_url(text, "--storage", **how)
    assert refused.value.code == USAGE
    assert not any(secret in refused.value.block() for secret in SPELLED)
    return refused.value.block()


@pytest.mark.parametrize(
    "text", ["", "x", "postgresql", "postgresql://ann@db:port/x", "a\nb://c/d", "x" * 3000]
)
def test_what_is_no_address_is_refused(text):
    assert "holds no address" in refusal(text)


@pytest.mark.parametrize("kind", ["mysql", "postgres", "postgresql+psycopg2", "redis", "sqlite+aiosqlite"])
def test_another_kind_of_database_is_refused(kind):
    assert f"kind '{kind}'" in refusal(URL.replace("postgresql", kind))


def test_an_address_without_a_database_is_refused():
    assert "names no database" in refusal("postgresql://db.example")
    assert "names none" in refusal("sqlite://")


@pytest.mark.parametrize("extra", ["?password=", "?sslpassword=", "?application_name=x&sslpassword="])
def test_a_password_on_the_command_line_is_refused(extra):
    assert "ps" in refusal(URL, everyone_reads=True)
    hidden = f"postgresql://ann@db.example/trials{extra}{SPELLED[0]}"
    assert "~/.pgpass" in refusal(hidden, everyone_reads=True)
    assert read_url("postgresql://ann@db.example/trials?passfile=/x", "--storage", everyone_reads=True)


@pytest.mark.parametrize("url", [URL, f"postgresql://ann@db.example:5433/trials?sslpassword={SPELLED[0]}"])
def test_what_may_be_shown_holds_no_secret(url):
    found = read_url(url, VARIABLE)
    assert found.shown == str(found) == "postgresql://ann@db.example:5433/trials"
    assert not any(secret in repr(found) for secret in SPELLED)
    said = found.hide(f"could not connect: {' or '.join(SPELLED)} in {found.full}")
    assert not any(secret in said for secret in SPELLED) and "could not connect" in said


def test_the_option_comes_before_the_variable_and_that_before_the_file(tmp_path):
    (tmp_path / "url").write_text(URL + "\n", encoding="utf-8")
    file = {FILE_VARIABLE: str(tmp_path / "url")}
    assert given_url(None, {}) is None
    assert given_url(None, file).secrets == (SECRET,)
    assert given_url(None, file | {VARIABLE: "sqlite:///a.db"}).file.name == "a.db"
    assert given_url("sqlite:///b.db", file | {VARIABLE: "sqlite:///a.db"}).file.name == "b.db"
    with pytest.raises(Fault, match="cannot be read"):
        given_url(None, {FILE_VARIABLE: str(tmp_path / "no")})


def test_the_command_refuses_a_password_and_a_part(capsys, tmp_path):
    results = ["--results", str(tmp_path)]
    assert main(["tune", "norm", *results, "--storage", URL]) == USAGE
    assert not any(secret in capsys.readouterr().err for secret in SPELLED)
    shared = ["--storage", f"sqlite:///{tmp_path}/trials.db"]
    assert main(["tune", "norm", *results, *shared, "--part", "1/2"]) == USAGE
    assert "--part and --storage" in capsys.readouterr().err
    assert main(["tune", "norm", *results, "--storage", f"sqlite:///{tmp_path}/no/trials.db"]) == USAGE
    assert main(["tune", "norm", *results, "--storage", "postgresql://ann@127.0.0.1:1/x"]) == REFUSED
    said = capsys.readouterr().err
    assert said.count("error: ") == 2 and "postgresql://ann@127.0.0.1:1/x" in said


def test_sqlite_on_a_file_system_of_several_machines_is_refused_before_it_is_opened(monkeypatch, tmp_path):
    mounts = tmp_path / "mountinfo"
    line = "36 35 98:0 / {} rw,noatime shared:1 - {} server:/home rw\n"
    places = {"/": "ext4", f"{tmp_path}/a\\040disk": "nfs4", f"{tmp_path}/a\\040disk/here": "ext4"}
    mounts.write_text("".join(line.format(*place) for place in places.items()) + "no line of a mount\n")
    monkeypatch.setattr(lock, "MOUNTS", mounts)
    (tmp_path / "a disk" / "here").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a disk")
    for far in (tmp_path / "a disk" / "t.db", tmp_path / "link" / "t.db"):
        with pytest.raises(Fault, match=r"several machines \(nfs4\)") as refused, one_driver(far):
            pass
        assert refused.value.code == REFUSED and not list((tmp_path / "a disk").glob("t.db*"))
    for near in (tmp_path / "a disk" / "here" / "t.db", tmp_path / "t.db"):
        with one_driver(near):
            assert near.with_name("t.db.lock").exists()
    monkeypatch.setattr(lock, "MOUNTS", tmp_path / "nothing")
    assert lock.file_system(tmp_path) == ""
    monkeypatch.undo()
    assert lock.file_system(Path("/proc")) in ("proc", "")
