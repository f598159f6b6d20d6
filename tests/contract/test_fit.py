# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A bound spec that does not say what its object has: one sentence, before anything is loaded.

An object file comes from anywhere. The kernel reads and writes as much as a map's sizes say, so
the sizes of the spec are not to be believed.
"""
from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

from frontends import BIN, BUILD, Result
from support import one_sentence, opens, run, seen

pytestmark = pytest.mark.host_only

Spec = Dict[str, Any]
Change = Tuple[str, Callable[[Spec], None]]     # what it is called, and what does it

OBJECTS = sorted([*(BUILD / "bpf").glob("*.bpf.o"), *(BUILD / "tests/tools/bpf").glob("*.bpf.o")])
# numbers of enum bpf_cmd
MAP_CREATE, PROG_LOAD, BTF_LOAD = "0", "5", "18"
MISFIT, MALFORMED = "the bound spec does not fit its object (", "malformed bound spec: "


class Object:
    """An object of the build, of which the spec can be another one."""

    def __init__(self, path: Path):
        self._whole = path.read_bytes()
        self._start = self._whole.index(b'{"bpfduet"')
        self.spec, size = json.JSONDecoder().raw_decode(self._whole[self._start:].decode("latin-1"))
        self._size = size
        # What comes before a look at the sizes, and room for longer numbers.
        self.spec.update(requires=[], help="")
        for option in self.spec["options"]:
            option["required"] = False

    def write(self, path: Path, change: Callable[[Spec], None]) -> None:
        """The object with a changed spec."""
        spec = copy.deepcopy(self.spec)
        change(spec)
        text = json.dumps(spec, ensure_ascii=False, separators=(",", ":")).encode("latin-1")
        assert len(text) <= self._size
        path.write_bytes(self._whole[:self._start] + text.ljust(self._size)
                         + self._whole[self._start + self._size:])


def numbers(where: Callable[[Spec], Spec], key: str, others: List[int], name: str
            ) -> Iterator[Change]:
    """Other values for a number."""
    for other in others:
        def change(spec: Spec, other: int = other) -> None:
            where(spec)[key] = other
        yield f"{name}.{key}={other}", change


def around(size: int) -> List[int]:
    """Other sizes than this one."""
    return [other for other in (1, size - 1, size + 1, 2 * size) if 0 < other != size]


def word(where: Callable[[Spec], Spec], key: str, other: Any, name: str) -> Change:
    """Another word, or another truth."""
    def change(spec: Spec) -> None:
        where(spec)[key] = other
    return f"{name}.{key}={other}", change


def changes_of_reports(spec: Spec) -> Iterator[Change]:
    """Sizes and kinds of maps."""
    for number, report in enumerate(spec["reports"]):
        def found(one: Spec, number: int = number) -> Spec:
            report: Spec = one["reports"][number]
            return report
        for side in ("key", "value"):
            yield from numbers(lambda one, side=side, found=found: found(one)[side],  # type: ignore
                               "size", around(report[side]["size"]), f"report.{side}")
        yield word(found, "percpu", not report["percpu"], "report")
        yield word(found, "map_kind", "array" if report["map_kind"] == "hash" else "hash", "report")
        yield word(found, "map", "nowhere", "report")
        if report["stacks"]:
            yield from numbers(lambda one, found=found: found(one)["stacks"],  # type: ignore
                               "depth", [0, *around(report["stacks"]["depth"])], "stacks")
            yield word(lambda one, found=found: found(one)["stacks"],  # type: ignore
                       "map", report["map"], "stacks")


def changes_of_events(spec: Spec) -> Iterator[Change]:
    """Records and what they come by."""
    events = spec["events"]
    if events:
        def found(one: Spec) -> Spec:
            events: Spec = one["events"]
            return events
        yield from numbers(found, "size", around(events["size"]), "events")
        yield word(found, "transport", "perf" if events["transport"] == "ringbuf" else "ringbuf",
                   "events")
        yield word(found, "map", "bpfduet_lost", "events")
        yield word(found, "map", "nowhere", "events")


def changes_of_constants(spec: Spec) -> Iterator[Change]:
    """Constants, of the object and of the options."""
    places = [(lambda one, number=number: one["configs"][number], config)  # type: ignore
              for number, config in enumerate(spec["configs"])]
    places += [(lambda one, number=number: one["options"][number]["config"],  # type: ignore
                option["config"])
               for number, option in enumerate(spec["options"]) if option["config"]]
    for found, config in places:
        yield from numbers(found, "offset", [config["offset"] + 1, 1 << 20], "config")
        yield from numbers(found, "size", [2 if config["size"] == 1 else 1], "config")


def changes_of_other_maps(spec: Spec) -> Iterator[Change]:
    """Maps of options and counters."""
    for number, option in enumerate(spec["options"]):
        def found(one: Spec, number: int = number) -> Spec:
            option: Spec = one["options"][number]
            return option
        if option["set"]:
            for other in ("nowhere", "bpfduet_lost", "events"):
                yield word(found, "set", other, "option")
    for number, _ in enumerate(spec["counters"]):
        for other in ("nowhere", "bpfduet_lost"):
            yield word(lambda one, number=number: one["counters"][number],  # type: ignore
                       "map", other, "counter")


def loaded(path: Path, workloads: Path) -> Result:
    """What the loader says of an object where nothing can be loaded."""
    return run([str(workloads / "lacks"), MAP_CREATE, PROG_LOAD, BTF_LOAD, "--",
                str(BIN / "bpfduet-loader"), str(path)])


@pytest.mark.parametrize("path", OBJECTS, ids=[path.name.split(".")[0] for path in OBJECTS])
def test_other_sizes(path: Path, tmp_path: Path, workloads: Path) -> None:
    """Each size, kind and place of each object's spec."""
    whole, changed = Object(path), tmp_path / "changed.o"
    tool = whole.spec["tool"]
    whole.write(changed, lambda spec: None)
    result = loaded(changed, workloads)
    assert result.status == 1 and b"bound spec" not in result.stderr    # its own fits
    for changes in (changes_of_reports, changes_of_events, changes_of_constants,
                    changes_of_other_maps):
        said = []
        for name, change in changes(whole.spec):
            whole.write(changed, change)
            result = loaded(changed, workloads)
            assert result.status == 1, (name, result)
            malformed = result.stderr.startswith(b"bpfduet-loader: ")
            said.append(one_sentence(result, "bpfduet-loader" if malformed else tool))
            assert said[-1].startswith(MALFORMED if malformed else MISFIT), (name, said[-1])
        # Most are well formed, and only do not fit.
        assert not said or any(one.startswith(MISFIT) for one in said), said


def test_a_set_of_all_processors(tmp_path: Path, workloads: Path) -> None:
    """A number of the command line is no value for each of them."""
    whole = Object(BUILD / "bpf" / "opensnoop.bpf.o")

    def change(spec: Spec) -> None:
        option = next(one for one in spec["options"] if one["name"] == "failed")
        option.update(type="numbers", config=None, set="bpfduet_lost")

    whole.write(tmp_path / "set.o", change)
    assert one_sentence(loaded(tmp_path / "set.o", workloads), "opensnoop") == \
        f"{MISFIT}the map 'bpfduet_lost' is no set of integers): build it again"


def test_what_fits_runs(tmp_path: Path, workloads: Path) -> None:
    """The way in which the objects of these tests are made spoils none."""
    whole = Object(BUILD / "bpf" / "opensnoop.bpf.o")
    whole.write(tmp_path / "same.o", lambda spec: None)
    result = run([str(BIN / "bpfduet-loader"), str(tmp_path / "same.o"), "--",
                  *opens(workloads, 23)])
    assert (result.status, result.stderr, seen(result)) == (0, b"", 23)
