"""What people tell beside names, words and numbers: places, jobs, food, things, days, plans."""

from __future__ import annotations

from collections.abc import Callable

from .lexicon import Lexicon
from .values import (
    Value,
    cap_noun,
    color,
    digits,
    drawn,
    figure,
    fresh,
    lists,
    nickname,
    person,
    pet,
    place_name,
    plural,
    surname,
    word,
)
from .wording import Source, a


def town(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    if kind in ("", "real") and "towns" in lists() and source.maybe(0.5):
        return Value.of(drawn(source, "towns"), "town")
    ends = ("ton", "ford", "field", "burg", "dale", "stad", "wick", "mouth", "ville", "haven", "bridge", "wood", "", "")
    stem = fresh(source, lambda: lexicon.invented(source) + source.pick(*ends))
    return Value.of(source.pick("", "", "", "", "New ", "Port ", "Little ", "Upper ") + stem, "invented town")


def country(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    if source.maybe(0.7):
        name = drawn(source, "country")
        return Value.of(name, "country", name.removeprefix("the "))
    if source.maybe(0.5):
        return town(source, lexicon)
    return Value.of(
        fresh(source, lambda: lexicon.invented(source) + source.pick("land", "ia", "stan", "ova")), "invented country"
    )


def job(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    def rare() -> str:
        thing = source.of(lexicon.things)
        return f"{thing} {source.pick('maker', 'seller', 'painter', 'designer', 'collector', 'tester', 'inventor')}"

    core = drawn(source, "job") if source.maybe(0.65) else fresh(source, rare)
    return Value.of(a(core), "job", core)


def thing(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    """A thing with its article, often with an adjective; sometimes an animal."""

    def described() -> str:
        noun = source.of(lexicon.things) if source.maybe(0.8) else drawn(source, "pet")
        return f"{source.pick(*lists()['adjective'].all)} {noun}"

    core = source.of(lexicon.things) if source.maybe(0.45) else fresh(source, described)
    return Value.of(a(core), "thing", core)


def hobby(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    if source.maybe(0.7):
        return Value.of(drawn(source, "hobby"), "hobby")
    verb = source.pick("collecting", "painting", "building", "repairing", "drawing", "selling", "photographing")
    return Value.of(f"{verb} {plural(source.of(lexicon.things))}", "composed")


def food(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    if source.maybe(0.65):
        return Value.of(drawn(source, "food"), "food")

    def dish() -> str:
        kinds = ("soup", "pie", "salad", "cake", "bread", "curry", "pudding", "stew", "noodles", "pancakes")
        return f"{source.pick(*lists()['fruit'].all, *lists()['flavor'].all)} {source.pick(*kinds)}"

    return Value.of(fresh(source, dish), "composed")


def breakfast(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    """A meal with its article or number."""
    if source.maybe(0.5):
        return Value.of(drawn(source, "food_a"), "meal")

    def meal() -> str:
        fruit, flavor = source.pick(*lists()["fruit"].all), source.pick(*lists()["flavor"].all)
        return source.pick(
            f"toast with {fruit} jam",
            f"yogurt with {plural(fruit)}",
            f"a slice of {flavor} cake",
            f"{source.pick(*lists()['small'].all[:5])} {plural(fruit)}",
            f"a bowl of {fruit} porridge",
            f"pancakes with {flavor} sauce",
            f"rice with {plural(fruit)}",
            f"a {fruit} sandwich" if fruit[0] not in "aeiou" else f"{fruit} bread",
        )

    return Value.of(fresh(source, meal), "composed")


def drink(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    if source.maybe(0.65):
        return Value.of(drawn(source, "drink"), "drink")
    made = fresh(
        source,
        lambda: (
            f"{source.pick(*lists()['fruit'].all, *lists()['flower'].all)} "
            + source.pick("juice", "tea", "soda", "shake", "lemonade", "punch", "smoothie")
        ),
    )
    return Value.of(made, "composed")


def title(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    """The name of a book, a song or a movie."""
    noun, other, name = cap_noun(source, lexicon), cap_noun(source, lexicon), lexicon.name(source)[0]
    adjective = drawn(source, "title").capitalize()
    made = source.pick(
        f"The {adjective} {noun}",
        f"{name} and the {noun}",
        f"The {noun} and the {other}",
        f"A Song for {name}",
        f"The {noun} of {name}",
        f"{adjective} {noun}",
        f"{noun} and {other}",
        f"The {adjective} {noun} of {name}",
    )
    return Value.of(made, "title", made.removeprefix("The "))


def date(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    made = fresh(source, lambda: f"{source.pick(*lists()['month'].all)} {source.number(1, 28)}")
    month, number = made.split()
    day = int(number)
    end = "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return Value.of(source.pick(made, made, f"{made}{end}", f"the {day}{end} of {month}"), "date")


def time(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    hours = ("one", *lists()["small"].all[:11])

    def some() -> str:
        hour, minute = source.number(1, 12), source.number(0, 11) * 5
        spoken = source.pick("half past", "a quarter past", "a quarter to", "ten past", "ten to", "twenty past")
        return source.pick(
            f"{hour}:{minute:02}",
            f"{source.number(13, 22)}:{minute:02}",
            f"{spoken} {source.pick(*hours)}",
            f"{hour} o'clock",
            f"{hour} {source.pick('am', 'pm')}",
            f"{hour}:{minute:02} {source.pick('am', 'pm')}",
        )

    return Value.of(fresh(source, some), "time")


def place(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    return Value.of(
        fresh(source, lambda: f"{source.pick(*lists()['prep'].all)} {source.pick(*lists()['spot'].all)}"), "place"
    )


def plan(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    if source.maybe(0.5):
        return Value.of(drawn(source, "doing"), "plan")
    verbs = lists()["do"].all
    if source.maybe(0.5):
        return Value.of(f"{source.pick(*verbs[:8])} {lexicon.name(source)[0]}", "plan")
    return Value.of(f"{source.pick(*verbs[8:])} {thing(source, lexicon).text}", "plan")


def fear(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    if source.maybe(0.6):
        return Value.of(drawn(source, "fear"), "fear")
    how = ("big", "black", "green", "loud", "tiny", "hairy", "strange", "white", "wild", "old", "angry")
    return Value.of(fresh(source, lambda: f"{source.pick(*how)} {plural(source.of(lexicon.things))}"), "composed")


def craft(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    name = lexicon.name(source)[0]
    noun = cap_noun(source, lexicon)
    made = source.pick(drawn(source, "craft"), name, f"{source.pick('Lady', 'Queen', 'Captain', 'Old')} {name}", noun)
    return Value.of(made, "boat")


def animal(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    return Value.of(drawn(source, "animals" if "animals" in lists() else "pet"), "animal")


def visitor(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    name = lexicon.name(source, kind)[0]
    with_title = f"{source.pick('Aunt', 'Uncle', 'Mr.', 'Mrs.', 'Doctor', 'Cousin', 'Captain')} {name}"
    return Value.of(name if source.maybe(0.6) else with_title, "visitor", name)


def team(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    first = source.pick(town(source, lexicon).text, drawn(source, "hue").capitalize(), cap_noun(source, lexicon))
    return Value.of(f"{first} {source.pick(*lists()['teamend'].all)}", "team")


def toy(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    return pet(source, lexicon, kind)


def _listed(name: str) -> Callable[[Source, Lexicon, str], Value]:
    return lambda source, lexicon, kind: Value.of(drawn(source, name), name)


def _counted(make: Callable[[Source], str], about: str) -> Callable[[Source, Lexicon, str], Value]:
    return lambda source, lexicon, kind: Value.of(fresh(source, lambda: make(source)), about)


def count(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    return Value.of(source.pick(*lists()["small"].all) if source.maybe(0.2) else str(source.number(2, 99)), "count")


MAKERS: dict[str, Callable[[Source, Lexicon, str], Value]] = {
    "person": person,
    "pet": pet,
    "petlike": toy,
    "color": color,
    "figure": figure,
    "word": word,
    "town": town,
    "country": country,
    "job": job,
    "hobby": hobby,
    "food": food,
    "food_a": breakfast,
    "drink": drink,
    "title": title,
    "date": date,
    "time": time,
    "place": place,
    "plan": plan,
    "things": fear,
    "thing_a": thing,
    "surname": surname,
    "nick": nickname,
    "craft": craft,
    "animal": animal,
    "visitor": visitor,
    "team": team,
    "count": count,
    "pin": _counted(lambda source: digits(source, 4, 6), "code"),
    "age": _counted(lambda source: str(source.number(4, 99)), "age"),
    "door": _counted(lambda s: str(s.number(2, 999)) + s.pick("", "", "", "a", "b", "c", "d"), "door"),
    "phone": _counted(lambda s: s.pick("", f"{s.number(200, 989)}-") + f"555-{digits(s, 4, 4)}", "phone"),
    "shoe": _counted(lambda s: str(s.number(28, 49)) + s.pick("", "", "", ".5"), "size"),
    "bus": _counted(lambda s: s.pick("", "", "", "N", "X", "M") + str(s.number(2, 320)), "bus"),
    "place_name": lambda s, lexicon, kind: Value.of(place_name(s, lexicon, "schoolend"), "school"),
    "street": lambda s, lexicon, kind: Value.of(place_name(s, lexicon, "streetend"), "street"),
    "weekday": lambda s, lexicon, kind: Value.of(s.pick(*lists()["weekday"].all), "weekday"),
    "month": lambda s, lexicon, kind: Value.of(s.pick(*lists()["month"].all), "month"),
    **{name: _listed(name) for name in ("sport", "season", "fruit", "flower", "tree", "bird", "game", "flavor")},
    **{name: _listed(name) for name in ("instrument", "language", "subject")},
}
FAVORITES: dict[str, str] = {
    "animal": "animal",
    "season": "season",
    "sport": "sport",
    "fruit": "fruit",
    "flower": "flower",
    "tree": "tree",
    "game": "game",
    "ice cream flavor": "flavor",
    "movie": "title",
    "story": "title",
    "poem": "title",
    "month": "month",
    "weekday": "weekday",
    "city": "town",
    "singer": "person",
    "writer": "person",
    "painter": "person",
    "hero": "person",
    "actor": "person",
    "football player": "person",
    "snack": "food",
    "dessert": "food",
    "cartoon": "title",
    "TV show": "title",
    "band": "team",
    "bird": "bird",
    "toy": "thing_a",
    "star": "person",
    "country": "country",
}
"""What one may have a favorite of, and the kind of its values."""
