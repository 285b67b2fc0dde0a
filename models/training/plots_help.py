"""Plots in which the hero helps somebody. `grammar` explains the fields in braces."""

from .grammar import FRIENDS_EVER_AFTER, Plot, fields

STUCK = Plot(
    "stuck",
    (
        fields(
            "where tool saved",
            ("in a deep hole", "a long rope", "pulled {m} out"),
            ("in the mud", "a long stick", "pulled {m} out"),
            ("high in a tree", "a ladder", "helped {m} down"),
            ("under a heavy branch", "a strong stick", "lifted the branch"),
            ("on a rock in the water", "a small boat", "brought {m} to land"),
            ("between two rocks", "a long rope", "pulled {m} out"),
        ),
    ),
    (
        (
            1.0,
            (
                "{w}{h} heard a cry for help.",
                "{w}{h} heard someone cry.",
                '{w}{h} heard a small voice. "Help!" it said.',
            ),
        ),
        (1.0, ("{A_f} was stuck {where}.", "It was {a_f}, stuck {where}.", "There was {a_f}. {Fe} was stuck {where}.")),
        (
            0.7,
            (
                '"Please help me!" said {m}.',
                '"I cannot get out," said {m}.',
                "{f} was very afraid.",
                "{f} had been there all day.",
            ),
        ),
        (
            1.0,
            (
                '"Do not worry," said {n}. "I will help you."',
                "{h} thought hard. Then {he} had an idea.",
                '"Wait for me!" said {n}.',
            ),
        ),
        (1.0, ("{h} ran home and came back with {tool}.", "{h} found {tool}.", "{h} went to get {tool}.")),
        (
            1.0,
            (
                "With all {his} strength, {he} {saved}.",
                "Slowly, {h} {saved}.",
                "It was hard, but {n} {saved}.",
                "Soon {f} was safe.",
            ),
        ),
        (
            1.0,
            (
                '"You saved me!" said {m}.',
                '"Thank you," said {m}. "You are my hero."',
                "{f} hugged {him}.",
                '"I will never forget this," said {m}.',
                "{f} gave {him} a flower to say thank you.",
            ),
        ),
        (
            1.0,
            (
                "{N} was proud to help.",
                "Even a small friend can be a big help.",
                "When you help others, they will help you.",
                *FRIENDS_EVER_AFTER,
            ),
        ),
    ),
)


RACE = Plot(
    "race",
    (fields("goal", ("tree",), ("bridge",), ("mill",), ("gate",), ("well",)),),
    (
        (1.0, ("{w}{h} met {a_f}.", "{w}{a_f} asked {him} to run a race.", "{w}there was a big race.")),
        (1.0, ('"Let us race to the old {goal}!" said {a_f}.', '"I am faster than you," said {a_f}.')),
        (0.8, ("{h} was slow, but {he} said yes.", '"I will do my best," said {n}.', "Everyone came to see them run.")),
        (1.0, ("They ran as fast as the wind.", "{f} ran very fast.", "Soon, {f} was far ahead.")),
        (
            1.0,
            (
                "But near the {goal}, {m} fell and hurt {fs} foot.",
                "Then {f} fell down and could not get up.",
                "But {m} fell over a stone.",
            ),
        ),
        (1.0, ("{h} stopped to help {fm}.", "{h} did not run on. {He} helped {fm} up.", '"Take my hand," said {n}.')),
        (
            1.0,
            (
                "They walked to the {goal} side by side.",
                "So they came to the {goal} together.",
                "Together, they went on to the {goal}.",
            ),
        ),
        (
            1.0,
            (
                '"We both won!" said {m}.',
                "To help a friend is better than to win.",
                "{N} did not win the race, but {he} won a friend.",
                *FRIENDS_EVER_AFTER,
            ),
        ),
    ),
)


SICK = Plot(
    "sick",
    (
        fields(
            "cure",
            ("hot soup",),
            ("honey tea",),
            ("warm milk",),
            ("sweet berries",),
            ("a red apple",),
        ),
    ),
    (
        (
            1.0,
            ("{w}{h} went to see {a_f}.", "{w}{h} wanted to play with {a_f}.", "{w}{h} knocked at the door of {a_f}."),
        ),
        (1.0, ("But {m} was sick in bed.", "But {m} could not get up.", "{f} was sick and pale.")),
        (0.8, ('"I feel very weak," said {m}.', '"My head is hot," {fe} said.', '"I cannot play today," said {m}.')),
        (
            1.0,
            (
                "{h} wanted to make {fm} well.",
                '"I will take care of you," said {n}.',
                '"I know what will help," said {n}.',
            ),
        ),
        (1.0, ("{h} went home and came back with {cure}.", "{h} gave {fm} {cure}.", "So {n} ran to get {cure}.")),
        (
            1.0,
            (
                "Then {h} sat by the bed and read a story.",
                "{h} stayed all night.",
                "{h} sang a soft song until {m} slept.",
            ),
        ),
        (
            1.0,
            (
                "The next day, {m} felt better.",
                "In the morning, {m} was well again.",
                "Soon {f} could stand and smile.",
            ),
        ),
        (
            1.0,
            (
                "Love is the best medicine.",
                "A friend is there when you need one.",
                '"You are a true friend," said {m}.',
                *FRIENDS_EVER_AFTER,
            ),
        ),
    ),
)


HOME = Plot(
    "home",
    (fields("lead", ("the stars",), ("the river",), ("the long road",), ("the little path",)),),
    (
        (1.0, ("{w}{h} met {a_f}, who was crying.", "{w}{h} saw {a_f} on the road.", "{w}{h} found {a_f} all alone.")),
        (
            1.0,
            ('"I cannot find my way home," said {m}.', '"I am lost," said {m}.', "{f} was lost and wanted to go home."),
        ),
        (1.0, ('"Where do you live?" asked {n}.', '"I will take you home," said {n}.', "{h} took {fm} by the hand.")),
        (
            0.7,
            (
                '"I live far away," said {m}.',
                '"My house has a red roof," said {m}.',
                '"My mother is waiting for me," {fe} said.',
            ),
        ),
        (1.0, ("They followed {lead}.", "Together they followed {lead}.", "So they walked and followed {lead}.")),
        (
            1.0,
            (
                "It was late when they saw a light.",
                "At last, they came to a house with a red roof.",
                "When the sun went down, they were there.",
            ),
        ),
        (
            1.0,
            (
                "The mother of {m} was so glad that she cried.",
                '"This is my home!" said {m}.',
                "{f} ran to the door and laughed.",
            ),
        ),
        (
            1.0,
            (
                "They asked {n} to stay for dinner.",
                "{h} was given a big piece of cake.",
                '"Thank you for your help," said {m}.',
            ),
        ),
        (1.0, ("There is no place like home.", "{N} walked back under the moon and was happy.", *FRIENDS_EVER_AFTER)),
    ),
)


TREASURE = Plot(
    "treasure",
    (fields("chest", ("a wooden box",), ("an old chest",), ("a bag",), ("a clay pot",)),),
    (
        (1.0, ("{w}{h} found an old map.", "{w}{h} saw a map on the ground.", "{w}the wind brought {him} an old map.")),
        (0.7, ("There was a red cross on it.", '"It shows a treasure!" {he} said.', "{h} had always dreamed of gold.")),
        (1.0, ("{h} showed it to {a_f}.", "{A_f} wanted to come along.", "{h} asked {a_f} to come with {him}.")),
        (1.0, ("They walked over hills and through the woods.", "They walked for three days.", "It was a long way.")),
        (0.7, ("At night, they slept under the stars.", '"Are we lost?" asked {m}.', '"I am tired," said {m}.')),
        (
            1.0,
            (
                "Under a tall tree, they found {chest}.",
                "At last, they found {chest} in a cave.",
                "They dug in the sand and found {chest}.",
            ),
        ),
        (1.0, ("But it was empty.", "There was no gold in it.", "There was only a letter in it.")),
        (
            1.0,
            (
                '"Our trip was the real treasure," said {n}.',
                '"We have no gold, but we have each other," said {m}.',
                "They looked at each other and laughed.",
            ),
        ),
        (
            1.0,
            ("A good friend is worth more than gold.", "{N} and {m} went home and told everyone.", *FRIENDS_EVER_AFTER),
        ),
    ),
)


PLOTS = (STUCK, RACE, SICK, HOME, TREASURE)
