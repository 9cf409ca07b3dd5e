"""Questions about facts: relations (the capital of a country), single facts, and whether something is so.

The tables `facts_*` hold both facts and the words of their questions. A relation is

    relation    name    flags ...       many: any of the answers will do; open: no choice between two is offered;
                                    long: the answer is never {Y} alone;
                                    word: only the very form will do;
                                    person: the last name of x will do;
                                    near: what shares an accepted word with the answer is not offered as wrong
    ask         core    ...             what is asked, as in `asking.core`; fields {x} {ax} {xs} (a ..., plural)
    say         answer  ...             {y} {ay} {ys}, {Y} with a capital
    back        core    ...             the other way round: asks for {x} by {y}
    reply       answer  ...
    state       sentence    question ...    with {z}, which is {y} or a wrong one: "{z} is ...", "is {z} ..."
    next        thing                   what is named in "And ...?"
    brief       text    ...             as in a search box; its     noun    ...     see `facts_brief`
    fact        x       y|also right    a third field: the plural of x

and facts of no relation are `one` (cores ~ cores, accepted|accepted & ..., answers ~ answers) or `so` (a question =
a statement, yes or no, answers).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from .asking import Core, either, following, pool, put, question, whether
from .cases import Case, Kind, Turn, one
from .lexicon import Lexicon, table
from .wording import Pool, Source, a, capital, roughen

TABLES: tuple[str, ...] = (
    "world",
    "animals",
    "words",
    "time",
    "home",
    "nature",
    "people",
    "science",
    "kinds",
    "single",
    "meanings",
)
TABLES += ("senses", "computing")
YES: tuple[str, ...] = ("yes", "right", "true", "correct", "indeed")
NO: tuple[str, ...] = ("no", "not", "false", "wrong", "isn't", "aren't", "doesn't", "don't")
_OPENERS = (
    "Good question! ",
    "I know this one. ",
    "Easy! ",
    "Gladly. ",
    "Sure. ",
    "Of course. ",
    "Let me think. ",
    "My feathers know this one. ",
    "That one is in my nest. ",
    "Happy to help. ",
    "Nice question. ",
    "Here you are. ",
)
_QUESTION = re.compile(r"(is|are|was|do|does|did|would) ")
_IRREGULAR = {row[0]: row[1] for row in table("facts_plurals")}


def plural(noun: str) -> str:
    """More than one of it."""
    head, space, last = noun.rpartition(" ")
    if last in _IRREGULAR:
        return head + space + _IRREGULAR[last]
    if last.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


@dataclass(frozen=True)
class Fact:
    """What belongs to what: `right[0]` is said, the others are accepted too."""

    x: str
    right: tuple[str, ...]
    many: str = ""


@dataclass
class Relation:
    """Facts that are asked for in the same words."""

    name: str
    flags: frozenset[str]
    words: dict[str, list[str]] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)

    @functools.cached_property
    def ask(self) -> Pool[Core]:
        return pool(self.words["ask"])

    @functools.cached_property
    def back(self) -> Pool[Core]:
        return pool(self.words["back"])

    @functools.cached_property
    def brief(self) -> Pool[str]:
        """In few words; see `facts_brief`."""
        return Pool(self.words.get("brief", []))

    @functools.cached_property
    def statements(self) -> Pool[str]:
        """What may be true of x or not, as a sentence."""
        return Pool([text for text in self.words["state"] if not _QUESTION.match(text)])

    @functools.cached_property
    def direct(self) -> Pool[str]:
        """The same as a question."""
        return Pool([text for text in self.words["state"] if _QUESTION.match(text)])

    def named(self, y: str) -> list[Fact]:
        """The facts whose answer this is."""
        return [fact for fact in self.facts if y in fact.right]


@dataclass(frozen=True)
class One:
    """A fact of no relation: its cores, what an answer must have, answers."""

    name: str
    cores: Pool[Core]
    accept: tuple[tuple[str, ...], ...]
    answers: tuple[str, ...]


@dataclass(frozen=True)
class So:
    """A question whose answer is yes or no."""

    name: str
    direct: str
    statement: str
    yes: bool
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """All tables, read."""

    relations: tuple[Relation, ...]
    single: dict[str, list[One | So]]


def _groups(text: str) -> tuple[tuple[str, ...], ...]:
    groups = [group.split("|") for group in text.split(" & ")]
    return tuple(
        (*group, *(plural(word) for word in group if word.isalpha() and len(word) > 2 and word[-1] != "s"))
        for group in groups
    )


@functools.cache
def facts() -> Facts:
    """Read once."""
    relations: list[Relation] = []
    single: dict[str, list[One | So]] = {}
    for name in TABLES:
        for first, *rest in table(f"facts_{name}"):
            if first == "relation":
                relations.append(Relation(rest[0], frozenset(rest[1:])))
            elif first == "fact":
                relations[-1].facts.append(Fact(rest[0], tuple(rest[1].split("|")), *rest[2:3]))
            elif first == "one":
                answers = tuple(rest[2].split(" ~ "))
                cores = pool(rest[0].split(" ~ "))
                single.setdefault(name, []).append(One(name, cores, _groups(rest[1]), answers))
            elif first == "so":
                direct, _, statement = rest[0].partition(" = ")
                yes = rest[1] == "yes"
                found = So(name, direct, statement, yes, tuple(rest[2].split(" ~ ")))
                single.setdefault(name, []).append(found)
            else:
                relations[-1].words.setdefault(first, []).extend(rest)
    return Facts(tuple(relations), single)


def fields(fact: Fact, y: str, z: str = "") -> dict[str, str]:
    """What the fields of a template stand for."""
    named = {"x": fact.x, "ax": a(fact.x), "xs": fact.many or plural(fact.x), "y": y, "ay": a(y), "ys": plural(y)}
    named |= {"z": z, "az": a(z), "zs": plural(z)} if z else {}
    return named | {capital(key): capital(value) for key, value in named.items()}


def _opened(source: Source, text: str) -> str:
    text = capital(text)
    return source.pick(*_OPENERS) + text if source.maybe(0.08) else text


def _short(source: Source, y: str) -> str:
    return capital(
        source.pick("{}.", "{}.", "{}!", "It is {}.", "That is {}.", "It's {}.", "That would be {}.").format(y)
    )


_BRIEF = re.compile("one word|a word or two", re.I)
"""Somebody asks for no more than a word."""


def say(source: Source, relation: Relation, named: dict[str, str], user: str = "") -> str:
    """One of the answers. `user`: the question, which may ask for a word and no more."""
    if _BRIEF.search(user):
        return capital(f"{named['y']}.") if "long" not in relation.flags else put(_briefest(relation, "say"), named)
    if "long" not in relation.flags and source.maybe(0.25):
        return _opened(source, _short(source, named["y"]))
    return _opened(source, put(source.pick(*relation.words["say"]), named))


def _briefest(relation: Relation, part: str) -> str:
    return min(relation.words[part], key=len)


def _case(
    source: Source, user: str, answer: str, accept: list[tuple[str, ...]], kept: tuple[str, ...], about: str
) -> Case:
    user = roughen(source, user, [word for word in kept if word in user])
    return replace(one(user, answer, *accept), about=about)


def forward(source: Source, relation: Relation, fact: Fact) -> Case:
    """Asks what belongs to x."""
    y = source.pick(*fact.right) if "many" in relation.flags else fact.right[0]
    named = fields(fact, y)
    user = question(source, relation.ask, named)
    return _case(source, user, say(source, relation, named, user), [fact.right], (fact.x,), relation.name)


def backward(source: Source, relation: Relation, fact: Fact) -> Case:
    """Asks for x by what belongs to it; the first that has it is the one to name."""
    y = fact.right[0]
    fact = next(f for f in relation.facts if f.right[0] == y)
    many = "word" not in relation.flags
    found = (form for f in relation.named(y) for form in (f.x, f.many, plural(f.x))[: 3 if many else 1] if form)
    accept = tuple(dict.fromkeys(found))
    if "person" in relation.flags:
        accept += tuple(name.split()[-1] for name in accept)
    named = fields(fact, y)
    user = question(source, relation.back, named)
    brief = _BRIEF.search(user)
    reply = _briefest(relation, "reply") if brief else source.pick(*relation.words["reply"])
    answer = put(reply, named) if brief else _opened(source, put(reply, named))
    return _case(source, user, answer, [accept], (y,), relation.name)


def _wrong(source: Source, relation: Relation, fact: Fact) -> str:
    """What belongs to another and not to x as well; nothing where all others have the same."""
    near = fact.right if "near" in relation.flags else fact.right[:1]
    others = {
        f.right[0] for f in relation.facts if fact.x not in f.right and f.x != fact.x and not {*near} & {*f.right}
    }
    found = sorted(others - {*fact.right, fact.x})
    return source.chance.choice(found) if found else ""


def checked(source: Source, relation: Relation, fact: Fact) -> Case:
    """Asks whether x has this."""
    wrong = _wrong(source, relation, fact)
    yes = source.maybe(0.5) or not wrong
    z = fact.right[0] if yes else wrong
    state = source.of(relation.statements)
    true = put(source.pick(*relation.statements.kept), fields(fact, fact.right[0], fact.right[0]))
    named = fields(fact, fact.right[0], z)
    if relation.direct.all and source.maybe(0.5):
        user = question(source, Pool([Core(source.of(relation.direct), f"if {state}")]), named)
    else:
        user = whether(source, put(state, named))
    kept = (fact.x, z)
    if yes:
        answer = source.pick(
            "Yes, {}.", "Yes, {}.", "Yes, that is right: {}.", "That is right: {}.", "Yes. {}.", "True: {}."
        )
        accept = [YES]
    else:
        answer = source.pick("No, {}.", "No, {}.", "No. {}.", "That is not right: {}.", "No, that is not so. {}.")
        accept = [NO, fact.right]
    filled = answer.format(capital(true) if answer.endswith(". {}.") else true)
    case = _case(source, user, filled, accept, kept, f"{relation.name}: yes or no")
    return replace(case, reject=tuple(word for word in NO if word not in true.split()) if yes else ())


def chosen(source: Source, relation: Relation, fact: Fact) -> Case:
    """Asks which of two belongs to x."""
    right, wrong = fact.right[0], _wrong(source, relation, fact)
    if not wrong:
        return forward(source, relation, fact)
    first, second = (right, wrong) if source.maybe(0.5) else (wrong, right)
    named = fields(fact, right)
    user = either(source, relation.ask, named, first, second)
    answer = say(source, relation, named)
    case = _case(source, user, answer, [fact.right], (fact.x, right, wrong), f"{relation.name}: one of two")
    return replace(case, reject=(wrong,))


def next_one(source: Source, relation: Relation) -> Case:
    """Asks, and then the same about another: "And Spain?"."""
    first, second = source.chance.sample(relation.facts, 2)
    asked = forward(source, relation, first)
    named = fields(second, second.right[0])
    thing = put(source.pick(*relation.words["next"]), named)
    user = roughen(source, following(source, thing), [second.x] if second.x in thing else [])
    answer = say(source, relation, named)
    return Case((*asked.turns, Turn(user, answer)), (second.right,), about=f"{relation.name}: the next")


def _ways(relation: Relation) -> list[str]:
    """The ways in which the facts of a relation are asked, the usual more than once."""
    ways = ["forward"] * 6 + ["back"] * 3 * ("back" in relation.words)
    return (
        ways + (["state"] * 3 if "state" in relation.words else []) + (["two"] if "open" not in relation.flags else [])
    )


def related(source: Source, relation: Relation, fact: Fact, way: str) -> Case:
    """A question about a fact of a relation."""
    asked = {"forward": forward, "back": backward, "state": checked, "two": chosen}
    return asked[way](source, relation, fact)


def alone(source: Source, found: One | So) -> Case:
    """A question about a fact of no relation."""
    answer = source.pick(*found.answers)
    if isinstance(found, One):
        return _case(
            source, question(source, found.cores, {}), _opened(source, answer), list(found.accept), (), found.name
        )
    if source.maybe(0.4):
        user = whether(source, found.statement)
    else:
        user = question(source, Pool([Core(found.direct, f"if {found.statement}")]), {})
    case = _case(source, user, answer, [YES if found.yes else NO], (), f"{found.name}: yes or no")
    return replace(case, reject=("no", "false", "wrong") if found.yes else ("yes",))


def every(source: Source) -> Iterator[Case]:
    """Each fact once, forward, in a wording of this source: for the evaluation of a whole table."""
    for relation in facts().relations:
        for fact in relation.facts:
            yield forward(source, relation, fact)
    for found in (found for group in facts().single.values() for found in group):
        yield alone(source, found)


def kinds() -> list[Kind]:
    """A kind for each relation and each table of single facts, weighted by what there is to know."""
    made = []
    for relation in facts().relations:

        def make(source: Source, lexicon: Lexicon, relation: Relation = relation) -> Case:
            fact = source.chance.choice(relation.facts)
            return related(source, relation, fact, source.pick(*_ways(relation)))

        made.append(Kind(f"fact_{relation.name}", "facts", make, len(relation.facts) ** 0.7))
        if "next" in relation.words:

            def go_on(source: Source, lexicon: Lexicon, relation: Relation = relation) -> Case:
                return next_one(source, relation)

            made.append(Kind(f"next_{relation.name}", "facts", go_on, len(relation.facts) ** 0.7 / 6, filler=False))
    for name, group in facts().single.items():

        def answer(source: Source, lexicon: Lexicon, group: list[One | So] = group) -> Case:
            return alone(source, source.chance.choice(group))

        made.append(Kind(f"fact_of_{name}", "facts", answer, len(group) ** 0.8))
    return made


KINDS = kinds()
