"""What makes a shell complete commands, options, folders and names of studies."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, Final

from fairtrial.study.loader import known_studies

SHELLS: Final = ("bash", "zsh", "fish")
# shtab's script for zsh completes at once where ~/.zshrc holds it; only one that zsh found in fpath should
_EVALUATED: Final = "$zsh_eval_context[-1] == eval"
_NOT_FROM_FPATH: Final = "$zsh_eval_context[-1] != loadautofunc"
_COMPINIT: Final = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }"


class PrintCompletion(argparse.Action):
    """Print the completion script of a shell and end; only this loads the library that writes it."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        import shtab

        places = {"DIR": shtab.DIRECTORY, "FILE": shtab.FILE, "STUDY": _studies()}
        for action in _actions(parser):
            if action.metavar in places:
                action.complete = places[action.metavar]  # type: ignore[attr-defined]
        print(shtab.complete(parser, values).replace(_EVALUATED, _NOT_FROM_FPATH))
        parser.exit()


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every option and argument, those of the commands included."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _actions(inner)


def _studies() -> dict[str, Any]:
    """What each shell offers for STUDY: the names of shipped studies, and Python files."""
    names, function = " ".join(known_studies()), "_fairtrial_studies"
    return {
        "bash": function,
        "zsh": function,
        "fish": f"(printf '%s\\n' {names}; __fish_complete_suffix .py)",
        "preamble": {
            "bash": f"{function}() {{ compgen -W '{names}' -- $1; compgen -f -X '!*.py' -- $1; }}",
            "zsh": f"{_COMPINIT}\n{function}() {{ compadd {names}; _files -g '*.py'; }}",
        },
    }
