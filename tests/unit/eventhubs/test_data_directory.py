"""The folder that the broker keeps hubs in, and the list of hubs within it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local import eventhubs
from local.eventhubs import ConfigurationError
from local.eventhubs.broker import DataDirectory


async def test_a_directory_that_is_not_one_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        await eventhubs.EventHubs(tmp_path / "file" / "data").start()
    (tmp_path / "hubs.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await eventhubs.EventHubs(tmp_path).start()


async def test_a_flipped_bit_anywhere_in_the_list_of_hubs_is_named(tmp_path: Path) -> None:
    async with eventhubs.EventHubs(tmp_path, hubs={"frames": 4, "uploads": 2}):
        pass
    path = tmp_path / "hubs.json"
    whole = path.read_bytes()
    found = []
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        directory = DataDirectory(tmp_path)
        try:
            found.append([(spec.name, spec.partitions) for spec, _ in directory.reconcile([])])
        except ConfigurationError as error:
            found.append(str(error).startswith(f"{path} "))
        finally:
            directory.close()
    # Between words, a bit may change nothing
    assert all(each is True or each == [("frames", 4), ("uploads", 2)] for each in found)
    assert found.count(True) > len(found) // 2
    # Put right by hand, without a checksum, it is taken, and has one again
    document = json.loads(whole)
    path.write_text(json.dumps({"version": document["version"], "hubs": document["hubs"]}))
    async with eventhubs.EventHubs(tmp_path):
        pass
    assert json.loads(path.read_bytes()) == document


async def test_a_hub_may_have_the_name_of_anything_in_the_data_directory(tmp_path: Path) -> None:
    names = {"lock": 1, "hubs.json": 1, "hubs": 1, "x" * 255: 1}
    async with eventhubs.EventHubs(tmp_path, hubs=names):
        pass
    with pytest.raises(ConfigurationError, match="at most 255"):
        eventhubs.EventHubs(tmp_path, hubs={"x" * 256: 1})


async def test_a_log_that_nobody_can_place_is_one_sentence(tmp_path: Path) -> None:
    async with eventhubs.EventHubs(tmp_path, hubs={"frames": 1}):
        pass
    (tmp_path / "hubs" / "frames" / "0" / "copy of a.log").write_bytes(bytes(100))
    with pytest.raises(ConfigurationError, match="copy of a.log is not named like a segment"):
        await eventhubs.EventHubs(tmp_path).start()
