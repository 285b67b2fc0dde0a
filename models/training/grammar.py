"""What a plot of the story grammar is made of.

Templates are `str.format` strings over the fields that `generator` fills in.

- Hero: `h` (name, or pronoun when the hero was just mentioned), `n` (always the name), `he`, `him`, `his`, `a_h` (first
  mention, "a little fox"), `h0` (first mention as the subject, "the little fox" or "Lily").
- Friend: `f`, `m`, `fe`, `fm`, `fs` and `a_f` in the same order.
- `w` is the adverbial that starts an event ("one day, "); `p_in` and `p_to` are the place.
- A plot adds fields of its own; a field named in `NESTED` may contain other fields.

A capital first letter (`H`, `He`, `A_h`, ...) gives the capitalised form; the first letter of a template becomes a
capital anyway. Hero and friend always differ in pronoun, so that "he" and "she" are never ambiguous.
"""

from typing import NamedTuple

FRIENDS_EVER_AFTER = (
    "From that day on, they were best friends.",
    "From then on, {n} and {m} were good friends.",
    "{N} and {m} played together every day.",
    "They laughed and walked home together.",
)

# Fields whose value is itself a template ("{he} fell down").
NESTED = ("bad", "saved")

Beat = tuple[float, tuple[str, ...]]


class Plot(NamedTuple):
    """One kind of story: one row of fields is drawn from each of `choices`; `beats` are (probability, templates)."""

    name: str
    choices: tuple[tuple[dict[str, str], ...], ...]
    beats: tuple[Beat, ...]


def fields(names: str, *rows: tuple[str, ...]) -> tuple[dict[str, str], ...]:
    """Rows of words as dictionaries keyed by the space-separated `names`."""
    return tuple(dict(zip(names.split(), row, strict=True)) for row in rows)
