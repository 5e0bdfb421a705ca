"""The state that own training code keeps amid its cell: what it gave, and where its chance stands."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

TAKES: Final = "tensors, NumPy arrays, numbers, texts and None, in dicts, lists and tuples"


@dataclass
class OwnState:
    """What a watch sees of own training code, as it sees `training.loop.State` of the cell in the box.

    given: by the code at this step, None where it gave nothing. taken: what an earlier attempt gave last.
    Streams that were handed out before the steps, and the global generators, go on where they stood.
    """

    device: torch.device
    step: int = 0
    given: Mapping[str, Any] | None = None
    taken: dict[str, Any] | None = None
    _streams: dict[str, np.random.Generator | torch.Generator] = field(default_factory=dict)
    _alike: Counter[str] = field(default_factory=Counter)  # streams of one kind and name
    _stood: dict[str, Any] | None = None  # the chance of the earlier attempt
    _tried: bool = False
    _packed: tuple[dict[str, Tensor], Any] | None = None  # what was given, and the chance of its step

    @property
    def ready(self) -> bool:
        """Whether there is something to keep."""
        return self.given is not None

    def give(self, state: Mapping[str, Any]) -> None:
        """Take what the code gives at this step; a TypeError, at its first step, for what cannot be kept.

        What cannot be kept at a later step is not kept, and the run says so.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"cell.save takes a dict; got {type(state).__name__}")
        if not self._tried:
            packed(dict(state), {})
            self._tried = True
        self.given, self._packed = state, None

    def forget(self) -> None:
        """Let go of what was given: it is of the step before."""
        self.given = self._packed = None

    def arrays(self) -> dict[str, Tensor]:
        """Hand out the tensors by number; no copies."""
        return self._pack()[0]

    def facts(self) -> dict[str, Any]:
        """Hand out the rest, as JSON."""
        return {"step": self.step, "own": self._pack()[1]}

    def _pack(self) -> tuple[dict[str, Tensor], Any]:
        """The tensors by number, and the rest as JSON: a large state is walked through once a step."""
        if self._packed is None:
            arrays: dict[str, Tensor] = {}
            whole = {"given": dict(self.given or {}), "chance": self._chance()}
            self._packed = arrays, packed(whole, arrays)
        return self._packed

    def take(self, arrays: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Become the state that was handed out; an error, and no change, where it is none."""
        if facts.keys() != {"step", "own"} or type(facts["step"]) is not int or facts["step"] < 1:
            raise ValueError("not the state of own training code")
        whole = unpacked(facts["own"], arrays, self.device)
        given, chance = whole["given"], whole["chance"]
        if not isinstance(given, dict):
            raise ValueError("it holds no dict of own training code")
        # on generators of nobody's: what none of them takes is refused here, not amid the cell
        try:
            torch.Generator().set_state(chance["torch"])
        except RuntimeError as error:
            raise ValueError(str(error)) from None
        random.Random().setstate(chance["python"])
        np.random.MT19937().state = chance["numpy"]
        self.step, self.taken, self._stood = facts["step"], given, chance

    # chance

    def handed(self, name: str, stream: Any) -> Any:
        """Remember a stream that the code got before its steps -> the stream."""
        base = f"{type(stream).__name__} {name}"
        self._streams[f"{base} {self._alike[base]}"] = stream
        self._alike[base] += 1
        return stream

    def _chance(self) -> dict[str, Any]:
        """Where each generator stands."""
        stands: dict[str, Any] = {
            "torch": torch.get_rng_state(),
            "numpy": np.random.get_state(legacy=False),  # noqa: NPY002 : own code may draw from the global one
            "python": random.getstate(),
            "streams": {
                name: each.get_state() if isinstance(each, torch.Generator) else each.bit_generator.state
                for name, each in self._streams.items()
            },
        }
        if self.device.type == "cuda":
            stands["cuda"] = torch.cuda.get_rng_state(self.device)
        return stands

    def go_on(self) -> None:
        """Put each generator where the earlier attempt left it; nothing in a cell that starts anew."""
        if self._stood is None:
            return
        torch.set_rng_state(self._stood["torch"])
        np.random.set_state(self._stood["numpy"])  # noqa: NPY002
        random.setstate(self._stood["python"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(self._stood["cuda"], self.device)
        for name, stands in self._stood["streams"].items():
            stream = self._streams.get(name)  # code that goes on may need no "init"
            if isinstance(stream, torch.Generator):
                stream.set_state(stands)
            elif stream is not None:
                stream.bit_generator.state = stands
        self.taken = self._stood = None  # the code has it


def packed(value: Any, arrays: dict[str, Tensor]) -> Any:
    """Return a value as JSON that `unpacked` reads; its tensors and arrays join `arrays` by number."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, Mapping):
        return {"dict": [[packed(each, arrays) for each in pair] for pair in value.items()]}
    if isinstance(value, list | tuple):
        items = [packed(each, arrays) for each in value]
        return items if isinstance(value, list) else {"tuple": items}
    kind = "array" if isinstance(value, np.ndarray) else "cpu"
    if kind == "array":
        value = _tensor(value)
    if not isinstance(value, Tensor) or value.layout is not torch.strided or value.is_quantized:
        raise TypeError(f"cell.save takes {TAKES}; got {type(value).__name__}")
    if value.dtype == torch.complex128:
        raise TypeError("cell.save takes no tensor of complex128: give torch.view_as_real of it")
    number = str(len(arrays))
    arrays[number] = value
    return {kind if value.device.type == "cpu" else "device": number}


def _tensor(array: np.ndarray) -> Tensor:
    try:
        # torch knows the bytes of this machine's order alone
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
    except (TypeError, ValueError):
        raise TypeError(f"cell.save takes {TAKES}; got an array of {array.dtype}") from None


def unpacked(value: Any, arrays: Mapping[str, Tensor], device: torch.device) -> Any:
    """Return what `packed` was given; tensors of another device than the CPU lie on this one."""
    if isinstance(value, list):
        return [unpacked(each, arrays, device) for each in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "dict":
        return dict(unpacked(pair, arrays, device) for pair in inner)
    if kind == "tuple":
        return tuple(unpacked(inner, arrays, device))
    if kind == "float":
        return float(inner)
    tensor = arrays[inner]
    if kind == "array":
        return tensor.numpy()
    if kind not in ("cpu", "device"):
        raise ValueError(f"it holds {kind!r}, which is no value")
    return tensor if kind == "cpu" else tensor.to(device)
