"""Public names and their signatures: ``python -m tests.support.public_api`` writes tests/public_api.txt anew."""

import importlib
import inspect
from pathlib import Path

FILE = Path(__file__).parents[1] / "public_api.txt"
MODULES = (
    "fastemd",
    "fastemd.cuda",
    "fastemd.dask",
    "fastemd.jax",
    "fastemd.plot",
    "fastemd.reference",
    "fastemd.sklearn",
    "fastemd.torch",
)


def lines():
    """A line for each public function, class, method and property."""
    for name in MODULES:
        module = importlib.import_module(name)
        for public in sorted(module.__all__):
            thing = getattr(module, public)
            if inspect.ismodule(thing):
                continue
            yield f"{name}.{public}{_signature(thing)}"
            if inspect.isclass(thing) and thing.__module__.startswith("fastemd"):
                yield from _members(f"{name}.{public}", thing)


def _members(prefix, kind):
    for base in kind.__mro__:
        if not base.__module__.startswith("fastemd"):
            continue
        for name, member in sorted(vars(base).items()):
            if name.startswith("_") or (base is not kind and name in vars(kind)):
                continue
            inner = getattr(member, "__func__", member)
            yield f"{prefix}.{name}{_signature(inner) if callable(inner) else ''}"


def _signature(thing):
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return "(...)"
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    return str(inspect.Signature(plain))


if __name__ == "__main__":
    FILE.write_text("\n".join(lines()) + "\n", encoding="utf-8")
