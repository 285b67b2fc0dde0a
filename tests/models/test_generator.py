"""The corpus generator: deterministic, ASCII, and grammatical in the ways that can be checked by rule."""

import re
from itertools import islice
from string import Formatter

import pytest

from celosia.models.training import generator, grammar, plots, words

SEED = 20
STORIES = tuple(islice(generator.stories(SEED), 3000))
MALE = rf"\b({'|'.join((*words.BOYS, *words.CREATURES_HE))})\b"
FEMALE = rf"\b({'|'.join((*words.GIRLS, *words.CREATURES_SHE))})\b"
HERO_FIELDS = {"h", "n", "he", "him", "his", "a_h", "h0"}
FRIEND_FIELDS = {"f", "m", "fe", "fm", "fs", "a_f"}
STORY_FIELDS = {"w", "p_in", "p_to", "obj", "thing", "a_thing", "a_plant"}


def test_same_seed_same_stories() -> None:
    assert tuple(islice(generator.stories(SEED), 50)) == STORIES[:50]
    assert tuple(islice(generator.stories(SEED + 1), 50)) != STORIES[:50]


def test_stories_are_printable_ascii_of_the_stated_length() -> None:
    for story in STORIES:
        assert generator.MIN_BYTES <= len(story) <= generator.MAX_BYTES, story
        assert set(story) <= {chr(code) for code in range(0x20, 0x7F)}, story


def test_stories_vary() -> None:
    assert len(set(STORIES)) > 0.99 * len(STORIES)
    assert len({story.split(".")[0] for story in STORIES}) > 1000


def test_vocabulary_is_small_enough_to_learn() -> None:
    vocabulary = {word.lower() for story in STORIES for word in re.findall(r"[A-Za-z]+", story)}
    assert 300 <= len(vocabulary) <= 700


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(r"[{}]", id="field left over"),
        pytest.param(r"  | [.,!?]|\.\.", id="space or stop out of place"),
        pytest.param(r"\b[Aa] [aeiou]", id="a before a vowel"),
        pytest.param(r"\b[Aa]n [^aeiou]", id="an before a consonant"),
        pytest.param(r"^[^A-Z]|[^\"][.!?] [a-z]", id="sentence in lower case"),
        pytest.param(r"[^.!?\"]$", id="no stop at the end"),
        pytest.param(r"(?i)\b(\w+) \1\b", id="word twice"),
    ],
)
def test_no_story_has(fault: str) -> None:
    bad = [story for story in STORIES if re.search(fault, story)]
    assert not bad, bad[:3]


def test_quotes_are_closed() -> None:
    assert all(story.count('"') % 2 == 0 for story in STORIES)


@pytest.mark.parametrize(("names", "pronoun"), [(MALE, r"\b[Hh](e|im|is)\b"), (FEMALE, r"\b([Ss]he|[Hh]er)\b")])
def test_one_character_of_each_pronoun_introduced_before_it(names: str, pronoun: str) -> None:
    for story in STORIES:
        mentions = [match.group() for match in re.finditer(names, story.replace("like a bird", ""))]
        assert len(set(mentions)) <= 1, story
        first = re.search(pronoun, story)
        if first:
            mention = re.search(names, story)
            assert mention is not None, story
            assert mention.start() < first.start(), story


def test_characters_act_in_the_past_tense() -> None:
    present = re.compile(r"\b(is|are|has|goes|says|wants|does|do|can|will)\b")
    for story in STORIES:
        told = re.sub(r'"[^"]*"', "", re.sub(r"learned that [^.]*", "", story))
        for sentence in re.split(r"[.!?]", told):
            if re.search(f"{MALE}|{FEMALE}", sentence):
                assert not present.search(sentence), story


@pytest.mark.parametrize("plot", plots.PLOTS, ids=lambda plot: plot.name)
def test_plot_uses_only_fields_that_exist(plot: grammar.Plot) -> None:
    known = HERO_FIELDS | FRIEND_FIELDS | STORY_FIELDS | {name for rows in plot.choices for name in rows[0]}
    templates = [template for _, templates in plot.beats for template in templates]
    templates += [value for rows in plot.choices for row in rows for value in row.values()]
    for template in templates:
        used = {field[0].lower() + field[1:] for _, field, _, _ in Formatter().parse(template) if field}
        assert used <= known, template


def test_every_opening_and_plot_occurs() -> None:
    for plot in plots.PLOTS:
        closings = [t for t in plot.beats[-1][1] if "{" not in t]
        assert any(story.endswith(closing) for story in STORIES for closing in closings), plot.name
