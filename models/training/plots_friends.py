"""Plots in which somebody needs a friend. `grammar` explains the fields in braces."""

from .grammar import FRIENDS_EVER_AFTER, Plot, fields

LOST = Plot(
    "lost",
    (
        fields(
            "hide",
            ("under a bush",),
            ("behind a tree",),
            ("in the tall grass",),
            ("under a leaf",),
            ("near a big rock",),
        ),
    ),
    (
        (
            1.0,
            (
                "{h} had {a_thing}.",
                "{h} had {a_thing} and loved it very much.",
                "The thing {he} loved most was {a_thing}.",
            ),
        ),
        (
            1.0,
            (
                "{w}{h} lost the {thing}.",
                "{w}the {thing} was gone!",
                "{w}{h} could not find the {thing}.",
                "{w}the wind took the {thing} away.",
            ),
        ),
        (
            1.0,
            (
                "{h} looked and looked, but it was not there.",
                "{h} was very sad and began to cry.",
                "{h} looked all over the place.",
                "{h} looked up and down, but it was gone.",
                '"Where is my {thing}?" {he} said.',
                '"Oh no!" said {n}. "My {thing} is lost!"',
            ),
        ),
        (
            1.0,
            (
                "Then {a_f} came by.",
                "{A_f} saw {him} and came to help.",
                "{h} asked {a_f} for help.",
                "Then {h} met {a_f}.",
            ),
        ),
        (
            0.7,
            (
                '"Do not be sad," said {m}. "I will help you."',
                '"Why are you sad?" asked {m}.',
                '"Let us look together," said {m}.',
                '"I will help you find it," said {m}.',
                '"When did you see it last?" asked {m}.',
                "{f} wanted to help {him}.",
            ),
        ),
        (
            1.0,
            (
                "{f} found the {thing} {hide}.",
                "They looked together and found the {thing} {hide}.",
                "The {thing} was {hide}!",
                "{f} looked {hide}, and there was the {thing}!",
            ),
        ),
        (
            1.0,
            (
                '"Thank you!" said {n}.',
                "{h} was so happy that {he} danced.",
                "{h} smiled and said thank you.",
                "{h} hugged {fm}.",
                '"You are so kind," said {n}.',
            ),
        ),
        (
            1.0,
            (
                "{N} learned that a good friend is better than any {obj}.",
                "It is good to have a friend who helps.",
                *FRIENDS_EVER_AFTER,
            ),
        ),
    ),
)


SHARE = Plot(
    "share",
    (
        fields(
            "a_food food it",
            ("a red apple", "apple", "it"),
            ("a sweet cake", "cake", "it"),
            ("a big pie", "pie", "it"),
            ("some bread", "bread", "it"),
            ("some berries", "berries", "them"),
            ("some nuts", "nuts", "them"),
            ("a pot of soup", "soup", "it"),
            ("a ripe pear", "pear", "it"),
        ),
    ),
    (
        (1.0, ("{w}{h} found {a_food}.", "{w}{h} had {a_food} for lunch.", "{w}{h} sat down to eat {a_food}.")),
        (0.6, ("{h} was very hungry.", "The {food} looked very good.", '"What a good day!" {he} said.')),
        (1.0, ("Then {a_f} came by.", "{A_f} sat near {him}.", "Then {h} saw {a_f}.", "Just then, {h} met {a_f}.")),
        (
            1.0,
            (
                "{f} looked tired and hungry.",
                '"I am so hungry," said {m}.',
                '"I have no food," said {m}.',
                "{f} had not eaten all day.",
                '"That smells so good," said {m}.',
            ),
        ),
        (
            0.7,
            (
                "{h} wanted to keep the {food}.",
                "At first, {h} did not want to share.",
                "{h} thought about it for a moment.",
                "{h} looked at the {food} and then at {m}.",
            ),
        ),
        (
            1.0,
            (
                '"We can share," said {n}.',
                "Then {h} gave half of the {food} to {m}.",
                '"Please eat with me," said {n}.',
                "In the end, {n} shared the {food} with {m}.",
            ),
        ),
        (
            1.0,
            (
                "They sat in the sun and ate {it} together.",
                '{f} smiled. "Thank you," {fe} said. "You are very kind."',
                "They ate together and told each other stories.",
                "{f} ate and smiled.",
                '"Thank you!" said {m}.',
            ),
        ),
        (
            1.0,
            (
                "Food is better when you share it.",
                "It feels good to give.",
                "{N} was glad, because sharing made two friends happy.",
                *FRIENDS_EVER_AFTER,
            ),
        ),
    ),
)


SCARED = Plot(
    "scared",
    (
        fields(
            "noise",
            ("a strange sound",),
            ("a loud noise",),
            ("a soft cry",),
            ("a knock at the door",),
            ("steps outside",),
        ),
    ),
    (
        (
            1.0,
            (
                "one night, {h} could not sleep.",
                "It was night, and {h} was afraid of the dark.",
                "one night, it was very dark in the house.",
                "That night, there was no moon.",
            ),
        ),
        (1.0, ("{h} heard {noise}.", "Then {h} heard {noise}.", "Suddenly, there was {noise}.")),
        (
            1.0,
            (
                '"Who is there?" {he} asked.',
                "{h} was so afraid that {he} hid under the bed.",
                "{His} heart beat fast.",
                '"Is it a monster?" {he} thought.',
            ),
        ),
        (
            1.0,
            (
                "But {h} was brave. {He} took a lamp and went to look.",
                "{h} opened the door slowly.",
                "At last, {h} went outside to see.",
            ),
        ),
        (1.0, ("It was only {a_f}!", "There was no monster. It was {a_f}.", "There stood {a_f}.")),
        (
            1.0,
            (
                '"I am lost," said {m}. "Can I stay here?"',
                '"I am cold," said {m}. "Please let me in."',
                '"I was afraid too," said {m}.',
                '"Please do not be afraid," said {m}.',
                "{f} was cold and alone.",
            ),
        ),
        (
            1.0,
            (
                "{h} gave {fm} warm milk and a blanket.",
                '"Come in," said {n}. They sat by the fire.',
                "{h} laughed and let {fm} in.",
                "{h} made tea, and they talked all night.",
            ),
        ),
        (
            1.0,
            (
                "{N} was not afraid of the dark any more.",
                "In the dark, a friend is the best light.",
                *FRIENDS_EVER_AFTER,
            ),
        ),
    ),
)


STORM = Plot(
    "storm",
    (
        fields("storm", ("rain",), ("snow",)),
        fields("shelter", ("a dry cave",), ("an old barn",), ("a hollow tree",), ("a small hut",)),
    ),
    (
        (1.0, ("{w}dark clouds came over the hill.", "{w}the sky turned dark.", "{w}a cold wind began to blow.")),
        (1.0, ("Then it began to {storm}.", "The {storm} came down hard.", "Soon there was {storm} all around.")),
        (
            0.8,
            (
                "{h} was wet and cold.",
                "{h} was far from home.",
                '"Where can I go?" {he} thought.',
                "{h} ran as fast as {he} could.",
            ),
        ),
        (1.0, ("Then {h} saw {shelter}.", "At last, {h} found {shelter}.", "Near the path, there was {shelter}.")),
        (1.0, ("Inside sat {a_f}.", "{A_f} was there too.", "{A_f} lived there.")),
        (
            1.0,
            (
                '"Come in," said {m}. "It is warm here."',
                '"You can stay with me," said {m}.',
                "{f} made a fire, and soon they were warm.",
                "{f} gave {him} hot soup.",
            ),
        ),
        (
            0.7,
            (
                "They told stories until the {storm} was over.",
                "They sang songs all night.",
                "They sat by the fire and drank tea.",
                "They waited together.",
            ),
        ),
        (
            1.0,
            (
                "In the morning, the sun came out.",
                "When the {storm} was over, the sky was blue again.",
                "Then the sun came back.",
            ),
        ),
        (
            1.0,
            (
                "After every storm, the sun will shine again.",
                "{N} thanked {m} and went home happy.",
                *FRIENDS_EVER_AFTER,
            ),
        ),
    ),
)


LONELY = Plot(
    "lonely",
    (fields("game", ("hide and seek",), ("ball",), ("a new game",), ("by the water",), ("in the sun",)),),
    (
        (1.0, ("{h} had no friends.", "{h} was alone and had no one to play with.", "{h} felt very alone.")),
        (
            0.7,
            (
                '"I wish I had a friend," {he} said.',
                "{h} looked at the moon and made a wish.",
                "Every night, {he} wished for a friend.",
            ),
        ),
        (1.0, ("{w}{a_f} came to live there.", "{w}{h} saw {a_f} who was alone too.", "{w}{h} met {a_f}.")),
        (0.8, ("{h} was too shy to speak.", "At first, {h} hid behind a tree.", "{h} did not know what to say.")),
        (1.0, ('"Hello," said {m}. "Do you want to play?"', "Then {f} waved at {him}.", "But {f} smiled at {him}.")),
        (1.0, ('"Yes, please!" said {n}.', "{h} smiled back.", "{h} said yes, and {his} heart was full of joy.")),
        (
            1.0,
            (
                "They played {game} all day.",
                "All day long, they played {game}.",
                "They ran and laughed and played {game}.",
            ),
        ),
        (
            1.0,
            (
                "{N} was never alone again.",
                "{N} had found a true friend.",
                "A smile can make a friend.",
                "It is easy to make a friend when you smile.",
                *FRIENDS_EVER_AFTER,
            ),
        ),
    ),
)


PLOTS = (LOST, SHARE, SCARED, STORM, LONELY)
