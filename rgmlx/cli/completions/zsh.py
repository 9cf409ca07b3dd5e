"""Completion for zsh, which macOS begins terminals with: a function a command, each with the specifications of `_arguments`.

zsh quotes what is offered by itself. The script is for a directory of `$fpath`, under the name `_PROGRAM`, or for `eval`.
"""

from __future__ import annotations

from .table import DIRECTORIES, FILES, MODELS, NAMES, Command, Option, Value, briefly, filled

_HEAD = r"""#compdef PROGRAM
# zsh completion for PROGRAM, written by: WRITTEN zsh

__PROGRAM_names() {
    local -a names expl
    names=("${(@f)$(command ASKED "$@" 2>/dev/null </dev/null)}")
    _wanted names expl name compadd -a names
}

__PROGRAM_models() {
    _alternative 'models:model:(demo)' 'directories:directory:_files -/'
}
"""
_TAIL = r"""
if [[ "$funcstack[1]" == _PROGRAM ]]; then
    _PROGRAM "$@"
else
    compdef _PROGRAM PROGRAM
fi
"""
_BY_KIND = {
    FILES: "_files",
    DIRECTORIES: "_files -/",
    MODELS: "__PROGRAM_models",
    # The space keeps _arguments from putting options of its own behind the first word.
    **{kind: f" __PROGRAM_names {asked}" for kind, asked in NAMES.items()},
}


def script(command: Command) -> str:
    """The text of the completion."""
    functions = [_function(one) for one in reversed(list(command.all()))]
    return filled(_HEAD + "\n" + "\n".join(functions) + _TAIL, command)


def _function(command: Command) -> str:
    """The function that completes what follows the name of a command."""
    specifications = [_option(option) for option in command.options]
    if command.commands:
        offered = " ".join(_quoted(f"{one.path[-1]}:{briefly(one.about)}") for one in command.commands)
        branches = "\n".join(f"                {one.path[-1]}) {_named(one)} && ret=0 ;;" for one in command.commands)
        specifications += ["'1: :->command'", "'*:: :->rest'"]
        after = f"""    case $state in
        command)
            commands=({offered})
            _describe -t commands command commands && ret=0
            ;;
        rest)
            case $words[1] in
{branches}
            esac
            ;;
    esac
    return ret
"""
        begin = "    local curcontext=$curcontext state line ret=1\n    local -a commands\n    typeset -A opt_args\n"
        flags = "-C -s -S"
        end = " && ret=0"
    else:
        files = Value("FILE", FILES, many=True)
        for number, value in enumerate(command.values, 1):
            shown = files if command.takes_files and not value.kind else value
            specifications.append(_quoted(f"{'*' if value.many else number}:{_message(value.name)}:{_action(shown)}"))
        begin, after, flags, end = "", "", "-s -S", ""
    lines = " \\\n        ".join([f"    _arguments {flags}", *specifications])
    return f"{_named(command)}() {{\n{begin}{lines}{end}\n{after}}}\n"


def _named(command: Command) -> str:
    return "_" + "_".join(command.path).replace("-", "_")


def _option(option: Option) -> str:
    """One specification: its names exclude each other, unless it may be given again."""
    about = _escaped(briefly(option.about), "[]")
    value = "" if option.value is None else f"{':*-*' if option.value.many else ''}:{_message(option.value.name)}:"
    value += "" if option.value is None else _action(option.value)
    names = "{" + ",".join(option.names) + "}" if len(option.names) > 1 else option.names[0]
    before = "'*'" if option.again else _quoted(f"({' '.join(option.names)})") if len(option.names) > 1 else ""
    return f"{before}{names}{_quoted(f'[{about}]{value}')}"


def _message(name: str) -> str:
    return _escaped(name, ":")


def _action(value: Value) -> str:
    if value.words:
        return f"({' '.join(value.words)})"
    return _BY_KIND.get(value.kind, "")


def _escaped(text: str, special: str) -> str:
    for char in "\\" + special:
        text = text.replace(char, f"\\{char}")
    return text


def _quoted(text: str) -> str:
    """A word of zsh."""
    return "'" + text.replace("'", "'\\''") + "'"
