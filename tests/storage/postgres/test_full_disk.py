"""What a node does when the disk of PostgreSQL is full."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.nodes import faults_of, read_bests
from tests.postgres import USER, Cluster
from tests.running import Posts
from tests.storage.postgres.conftest import StartNode
from tests.timing import Clients

pytestmark = pytest.mark.postgres


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", f"{folder}"], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    shutil.chown(folder, USER, USER)
    try:
        yield folder
    finally:
        subprocess.run(["umount", f"{folder}"], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler


def test_on_a_full_disk_posts_are_refused_and_lists_go_on_until_there_is_room_again(
    own_cluster: Cluster, node: StartNode
) -> None:
    if not shutil.which("mount"):
        pytest.skip("mount is not installed")
    with small_disk(own_cluster.folder.parent / "disk") as disk:
        with own_cluster.connect() as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
            connection.execute("ALTER DATABASE scores SET TABLESPACE small")
        url = own_cluster.url("scores")
        server = node(url)
        posts = Posts(server)
        posts.wait_for(50)

        filler = fill(disk)
        with Clients(server, 2, lambda number: ("GET", "/1/highscorelist", None), 0.01) as lists:
            posts.wait_for_refusals(20)
            filler.unlink()
            posts.wait_for(len(posts.acknowledged) + 50)
        posts.stop()
        bests, faults = read_bests(url), faults_of(url)
        own_cluster.stop()  # it must not use the disk any more

    assert set(posts.refused) == {503}
    assert posts.cut_off == []
    assert {answer.status for answer in lists.answers} == {200}
    assert [post for post in posts.acknowledged if (post[0], 7) not in bests] == []
    assert faults == []
    assert "Traceback" not in server.log
