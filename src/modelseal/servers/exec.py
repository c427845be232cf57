# SPDX-License-Identifier: Apache-2.0
"""Run any server on admitted models: its command gets the paths of verified copies, nothing else.

`NAME=PATH` names a model; `{NAME}` in the command is where the path of its copy goes, which is also
in the environment as MODELSEAL_MODEL_NAME. `{{NAME}}` is the text `{NAME}`.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from modelseal.errors import Undecided, UsageError, shown
from modelseal.files import exists

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

VARIABLE = "MODELSEAL_MODEL_"  # and the name of the model

# What keeps common libraries from fetching models, and code of models, while the server runs.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",  # huggingface_hub, and what builds on it
    "TRANSFORMERS_OFFLINE": "1",  # releases of transformers that look at their own variable
    "HF_DATASETS_OFFLINE": "1",
    "LLAMA_ARG_OFFLINE": "1",  # llama-server; below its older name
    "LLAMA_OFFLINE": "1",
}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACE = re.compile(r"\{\{([A-Za-z_][A-Za-z0-9_]*)\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SEARCHED = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")  # programs and libraries are taken from there


class NamedModel(NamedTuple):
    """A model, by the name that the command has for it."""

    name: str
    path: Path


def named_models(given: Sequence[str]) -> tuple[NamedModel, ...]:
    """Return the models that texts like `NAME=PATH` name.

    Raises:
        UsageError: not such a text; no model; a name or a model given twice.
    """
    if not given:
        message = "No model is named, so there is nothing to admit."
        raise UsageError("no-model", message, "Add --model NAME=PATH for each model.")
    models = tuple(_named_model(text) for text in given)
    names = [model.name for model in models]
    paths = [os.path.realpath(model.path) for model in models]
    for number, model in enumerate(models):
        if model.name in names[:number]:
            message = f"Two models are named '{model.name}'."
            raise UsageError("model-twice", message, "Give each --model a name of its own.")
        if paths[number] in paths[:number]:
            message = f"The model '{shown(str(model.path))}' is given twice."
            hint = "Give it once; the command can use its name as often as it wants."
            raise UsageError("model-twice", message, hint)
    return models


def _named_model(text: str) -> NamedModel:
    name, equals, path = text.partition("=")
    if not equals or not path or not _NAME.fullmatch(name):
        message = f"'{shown(text)}' is not NAME=PATH, with letters, digits and _ in the name."
        raise UsageError("bad-model", message, "Write it like --model llm=/srv/models/llm.")
    if not exists(Path(path)):
        message = f"The model '{shown(path)}' does not exist."
        raise UsageError("not-found", message, f"Check the path behind {name}=.")
    return NamedModel(name, Path(path))


def check_command(command: Sequence[str], models: Sequence[NamedModel]) -> Path:
    """Return the program of the command, having checked that it runs on copies of models only.

    Raises:
        UsageError: it is missing or no program, has a `{NAME}` that no model has, names a model's
            own path, or would be looked for, or run, inside a model.
    """
    if not command:
        message = "There is no command to run."
        raise UsageError("no-command", message, "Put it at the end, behind the options and --.")
    names = {model.name for model in models}
    for name in (name for word in command for name in _names_in(word)):
        if name not in names:
            message = f"The command has '{{{name}}}', and no --model is named '{name}'."
            hint = f"Add --model {name}=PATH, or write '{{{{{name}}}}}' for braces of its own."
            raise UsageError("unknown-model", message, hint)
    for model in models:
        _check_apart(command, model)
    return _program_of(command)


def not_named(command: Sequence[str], models: Sequence[NamedModel]) -> list[str]:
    """Return the names of models that the command does not have; its code may use the variable."""
    named = {name for word in command for name in _names_in(word)}
    return [model.name for model in models if model.name not in named]


def _names_in(word: str) -> Iterator[str]:
    return (match[2] for match in _PLACE.finditer(word) if match[2])


def _check_apart(command: Sequence[str], model: NamedModel) -> None:
    """Check that nothing is taken from the model itself, which anybody may have changed."""
    real = Path(os.path.realpath(model.path))
    texts = "|".join(re.escape(str(path)) for path in (real, model.path.absolute()))
    own = re.compile(rf"(?<![\w.-])(?:{texts})(?![\w.-])")  # in JSON and the like, also with spaces
    for word in command:
        if own.search(word) or any(_is_inside(path, real) for path in _paths_in(word)):
            message = f"The command names '{shown(word)}', which is the model, not a verified copy."
            hint = f"Write {{{model.name}}} where the path of the copy is to go."
            raise UsageError("unverified-path", message, hint)
    searched = [("working directory", ".")]
    for variable in _SEARCHED:
        entries = os.environ.get(variable, "").split(os.pathsep)
        searched += [(variable, entry) for entry in entries if entry]
    for what, path in searched:
        if _is_inside(path, real):
            message = (
                f"The {what} '{shown(os.path.realpath(path))}' is in the model "
                f"'{shown(str(real))}', whose writers could so take over the server."
            )
            hint = "Start it from another folder, and keep models off all search paths."
            raise UsageError("models-too-near", message, hint)


def _paths_in(word: str) -> Iterator[str]:
    """Yield what may be a path in an argument: `/m`, `--model=/m`, `name=/m`, `file:///m`."""
    for text in {word, *re.split(r"""[=,:;"'\s]+""", word)}:
        if "/" in text:
            yield re.sub(r"^/+", "/", text)


def _is_inside(path: str, folder: Path) -> bool:
    try:
        return Path(os.path.realpath(path)).is_relative_to(folder)
    except ValueError:  # a NUL: no path
        return False


def _program_of(command: Sequence[str]) -> Path:
    found = shutil.which(command[0])
    if found is None:
        message = f"There is no program '{shown(command[0])}' that could be run."
        hint = "Check its name, whether it is installed, and PATH."
        raise UsageError("command-not-found", message, hint)
    return Path(os.path.abspath(found))  # noqa: PTH100 - the link in a venv must stay one


def filled(command: Sequence[str], copies: Mapping[str, Path]) -> list[str]:
    """Return the command with the paths of the copies in it; no shell ever reads them."""

    def fill(match: re.Match[str]) -> str:
        return f"{{{match[1]}}}" if match[1] else str(copies[match[2]])

    return [_PLACE.sub(fill, word) for word in command]


def environment(copies: Mapping[str, Path], *, online: bool) -> dict[str, str]:
    """Return the environment of the command: ours, the copies, and no downloads unless `online`."""
    paths = {VARIABLE + name: str(path) for name, path in copies.items()}
    return {**os.environ, **({} if online else OFFLINE), **paths}


def become(program: Path, command: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    """Replace this process by the command: same pid, same streams, nothing of ours is left.

    Raises:
        UsageError, Undecided: the system cannot run it.
    """
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, for itself
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execve(program, list(command), dict(variables))  # noqa: S606 - what this is for
    except OSError as error:
        reason = error.strerror or "input/output error"
        message = f"The program '{shown(str(program))}' cannot be run: {reason}."
        if error.errno in {errno.E2BIG, errno.ENOMEM, errno.EAGAIN, errno.EIO}:
            raise Undecided("cannot-run", message, "Free what is short, and try again.") from error
        hint = "Check that it is a program for this system, and its first line if it is a script."
        raise UsageError("cannot-run", message, hint) from error
