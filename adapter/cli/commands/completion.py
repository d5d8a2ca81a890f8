"""`qqbus completion`: what the shell offers at the tab key, made from the parser itself."""

import argparse
from collections.abc import Iterator
from functools import partial

from adapter.cli.terminal import say
from adapter.config import Config

_BASH = """\
_qqbus() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} given
  case "${{COMP_WORDS[1]}}" in
{cases}
    *) given="{commands}" ;;
  esac
  [ "$COMP_CWORD" -eq 1 ] && given="{commands}"
  COMPREPLY=($(compgen -W "$given" -- "$word"))
}}
complete -o default -F _qqbus qqbus"""


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    one = subs.add_parser("completion", help='print completion for a shell: eval "$(qqbus completion bash)"')
    one.add_argument("shell", choices=["bash", "zsh", "fish"])
    one.set_defaults(command=partial(completion, subs))


async def completion(
    subs: "argparse._SubParsersAction[argparse.ArgumentParser]", _: Config, arguments: argparse.Namespace
) -> int:
    """Print the script."""
    words = {name: list(_words(parser)) for name, parser in subs.choices.items()}
    if arguments.shell == "fish":
        helps = {action.dest: action.help or "" for action in subs._choices_actions}  # noqa: SLF001 – no other way
        say(*_fish(words, helps))
        return 0
    cases = "\n".join(f'    {name}) given="{" ".join(each)}" ;;' for name, each in words.items())
    script = _BASH.format(cases=cases, commands=" ".join(words))
    say(*(["autoload -U +X bashcompinit && bashcompinit"] if arguments.shell == "zsh" else []), script)
    return 0


def _words(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:  # noqa: SLF001 – argparse has no public way to look
        yield from (option for option in action.option_strings if option.startswith("--"))
        if action.choices and not action.option_strings:
            yield from map(str, action.choices)


def _fish(words: dict[str, list[str]], helps: dict[str, str]) -> Iterator[str]:
    yield "complete -c qqbus -f"
    for name, each in words.items():
        told = helps.get(name, "").replace("\\", "\\\\").replace("'", "\\'")
        yield f"complete -c qqbus -n __fish_use_subcommand -a {name} -d '{told}'"
        for word in each:
            form = f"-l {word[2:]}" if word.startswith("--") else f"-a {word}"
            yield f"complete -c qqbus -n '__fish_seen_subcommand_from {name}' {form}"
