"""Completion for bash, from 3.2 on, which macOS has: no associative arrays, no `compopt` that has to work, no `mapfile`.

The name of a conversation is quoted as bash quotes it (`printf %q`). Within quotes that somebody has begun, names are left out
in which a character means something there.
"""

from __future__ import annotations

from .table import DIRECTORIES, FILES, MODELS, NAMES, Command, Value, filled

_HEAD = r"""# bash completion for PROGRAM, written by: WRITTEN bash

__PROGRAM_nothing() {
    compopt +o default 2>/dev/null
}

__PROGRAM_words() {
    __PROGRAM_nothing
    COMPREPLY=($(compgen -W "$1" -- "$cur"))
}

__PROGRAM_directories() {
    local name
    compopt -o filenames 2>/dev/null
    while IFS= read -r name; do
        COMPREPLY[${#COMPREPLY[@]}]="$name"
    done < <(compgen -d -- "$cur")
}

__PROGRAM_models() {
    __PROGRAM_directories
    [[ demo == "$cur"* ]] && COMPREPLY[${#COMPREPLY[@]}]=demo
}

__PROGRAM_names() {
    local name typed="${cur//\\/}" quoted=""
    __PROGRAM_nothing
    case "$cur" in
        \"* | \'*) quoted=yes typed="${cur:1}" ;;
    esac
    while IFS= read -r name; do
        [[ "$name" == "$typed"* ]] || continue
        if [[ -z "$quoted" ]]; then
            COMPREPLY[${#COMPREPLY[@]}]="$(printf %q "$name")"
        elif [[ "$name" != *[\"\'\\\$\`\!]* ]]; then
            COMPREPLY[${#COMPREPLY[@]}]="$name"
        fi
    done < <(command ASKED "$@" 2>/dev/null </dev/null)
}

_PROGRAM() {
    local IFS=$' \t\n' cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD - 1]}" path="PROGRAM" word i
    COMPREPLY=()
    # --option=value is three words here
    if [[ "$cur" == "=" ]]; then
        cur=""
    elif [[ "$prev" == "=" ]]; then
        prev="${COMP_WORDS[COMP_CWORD - 2]}"
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${COMP_WORDS[i]}"
        case "$path $word" in
            COMMANDS) path="$path $word" ;;
        esac
    done
    case "$path" in
"""
_TAIL = r"""    esac
}

complete -o default -F _PROGRAM PROGRAM
"""
_BY_KIND = {
    FILES: ":",
    DIRECTORIES: "__PROGRAM_directories",
    MODELS: "__PROGRAM_models",
    **{kind: f"__PROGRAM_names {asked}" for kind, asked in NAMES.items()},
}
"""What offers a kind of value. Files are bash's own to offer, where nothing else is."""


def script(command: Command) -> str:
    """The text of the completion."""
    below = [one for one in command.all() if len(one.path) > 1]
    names = " | ".join(f'"{" ".join(one.path)}"' for one in below)
    lines = [line for one in command.all() for line in _branch(one)]
    head = _HEAD.replace("COMMANDS", names or "' '")
    return filled(head + "\n".join(lines) + "\n" + _TAIL, command)


def _branch(command: Command) -> list[str]:
    """What is offered where the line names this command."""
    begun = f'        "{" ".join(command.path)}")'
    values = [
        f"                {' | '.join(option.names)}) {_offer(option.value)}; return ;;"
        for option in command.options
        if option.value is not None
    ]
    after = ['            case "$prev" in', *values, "            esac"] if values else []
    switches = " ".join(name for option in command.options for name in option.names)
    own = [f'            if [[ "$cur" == -* ]]; then __PROGRAM_words "{switches}"; return; fi']
    if command.commands:
        own.append(f'            __PROGRAM_words "{" ".join(one.path[-1] for one in command.commands)}"')
    elif command.values and (kind := command.values[0].kind):
        own.append(f"            {_BY_KIND[kind]}")
    elif command.values and command.values[0].words:
        own.append(f"            {_offer(command.values[0])}")
    elif not command.takes_files:
        own.append("            __PROGRAM_nothing")
    return [begun, *after, *own, "            ;;"]


def _offer(value: Value) -> str:
    if value.words:
        return f'__PROGRAM_words "{" ".join(value.words)}"'
    return _BY_KIND.get(value.kind, "__PROGRAM_nothing")
