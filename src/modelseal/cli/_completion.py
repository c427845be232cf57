# SPDX-License-Identifier: Apache-2.0
"""Completion scripts for bash, zsh and fish, made from the parsers of all commands.

The scripts are complete in themselves: pressing Tab starts no process. So they are to be made anew
when modelseal is updated, as happens with `source <(modelseal completion bash)`.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelseal.cli import COMMANDS, command_parser, top_parser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Literal

    Kind = Literal["flag", "words", "file", "folder", "other"]

_FILES = {"FILE", "PATH", "PEM", "PEM|URI", "F"}  # metavars of options that name a file
_FOLDERS = {"DIR"}
_SUMMARY = 70  # characters


class Argument(NamedTuple):
    """An option, or a positional argument, which has no names."""

    names: tuple[str, ...]
    label: str
    kind: Kind  # of its value; a flag has none
    summary: str
    words: Mapping[str, str]  # the values that it takes, each with its summary or ""
    repeats: bool


class Command(NamedTuple):
    """A command, or a command of a command."""

    words: tuple[str, ...]  # after `modelseal`
    arguments: tuple[Argument, ...]

    @property
    def path(self) -> str:
        """Return the command as it is typed after `modelseal`."""
        return " ".join(self.words)

    def options(self) -> list[Argument]:
        """Return the options."""
        return [one for one in self.arguments if one.names]

    def positionals(self) -> list[Argument]:
        """Return the positional arguments."""
        return [one for one in self.arguments if not one.names]


def commands() -> list[Command]:
    """Return every command, the one without a name first."""
    found = _commands((), top_parser(), COMMANDS)
    for name in COMMANDS:
        found += _commands((name,), command_parser(name), {})
    return found


def _commands(
    words: tuple[str, ...], parser: argparse.ArgumentParser, summaries: Mapping[str, str]
) -> list[Command]:
    arguments, inner = [], []
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to list them
        if action.help == argparse.SUPPRESS:
            continue
        named = summaries
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            named = {one.dest: one.help or "" for one in action._choices_actions}  # noqa: SLF001 - as above
            for name, command in action.choices.items():
                inner += _commands((*words, name), command, {})
        arguments.append(_argument(action, named))
    return [Command(words, tuple(arguments)), *inner]


def _argument(action: argparse.Action, summaries: Mapping[str, str]) -> Argument:
    label = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    words = {str(one): _summary(summaries.get(str(one), "")) for one in action.choices or ()}
    return Argument(
        names=tuple(action.option_strings),
        label=label,
        kind=_kind(action, label),
        summary=_summary(action.help or ""),
        words=words,
        repeats=isinstance(action, argparse._AppendAction) or action.nargs == "+",  # noqa: SLF001 - no public name
    )


def _kind(action: argparse.Action, label: str) -> Kind:
    if action.nargs == 0:
        return "flag"
    if action.choices:
        return "words"
    if label in _FOLDERS:
        return "folder"
    return "file" if label in _FILES or action.type is Path else "other"


def _summary(text: str) -> str:
    """Return the first sentence of `text`, short enough for a list."""
    first = re.split(r"[.;:] | \[", " ".join(text.split()))[0].rstrip(".")
    return first if len(first) <= _SUMMARY else first[: _SUMMARY - 1] + "…"


def _parents(found: Iterable[Command]) -> list[str]:
    """Return the commands that have commands."""
    return sorted({command.words[0] for command in found if len(command.words) > 1})


# -- bash ----------------------------------------------------------------------------------------

_BASH = """\
# Completion of modelseal for bash; made by: modelseal completion bash
_modelseal() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
    local command= kind=words words=
    if [[ $current == "=" ]]; then  # bash makes three words of --option=value
        current=
    elif [[ $previous == "=" ]]; then
        previous=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    if (( COMP_CWORD > 1 )); then
        command=${{COMP_WORDS[1]}}
        case $command in
            {parents}) (( COMP_CWORD > 2 )) && command+=" ${{COMP_WORDS[2]}}" ;;
        esac
    fi
    case $command in
{cases}
    esac
    COMPREPLY=()
    case $kind in
        file) compopt -o default ;;
        folder) compopt -o dirnames ;;
        words) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    esac
}}
complete -F _modelseal modelseal
"""


def bash(found: Sequence[Command]) -> str:
    """Return the script for bash."""
    cases = "\n".join(_bash_case(command) for command in found)
    return _BASH.format(parents="|".join(_parents(found)), cases=cases)


def _bash_case(command: Command) -> str:
    valued = [option for option in command.options() if option.kind != "flag"]
    names = " ".join(name for option in command.options() for name in option.names)
    return "\n".join((
        f'        "{command.path}")',
        "            case $previous in",
        *(f"                {'|'.join(one.names)}) {_bash_value([one])} ;;" for one in valued),
        "                *)",
        "                    if [[ $current == -* ]]; then",
        f"                        words='{names}'",
        "                    else",
        f"                        {_bash_value(command.positionals())}",
        "                    fi ;;",
        "            esac ;;",
    ))  # fmt: skip


def _bash_value(arguments: Sequence[Argument]) -> str:
    """Return the assignment that says how the value of one of `arguments` is completed."""
    kinds = {one.kind for one in arguments}
    for kind in ("file", "folder"):
        if kind in kinds:
            return f"kind={kind}"
    return f"words='{' '.join(word for one in arguments for word in one.words)}'"


# -- zsh -----------------------------------------------------------------------------------------

_IN_QUOTES = '"`$'  # what means something between double quotes
_ZSH = """\
#compdef modelseal
# Completion of modelseal for zsh; made by: modelseal completion zsh
_modelseal() {{
    local command=
    if (( CURRENT > 2 )); then
        command=$words[2]
        shift words; (( CURRENT-- ))
        case $command in
            ({parents}) if (( CURRENT > 2 )); then
                command+=" $words[2]"
                shift words; (( CURRENT-- ))
            fi ;;
        esac
    fi
    case $command in
{cases}
    esac
}}
if [[ $funcstack[1] == _modelseal ]]; then
    _modelseal "$@"
else
    compdef _modelseal modelseal
fi
"""


def zsh(found: Sequence[Command]) -> str:
    """Return the script for zsh."""
    cases = "\n".join(_zsh_case(command) for command in found)
    return _ZSH.format(parents="|".join(_parents(found)), cases=cases)


def _zsh_case(command: Command) -> str:
    specs = [spec for option in command.options() for spec in _zsh_option(option)]
    for number, one in enumerate(command.positionals(), 1):
        specs.append(f"{'*' if one.repeats else number}:{_zsh_text(one.label)}:{_zsh_value(one)}")
    lines = " \\\n".join(f"                {_quoted(spec)}" for spec in specs)
    return f'        ("{command.path}") _arguments -S \\\n{lines} ;;'


def _zsh_option(option: Argument) -> list[str]:
    # Other names of an option that was given are not offered any more, unless it may be repeated.
    before = "*" if option.repeats else f"({' '.join(option.names)})"
    value = "" if option.kind == "flag" else f":{_zsh_text(option.label)}:{_zsh_value(option)}"
    return [
        f"{before}{name}{'=' if value and name.startswith('--') else ''}"
        f"[{_zsh_text(option.summary)}]{value}"
        for name in option.names
    ]


def _zsh_value(argument: Argument) -> str:
    if argument.kind == "file":
        return "_files"
    if argument.kind == "folder":
        return "_files -/"
    if not any(argument.words.values()):
        return f"({' '.join(argument.words)})" if argument.words else " "
    items = (f'{word}\\:"{_escaped(text, _IN_QUOTES)}"' for word, text in argument.words.items())
    return f"(({' '.join(items)}))"


def _zsh_text(text: str) -> str:
    return _escaped(text, ":[]")


def _escaped(text: str, characters: str) -> str:
    """Return `text` with a backslash before each backslash and each of `characters`."""
    return "".join(f"\\{one}" if one in f"\\{characters}" else one for one in text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", r"'\''") + "'"


# -- fish ----------------------------------------------------------------------------------------

_FISH = """\
# Completion of modelseal for fish; made by: modelseal completion fish
function __modelseal_is
    set -l words (commandline -opc)
    set -l command "$words[2]"
    if contains -- "$command" {parents}; and set -q words[3]
        set command "$command $words[3]"
    end
    test "$command" = "$argv[1]"
end
complete -c modelseal -f
{lines}
"""


def fish(found: Sequence[Command]) -> str:
    """Return the script for fish."""
    lines = [line for command in found for line in _fish_lines(command)]
    return _FISH.format(parents=" ".join(_parents(found)), lines="\n".join(lines))


def _fish_lines(command: Command) -> list[str]:
    start = f"complete -c modelseal -n \"__modelseal_is '{command.path}'\""
    lines = [f"{start} {_fish_option(option)}" for option in command.options()]
    for one in command.positionals():
        if one.kind in {"file", "folder"}:
            lines.append(f"{start} {_fish_value(one)}")
        for word, text in one.words.items():
            lines.append(f"{start} -a {word} -d {_fish_text(text)}")
    return lines


def _fish_option(option: Argument) -> str:
    names = (f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
    value = "" if option.kind == "flag" else f" -r {_fish_value(option)}"
    return f"{' '.join(names)}{value} -d {_fish_text(option.summary)}"


def _fish_value(argument: Argument) -> str:
    if argument.kind == "file":
        return "-F"
    if argument.kind == "folder":
        return "-f -a '(__fish_complete_directories)'"
    return f"-f -a '{' '.join(argument.words)}'" if argument.words else "-f"


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SCRIPTS: dict[str, Callable[[Sequence[Command]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
