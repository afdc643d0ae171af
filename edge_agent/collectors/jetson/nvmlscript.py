"""The program that asks NVML: a JSON object a second (its form is in `nvml`), until its input or its output is closed.

It runs in a process of its own, as a file, and imports nothing of this package. What a GPU does not support is null;
memory that it could not tell for another reason is `unknown`. Why it has nothing at all is its last line. `pynvml` is
imported when it runs: this module is read by the agent, too.

A thread waits for the end of its input, so that it ends with an agent that was killed, also while a call into the
library hangs. What remains is one that hangs in the kernel itself, until that lets it go.
"""

import json
import os
import select
import sys
import threading
from importlib import import_module
from typing import Any

_BEAT = 1.0


def main() -> None:
    """Ask and write, a line a beat."""
    threading.Thread(target=_end_with_the_agent, daemon=True).start()
    try:
        library: Any = import_module("pynvml")
    except ImportError:
        _write({"absent": "not installed"})
        return
    try:
        library.nvmlInit()
        while True:
            count = library.nvmlDeviceGetCount()
            _write({"gpus": [_gpu(library, number) for number in range(count)]})
            if select.select([sys.stdin], [], [], _BEAT)[0]:
                return
    except library.NVMLError as error:
        _write({"absent": _reason(library, error)})


def _end_with_the_agent() -> None:
    """Wait until nobody holds the other end of the input: whatever the rest of this program hangs in, it ends."""
    ends = select.poll()
    ends.register(0, 0)
    ends.poll()
    os._exit(0)


def _gpu(library: Any, number: int) -> dict[str, Any]:
    handle = library.nvmlDeviceGetHandleByIndex(number)
    load = _asked(library, library.nvmlDeviceGetUtilizationRates, handle)
    encoder = _asked(library, library.nvmlDeviceGetEncoderUtilization, handle)
    decoder = _asked(library, library.nvmlDeviceGetDecoderUtilization, handle)
    return {
        "name": _asked(library, library.nvmlDeviceGetName, handle),
        "utilization": None if load is None else load.gpu,
        "clock": _asked(library, library.nvmlDeviceGetClockInfo, handle, library.NVML_CLOCK_GRAPHICS),
        "encoder": None if encoder is None else encoder[0],
        "decoder": None if decoder is None else decoder[0],
        "memory_total": _memory(library, handle),
    }


def _memory(library: Any, handle: Any) -> Any:
    """Bytes of its own; None when it has none, as a board's GPU. An error is no proof of that."""
    try:
        return library.nvmlDeviceGetMemoryInfo(handle).total
    except library.NVMLError as error:
        return None if getattr(error, "value", None) == library.NVML_ERROR_NOT_SUPPORTED else "unknown"


def _asked(library: Any, question: Any, *args: Any) -> Any:
    """The answer, or None when this GPU has none to give."""
    try:
        return question(*args)
    except library.NVMLError:
        return None


def _reason(library: Any, error: Exception) -> str:
    words = {
        library.NVML_ERROR_LIBRARY_NOT_FOUND: "no library",
        library.NVML_ERROR_DRIVER_NOT_LOADED: "no driver",
        library.NVML_ERROR_NO_PERMISSION: "no permission",
    }
    return words.get(getattr(error, "value", None), "refused")


def _write(said: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(said, default=str) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.stderr.close()
