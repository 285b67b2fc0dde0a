"""Seeded generator of small stories in ASCII: the corpus of the embedded model.

A story has a hero and a friend whose pronouns differ, a place, and one plot out of `plots.PLOTS`. State is kept while
the sentences are drawn, so that a character is introduced once ("a little fox"), is "the fox" or "he" afterwards, and
the same object comes back under the same name.
"""

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from string import Formatter

from . import grammar, plots, words

END = 0  # token id and byte between stories
MIN_BYTES, MAX_BYTES = 150, 450


@dataclass(frozen=True)
class Character:
    """Somebody in a story. `name` is how they are called later on ("Lily", "the fox"), lower case article included."""

    name: str
    adjective: str
    kind: str
    male: bool

    @property
    def named(self) -> bool:
        """True for a person with a proper name."""
        return not self.name.startswith("the ")

    @property
    def introduction(self) -> str:
        """First mention with an indefinite article: "a little fox", "a kind girl named Lily"."""
        phrase = with_article(f"{self.adjective} {self.kind}".strip())
        return f"{phrase} named {self.name}" if self.named else phrase

    @property
    def subject(self) -> str:
        """First mention as a known subject: "Lily", "the little fox"."""
        return self.name if self.named else f"the {self.adjective} {self.kind}".replace("  ", " ")


def with_article(phrase: str) -> str:
    """`phrase` behind "a" or "an", by its first letter (no word of the grammar is an exception to that)."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def capitalised(text: str) -> str:
    """`text` with its first letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]


def _draw_character(rng: random.Random, male: bool) -> Character:
    adjective = rng.choice(words.ADJECTIVES)
    if rng.random() < 0.5 and adjective != "old":
        name = rng.choice(words.BOYS if male else words.GIRLS)
        return Character(name, adjective, "boy" if male else "girl", male)
    kind = rng.choice(words.CREATURES_HE if male else words.CREATURES_SHE)
    return Character(f"the {kind}", adjective, kind, male)


class _Teller:
    """State of one story: who was introduced, who was mentioned last, and the fixed fields of its templates."""

    def __init__(self, rng: random.Random, fields: dict[str, str], eventful: bool) -> None:
        self.rng = rng
        male = rng.random() < 0.5
        self.hero, self.friend = _draw_character(rng, male), _draw_character(rng, not male)
        self.fields = fields | _pronouns(self.hero, "he him his") | _pronouns(self.friend, "fe fm fs")
        self.started = eventful
        self.friend_known = False
        self.recent: set[str] = set()

    def tell(self, template: str) -> str:
        """`template` as text. A character mentioned in the sentence before (or in this one) may become a pronoun."""
        for nested in grammar.NESTED:
            if nested in self.fields:
                template = template.replace(f"{{{nested}}}", self.fields[nested])
        mentioned: set[str] = set()
        parts: list[str] = []
        for text, field, _, _ in Formatter().parse(template):
            parts.append(text)
            if field is not None:
                value = self._expand(field[0].lower() + field[1:], mentioned)
                parts.append(capitalised(value) if field[0].isupper() else value)
        self.recent = mentioned
        return capitalised("".join(parts))

    def _expand(self, field: str, mentioned: set[str]) -> str:
        if field == "w":
            choices = words.WHEN_NEXT if self.started else words.WHEN_FIRST
            self.started = True
            return self.rng.choice(choices)
        if field in ("h", "n", "a_h", "h0"):
            return self._mention(self.hero, field, "h", mentioned)
        if field in ("f", "m", "a_f"):
            return self._mention(self.friend, field, "f", mentioned)
        if field in ("he", "him", "his", "fe", "fm", "fs"):
            mentioned.add("h" if field.startswith("h") else "f")
        return self.fields[field]

    def _mention(self, who: Character, field: str, role: str, mentioned: set[str]) -> str:
        known = role in self.recent or role in mentioned
        mentioned.add(role)
        if field == "a_f" and self.friend_known:
            return who.name
        if role == "f":
            self.friend_known = True
        if field.startswith("a_"):
            return who.introduction
        if field == "h0":
            return who.subject
        if field == role and known and self.rng.random() < 0.65:
            return self.fields["he" if role == "h" else "fe"]
        return who.name


def _pronouns(who: Character, names: str) -> dict[str, str]:
    """Subject, object and possessive pronoun of `who` under the three field `names`."""
    return dict(zip(names.split(), ("he", "him", "his") if who.male else ("she", "her", "her"), strict=True))


def _draw_story(rng: random.Random) -> str:
    plot = rng.choice(plots.PLOTS)
    p_in, p_to = rng.choice(words.PLACES)
    obj, colour = rng.choice(words.OBJECTS), rng.choice(words.COLOURS)
    fields = {"p_in": p_in, "p_to": p_to, "obj": obj, "thing": obj, "a_thing": with_article(f"{colour} {obj}")}
    for rows in plot.choices:
        fields |= rng.choice(rows)
    if "plant" in fields:
        fields["a_plant"] = with_article(fields["plant"])
    eventful = rng.random() < 0.4
    teller = _Teller(rng, fields, eventful)
    sentences = [teller.tell(rng.choice(words.OPENINGS_EVENT if eventful else words.OPENINGS_STATE))]
    if not eventful and rng.random() < 0.4:
        sentences.append(teller.tell(rng.choice(words.TRAITS)))
    for probability, templates in plot.beats:
        if rng.random() < probability:
            sentences.append(teller.tell(rng.choice(templates)))
    return " ".join(sentences)


def story(rng: random.Random) -> str:
    """One story of `MIN_BYTES` to `MAX_BYTES` ASCII characters, drawn from `rng` (advances it)."""
    while True:
        text = _draw_story(rng)
        if MIN_BYTES <= len(text) <= MAX_BYTES:
            return text


def stories(seed: int) -> Iterator[str]:
    """Endless stories; the same `seed` gives the same stories."""
    rng = random.Random(seed)
    while True:
        yield story(rng)


def main() -> None:
    """Print stories, one a line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=10, help="number of stories")
    options = parser.parse_args()
    source = stories(options.seed)
    for _ in range(options.count):
        print(next(source))


if __name__ == "__main__":
    main()
