"""Completion for fish: a line for each command, option and value. fish quotes what it offers by itself."""

from __future__ import annotations

from .table import DIRECTORIES, FILES, MODELS, NAMES, Command, Option, Value, briefly, filled

_HEAD = r"""# fish completion for PROGRAM, written by: WRITTEN fish

function __PROGRAM_at --description 'Whether the line names this command'
    set -l path PROGRAM
    set -l words (commandline -opc)
    set -e words[1]
    for word in $words
        switch "$path $word"
            case COMMANDS
                set path "$path $word"
        end
    end
    test "$path" = "$argv"
end

function __PROGRAM_names
    command ASKED $argv 2>/dev/null </dev/null
end

complete -c PROGRAM -f
"""
_BY_KIND = {
    FILES: "-r -F",
    DIRECTORIES: "-x -a '(__fish_complete_directories)'",
    MODELS: "-x -a 'demo (__fish_complete_directories)'",
    **{kind: f"-x -a '(__PROGRAM_names {asked})'" for kind, asked in NAMES.items()},
}


def script(command: Command) -> str:
    """The text of the completion."""
    below = [one for one in command.all() if len(one.path) > 1]
    names = " ".join(_quoted(" ".join(one.path)) for one in below)
    lines = [line for one in command.all() for line in _lines(one)]
    return filled(_HEAD.replace("COMMANDS", names or "' '") + "\n".join(lines) + "\n", command)


def _lines(command: Command) -> list[str]:
    where = f"complete -c PROGRAM -n {_quoted('__PROGRAM_at ' + ' '.join(command.path))}"
    lines = [f"{where} -a {one.path[-1]} -d {_quoted(briefly(one.about))}" for one in command.commands]
    lines += [f"{where} {_option(option)}" for option in command.options]
    if command.takes_files:
        lines.append(f"{where} -F")
    for value in command.values[:1]:
        if value.kind != FILES and (offered := _value(value)) != "-x":
            lines.append(f"{where} {offered.removeprefix('-x ')}")
    return lines


def _option(option: Option) -> str:
    names = [_name(name) for name in option.names]
    value = [] if option.value is None else [_value(option.value)]
    return " ".join([*names, *value, "-d", _quoted(briefly(option.about))])


def _name(name: str) -> str:
    if name.startswith("--"):
        return f"-l {name[2:]}"
    return f"-s {name[1:]}" if len(name) == 2 else f"-o {name[1:]}"


def _value(value: Value) -> str:
    if value.words:
        return f"-x -a {_quoted(' '.join(value.words))}"
    return _BY_KIND.get(value.kind, "-x")


def _quoted(text: str) -> str:
    """A word of fish: within single quotes it knows two escapes."""
    text = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
