"""Everyday help: recipes, how-tos, lists, plans, gifts, small advice."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import replace

from .cases import Case, Kind, Turn, one
from .guessing import joined
from .lexicon import Lexicon, table
from .orders import articles, asking, kept, small
from .wording import Pool, Source, a, capital, roughen

GROUP = "tasks"
ASK = asking("ask_helping")
STRANGE = Pool([(mark, what) for mark, what in table("strange")])


def dish_name(source: Source, row: Sequence[str]) -> str:
    """One of the names of a dish."""
    return source.pick(row[0], row[0], *row[1].split("|"))


def recipe(source: Source, lexicon: Lexicon) -> Case:
    row = source.pick(*table("recipes"))
    _, _, needs, steps, must = row
    name = dish_name(source, row)
    user = ASK["recipe"].say(source, x=name, X=capital(name))
    model = source.pick(
        f"You need {needs}. {steps}",
        f"Take {needs}. {steps}",
        f"For {row[0]} you need {needs}. {steps}",
        f"Here is how. You need {needs}. {steps}",
    )
    tail = source.pick("", "", "", "", " Enjoy!", " Enjoy your meal!" if row[0] not in DRINKS else " Enjoy!")
    return one(roughen(source, user), model + tail, must.split("|"))


DRINKS = ("tea", "coffee", "lemonade", "hot chocolate", "a smoothie")


def ingredients(source: Source, lexicon: Lexicon) -> Case:
    row = source.pick(*table("recipes"))
    name, needs = dish_name(source, row), row[2]
    user = ASK["ingredients"].say(source, x=name)
    model = source.pick(f"You need {needs}.", f"For {row[0]}: {needs}.", f"Take {needs}.", f"You need this: {needs}.")
    # In whatever order, with whatever measure.
    return one(roughen(source, user), model, *(part.split()[-1] for part in re.split(", | and ", needs)))


def dish(source: Source, lexicon: Lexicon) -> Case:
    meals = [row for row in table("recipes") if row[0] not in (*DRINKS, "toast", "applesauce", "popcorn", "cookies")]
    first, second = source.some([row[0] for row in meals], 2, 2)
    model = source.pick(
        f"How about {first}? I can tell you how to make it.",
        f"You could make {first} or {second}.",
        f"I would make {first}.",
        f"{capital(first)}, maybe? Or {second}?",
        f"Try {first}. It is easy.",
    )
    return one(roughen(source, ASK["dish"].say(source)), model, [row[0] for row in meals])


def howto(source: Source, lexicon: Lexicon) -> Case:
    what, steps, must = source.pick(*table("howtos"))
    user = ASK["howto"].say(source, x=what)
    lead = source.pick("", "", "", "", "Gladly! ", "Here is how. ", "It is not hard. ", "Step by step: ")
    model = steps.replace(" my ", " your ")
    return one(roughen(source, user), lead + model, must.split("|"))


def advice(source: Source, lexicon: Lexicon) -> Case:
    trouble, text, must = source.pick(*table("advice"))
    user = ASK["advice"].say(source, x=small(trouble), X=capital(trouble))
    lead = source.pick(
        "", "", "", "", "I understand. ", "That happens to many. ", "Here is an idea. ", "I know a little about that. "
    )
    return one(roughen(source, user), lead + text, must.split("|"))


# --- what he has no steps for ------------------------------------------------------------------

UNKNOWN = (
    "do not know",
    "don't know",
    "no idea",
    "cannot help",
    "can't help",
    "never learned",
    "too hard",
    "too big",
    "not sure",
)


def strange(source: Source, lexicon: Lexicon) -> Case:
    """A dish or a task beyond the tables: he says so, as he would not guess at it."""
    mark, what = source.of(STRANGE)
    user = ASK["strange" if mark == "d" else "hard"].say(source, x=what)
    if mark == "d":
        other = source.pick("pancakes", "tomato soup", "an omelette", "a fruit salad", "porridge", "popcorn")
        model = source.pick(
            f"I do not know how to make {what}, sorry.",
            f"I don't know a recipe for {what}. But I could tell you how to make {other}.",
            f"Sorry, I never learned to make {what}. A cookbook knows it better.",
            f"I do not know {what} well enough. Ask me for {other}, that I know!",
        )
    else:
        told = what.replace("my ", "your ")
        model = source.pick(
            f"I do not know how to {told}, sorry.",
            f"That is too big for a small griffin: I don't know how to {told}.",
            f"Sorry, I never learned to {told}. Somebody who does it for a living could show you.",
            f"I don't know how to {told}. A good book or a teacher would help you better.",
        )
    copied = [what] if what in model else []
    return replace(one(roughen(source, user, keep=kept(what)), model, UNKNOWN, copied=copied), about="task")


# --- lists ------------------------------------------------------------------------------------

GROCERIES = Pool(
    [
        "milk",
        "eggs",
        "bread",
        "butter",
        "cheese",
        "apples",
        "bananas",
        "rice",
        "pasta",
        "tea",
        "coffee",
        "soap",
        "honey",
        "flour",
        "sugar",
        "salt",
        "tomatoes",
        "onions",
        "carrots",
        "potatoes",
        "yogurt",
        "juice",
        "oats",
        "beans",
        "lemons",
        "oranges",
        "nuts",
        "paper",
        "candles",
        "rope",
        "ink",
        "salad",
        "jam",
        "oil",
        "pepper",
        "noodles",
        "cereal",
        "batteries",
        "tissues",
        "shampoo",
        "toothpaste",
        "matches",
        "grapes",
        "pears",
        "plums",
        "cookies",
        "water",
        "plates",
        "cups",
        "spoons",
        "garlic",
        "spinach",
        "mushrooms",
    ]
)
TASKS = Pool(
    [
        "water the plants",
        "call my mother",
        "wash the car",
        "buy milk",
        "pay the rent",
        "write a letter",
        "clean the kitchen",
        "walk the dog",
        "read a book",
        "do my homework",
        "bake a cake",
        "mow the lawn",
        "feed the cat",
        "go to the bank",
        "fix the bicycle",
        "practice the piano",
        "iron the shirts",
        "clean my desk",
        "take out the trash",
        "visit my aunt",
        "go for a run",
        "do the laundry",
        "send the package",
        "learn ten words",
        "cook dinner",
        "paint the fence",
        "repair the lamp",
        "sort the photos",
        "meet a friend",
        "go swimming",
        "call the doctor",
        "plan the trip",
        "wash the windows",
        "make the beds",
        "sew on a button",
        "answer my mail",
        "go shopping",
        "vacuum the floor",
        "return the books",
        "tidy the garage",
    ]
)


def items(source: Source, lexicon: Lexicon, kind: str, low: int, high: int) -> list[str]:
    """Different ones; of what can be bought also any thing there is."""
    found: list[str] = []
    wanted = source.number(low, high)
    while len(found) < wanted:
        if kind == "to-do":
            item = (
                source.of(TASKS)
                if source.maybe(0.6)
                else f"{source.pick('call', 'visit', 'write to', 'thank', 'meet')} {lexicon.name(source)[0]}"
            )
            if source.maybe(0.2):
                item = (
                    f"{source.pick('buy', 'fix', 'clean', 'find', 'return', 'paint')} the {source.of(lexicon.things)}"
                )
        else:
            item = source.of(GROCERIES) if source.maybe(0.5) else a(source.of(lexicon.things))
        if item not in found:
            found.append(item)
        elif source.maybe(0.1):
            wanted -= 1
    return found


def as_list(kind: str, entries: list[str]) -> str:
    return f"{capital(kind)} list: {', '.join(entries)}."


def listing(source: Source, lexicon: Lexicon) -> Case:
    """A list of what the user names, perhaps with more to come."""
    kind = source.pick("shopping", "shopping", "to-do", "packing")
    entries = items(source, lexicon, kind, 2, 6)
    user = ASK["list"].say(
        source, kind=kind, Kind=capital(kind), list=joined(source, entries) if len(entries) > 1 else entries[0]
    )
    turns = [Turn(roughen(source, user, keep=kept(*entries)), as_list(kind, entries), tuple(entries))]
    for _ in range(source.pick(0, 0, 1, 2)):
        new = next((item for item in items(source, lexicon, kind, 3, 3) if item not in entries), "")
        if not new:
            break
        entries = [*entries, new]
        user = ASK["list add"].say(source, x=new, X=capital(new))
        turns.append(Turn(roughen(source, user, keep=kept(new)), as_list(kind, entries), tuple(entries)))
    if source.maybe(0.25) and len(entries) > 2:
        gone = source.pick(*entries)
        entries = [entry for entry in entries if entry != gone]
        user = ASK["list drop"].say(source, x=gone, X=capital(gone))
        turns.append(Turn(roughen(source, user, keep=kept(gone)), as_list(kind, entries), tuple(entries)))
        reject = (gone,) if not any(gone in entry for entry in entries) else ()
        return Case(tuple(turns), tuple((entry,) for entry in entries), reject)
    if source.maybe(0.3):
        turns.append(Turn(roughen(source, ASK["list read"].say(source)), as_list(kind, entries), tuple(entries)))
    return Case(tuple(turns), tuple((entry,) for entry in entries))


def plan(source: Source, lexicon: Lexicon) -> Case:
    """Morning, noon and evening, in the user's order."""
    tasks = items(source, lexicon, "to-do", 3, 3)
    if len(tasks) < 3:
        tasks = list(TASKS.all[:3])
    user = ASK["plan"].say(source, list=joined(source, tasks))
    x, y, z = (task.replace("my ", "your ") for task in tasks)
    model = source.pick(
        f"In the morning, {x}. After lunch, {y}. In the evening, {z}.",
        f"Morning: {x}. Afternoon: {y}. Evening: {z}.",
        f"First {x}, then take a break. After that, {y}. At the end of the day, {z}.",
        f"Start with this: {x}. At noon, {y}. Later, {z}.",
    )
    return one(roughen(source, user, keep=kept(*tasks)), model, x, y, z, copied=[t for t in tasks if t in model])


def packing(source: Source, lexicon: Lexicon) -> Case:
    what, text, _ = source.pick(*table("packing"))
    things = text.split("|")
    user = ASK["packing"].say(source, x=what)
    some = source.some(things, 3, 4)
    chosen = [thing for thing in things if thing in some] if source.maybe(0.5) else things
    listed = ", ".join(chosen[:-1]) + " and " + chosen[-1]
    model = source.pick(
        f"Take {listed}.",
        f"You need {listed}.",
        f"I would pack {listed}.",
        f"Do not forget {listed}.",
        f"For {what}: {listed}.",
    )
    return one(roughen(source, user), model, things)


# --- thinking of others -----------------------------------------------------------------------


def both_sides(source: Source, lexicon: Lexicon) -> Case:
    what, good, bad = source.pick(*table("procons"))
    kind = source.pick("both", "both", "both", "pro", "con")
    user = ASK[kind].say(source, x=what, X=capital(what))
    if kind == "pro":
        return one(
            roughen(source, user), source.pick(f"{capital(good)}.", f"The good thing: {good}.", f"Well, {good}."), good
        )
    if kind == "con":
        return one(
            roughen(source, user), source.pick(f"{capital(bad)}.", f"The bad thing: {bad}.", f"Well, {bad}."), bad
        )
    model = source.pick(
        f"Good: {good}. Bad: {bad}.",
        f"On the one hand, {good}. On the other hand, {bad}.",
        f"For it: {good}. Against it: {bad}.",
        f"The good side: {good}. The bad side: {bad}.",
        f"{capital(good)}. But {bad}.",
    )
    return one(roughen(source, user), model, good, bad)


EVENTS = ("the birthday", "Christmas", "a birthday", "the holidays", "a thank-you", "the anniversary", "graduation")


@functools.cache
def gift_rows() -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((row[0], tuple(row[1].split("|"))) for row in table("gifts"))


def gift(source: Source, lexicon: Lexicon) -> Case:
    who, ideas = source.pick(*gift_rows())
    young = who in ("a baby", "a child")
    user = ASK["gift"].say(source, x=who, day=source.pick(*(EVENTS[:4] if young else EVENTS)))
    x, y, z = source.some(ideas, 3, 3)
    model = source.pick(
        f"How about {x}, {y} or {z}?",
        f"{capital(x)}, maybe, or {y}.",
        f"You could give {x}, {y} or {z}.",
        f"I would choose {x}. {capital(y)} would be nice too.",
        f"{capital(x)}, {y} or {z} would be lovely.",
    )
    return one(articles(roughen(source, user)), model, ideas)


KINDS: list[Kind] = [
    Kind("recipe", GROUP, recipe, 2),
    Kind("ingredients", GROUP, ingredients),
    Kind("what to cook", GROUP, dish, 0.7),
    Kind("how-to", GROUP, howto, 2.5),
    Kind("advice", GROUP, advice, 2),
    Kind("no steps for it", "unknown", strange),
    Kind("list", GROUP, listing, 2),
    Kind("day plan", GROUP, plan, 1.2),
    Kind("packing list", GROUP, packing),
    Kind("both sides", GROUP, both_sides),
    Kind("gift", GROUP, gift),
]
