"""Words and openings of the story grammar, as plain data; `grammar` explains the fields in braces."""

GIRLS = ("Lily", "Mia", "Anna", "Rosa", "Nora", "Ella", "Zoe", "Ivy", "Emma", "Clara")
BOYS = ("Tom", "Ben", "Max", "Sam", "Leo", "Jack", "Finn", "Oscar", "Peter", "Henry")
CREATURES_HE = (
    "fox",
    "bear",
    "frog",
    "dog",
    "hedgehog",
    "turtle",
    "king",
    "dragon",
    "robot",
    "farmer",
    "wolf",
    "lion",
    "knight",
    "wizard",
    "tiger",
    "monkey",
)
CREATURES_SHE = (
    "rabbit",
    "mouse",
    "owl",
    "duck",
    "cat",
    "squirrel",
    "queen",
    "bird",
    "sheep",
    "horse",
    "princess",
    "goat",
    "hen",
    "witch",
    "cow",
)
ADJECTIVES = (
    "little",
    "little",
    "little",
    "",
    "",
    "young",
    "kind",
    "old",
    "brave",
    "clever",
    "shy",
    "happy",
    "gentle",
    "quiet",
    "poor",
    "funny",
)

PLACES = (
    ("in the forest", "to the forest"),
    ("in the garden", "to the garden"),
    ("in the meadow", "to the meadow"),
    ("by the river", "to the river"),
    ("by the lake", "to the lake"),
    ("on the hill", "to the hill"),
    ("on the farm", "to the farm"),
    ("near the beach", "to the beach"),
    ("in the park", "to the park"),
    ("near the village", "to the village"),
    ("in the mountains", "to the mountains"),
    ("by the sea", "to the sea"),
    ("at the edge of the woods", "to the edge of the woods"),
)

# Openings that describe a state: the plot then starts with "One day, ".
OPENINGS_STATE = (
    "Once upon a time, there was {a_h}.",
    "Once upon a time, there was {a_h} who lived {p_in}.",
    "Once upon a time there was {a_h} who lived {p_in}.",
    "Once upon a time, {a_h} lived {p_in}.",
    "There was once {a_h} who lived {p_in}.",
    "Long ago, {a_h} lived {p_in}.",
    "{H0} lived in a small house {p_in}.",
    "{H0} lived {p_in}.",
    "{A_h} lived {p_in}.",
    "In a small house {p_in} lived {a_h}.",
    "{H0} loved to play {p_in}.",
    "There was {a_h}.",
    "Every day, {h0} played {p_in}.",
    "{A_h} had a small house {p_in}.",
    "Many years ago, there was {a_h} who lived {p_in}.",
)
# Openings that are an event already: the plot goes on at once.
OPENINGS_EVENT = (
    "One day, {h0} went {p_to}.",
    "One sunny morning, {h0} went {p_to}.",
    "One day, {h0} was playing {p_in}.",
    "{H0} was playing {p_in}.",
    "{H0} went for a walk {p_in}.",
    "It was a sunny day. {H0} was {p_in}.",
    "The sun was warm and the sky was blue. {H0} went {p_to}.",
    "It was a cold morning. {H0} walked {p_to}.",
    "One fine day, {h0} walked {p_to}.",
    "One summer day, {a_h} was walking {p_in}.",
    "It was the first day of spring. {H0} went {p_to}.",
    "The birds were singing. {H0} was {p_in}.",
    "{H0} woke up early and went {p_to}.",
)
TRAITS = (
    "{He} was kind to everyone.",
    "{He} liked to sing.",
    "{He} was small, but {he} was brave.",
    "{He} had many dreams.",
    "Everyone liked {him}.",
    "{He} loved the sun and the wind.",
    "{He} was very curious.",
    "{He} always wore a red hat.",
    "{He} liked to look at the stars.",
)
WHEN_FIRST = ("one day, ", "one day, ", "one morning, ", "one sunny day, ", "one evening, ")
WHEN_NEXT = ("", "soon, ", "after a while, ", "a little later, ")

OBJECTS = ("ball", "kite", "hat", "bell", "key", "map", "drum", "scarf", "lamp", "ring", "book", "boat")
COLOURS = ("red", "blue", "green", "yellow", "golden", "old", "new", "white")
