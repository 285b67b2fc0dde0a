"""Plots in which the hero wants to make, learn or mend something. `grammar` explains the fields in braces."""

from .grammar import FRIENDS_EVER_AFTER, Plot, fields

LEARN = Plot(
    "learn",
    (
        fields(
            "skill did bad",
            ("swim", "swam", "{he} was afraid of the water"),
            ("sing", "sang", "{his} voice was too quiet"),
            ("climb a tree", "climbed the tree", "{he} fell down"),
            ("bake bread", "baked good bread", "the bread was black"),
            ("read", "read a whole book", "the words were too hard"),
            ("dance", "danced", "{he} fell down"),
            ("paint", "painted the sun", "the paint was too wet"),
            ("jump high", "jumped high", "{his} legs were too short"),
            ("row a boat", "rowed the boat", "the boat went round and round"),
        ),
    ),
    (
        (
            1.0,
            (
                "{h} wanted to learn to {skill}.",
                "{h} had one wish. {He} wanted to {skill}.",
                "More than anything, {he} wanted to {skill}.",
            ),
        ),
        (1.0, ("{w}{h} tried, but {bad}.", "{h} tried and tried, but {bad}.", "But {bad}.")),
        (
            0.8,
            (
                "{h} was sad.",
                '"I will never learn it," said {n}.',
                '"This is too hard," {he} said.',
                "{h} sat down and cried.",
            ),
        ),
        (
            1.0,
            (
                "{A_f} saw this and smiled.",
                "Then {a_f} came to {him}.",
                "{h} went to {a_f} and asked for help.",
                "{A_f} heard {him}.",
            ),
        ),
        (
            1.0,
            (
                '"I can teach you," said {m}.',
                '"Do not give up," said {m}. "Try again."',
                '"It takes time," said {m}. "We will try every day."',
                "{f} showed {him} how to {skill}.",
            ),
        ),
        (
            1.0,
            (
                "Every day they tried again.",
                "{h} tried again and again.",
                "They worked hard all week.",
                "Day after day, {h} got better.",
                "It was hard, but they did not stop.",
            ),
        ),
        (1.0, ("At last, {n} {did}!", "Then, one morning, {n} {did}!", "In the end, {n} {did}, and {m} was proud.")),
        (
            1.0,
            (
                "{N} learned that you must not give up.",
                "If you try again and again, you can do it.",
                '"I did it!" said {n}.',
                "{N} was very happy and thanked {m}.",
                "Hard work made the dream come true.",
                "Nothing is too hard if you try.",
            ),
        ),
    ),
)


GROW = Plot(
    "grow",
    (fields("plant", ("flower",), ("rose",), ("sunflower",), ("bean",), ("apple tree",), ("pumpkin",)),),
    (
        (1.0, ("{w}{h} found a small seed.", "{w}{a_f} gave {him} a small seed.", "{w}{h} planted a seed.")),
        (0.7, ("{h} put it in the ground.", '"I will take care of it," {he} said.', "{h} wanted to see it grow.")),
        (1.0, ("Every day, {h} gave it water.", "{h} watered it each morning.", "Each day, {h} came with water.")),
        (1.0, ("But nothing happened.", "Days went by, but nothing came up.", "A week went by, and {h} saw nothing.")),
        (0.7, ("{h} was sad.", '"It will never grow," said {n}.', '"Why does it not grow?" {he} asked.')),
        (1.0, ('"You have to wait," said {a_f}.', '"Good things take time," said {a_f}.', "{A_f} told {him} to wait.")),
        (1.0, ("So {n} waited.", "So {h} waited and gave it more water.", "{h} did not give up.")),
        (
            1.0,
            (
                "At last, {a_plant} grew in the sun.",
                "Then, one morning, there was {a_plant}!",
                "In spring, {a_plant} stood there.",
            ),
        ),
        (1.0, ("{h} was very happy.", '"Look!" said {n}. "It is so pretty!"', "{N} called {m}, and they danced.")),
        (
            1.0,
            (
                "Good things come to those who wait.",
                "The best things need time.",
                "{N} learned to wait.",
                "{N} and {m} looked at it and smiled.",
            ),
        ),
    ),
)


BROKEN = Plot(
    "broken",
    (fields("vase", ("cup",), ("vase",), ("window",), ("toy",), ("plate",), ("chair",)),),
    (
        (
            1.0,
            (
                "{w}{h} broke a {vase}.",
                "{w}{h} ran too fast, and a {vase} broke.",
                "{w}{h} was not careful and broke a {vase}.",
            ),
        ),
        (1.0, ("The {vase} belonged to {a_f}.", "It was the best {vase} of {a_f}.")),
        (
            1.0,
            (
                "{h} wanted to run away.",
                "{h} was afraid to tell {fm}.",
                '"What can I do?" {he} thought.',
                "At first, {h} wanted to hide it.",
            ),
        ),
        (
            1.0,
            (
                "But {h} went to {m} and told the truth.",
                "But it was better to tell the truth.",
                "But then {h} went to {m}.",
            ),
        ),
        (1.0, ('"I am sorry," {he} said. "I broke your {vase}."', '"It was me," said {n}. "I am so sorry."')),
        (
            1.0,
            (
                "{f} was not angry.",
                '{f} smiled. "Thank you for telling me," {fe} said.',
                '"It is only a {vase}," said {m}.',
                '"We can fix it," said {m}.',
            ),
        ),
        (0.7, ("They fixed the {vase} together.", "Together they made a new {vase}.", "{h} helped {fm} to fix it.")),
        (
            1.0,
            (
                "{N} felt much better.",
                "The truth made them both happy.",
                "It is always good to tell the truth.",
                "{N} learned to be honest.",
                *FRIENDS_EVER_AFTER,
            ),
        ),
    ),
)


GIFT = Plot(
    "gift",
    (
        fields(
            "gift made",
            ("a song", "wrote a song"),
            ("a card", "made a card"),
            ("a cake", "baked a cake"),
            ("a picture", "painted a picture"),
            ("a crown of flowers", "made a crown of flowers"),
        ),
    ),
    (
        (
            1.0,
            (
                "{w}it was the birthday of {a_f}.",
                "{w}{a_f} asked {him} to a party.",
                "{A_f} was going to have a birthday.",
            ),
        ),
        (1.0, ("{h} wanted to give {fm} a gift.", "{h} had no gift for {fm}.", "But {h} had no money for a gift.")),
        (0.7, ('"What can I give?" {he} thought.', "{h} was sad.", "{h} thought about it all day.")),
        (1.0, ("Then {h} had an idea.", "Then {h} smiled. {He} knew what to do.", "That night, {h} had a good idea.")),
        (1.0, ("{h} {made} for {m}.", "{h} sat down and {made}.", "{h} worked all night and {made}.")),
        (1.0, ("At the party, {n} gave {fm} {gift}.", "The next day, {h} gave it to {m}.")),
        (
            1.0,
            (
                '"This is the best gift of all!" said {m}.',
                "{f} was so happy that {fe} cried.",
                "{f} loved it and hugged {him}.",
            ),
        ),
        (
            1.0,
            (
                "The best gifts come from the heart.",
                "A gift from the heart is the best.",
                "{N} learned that a gift does not need money.",
                *FRIENDS_EVER_AFTER,
            ),
        ),
    ),
)


BUILD = Plot(
    "build",
    (
        fields(
            "house use",
            ("house", "live in it"),
            ("bridge", "cross the river"),
            ("boat", "sail far away"),
            ("tower", "see the stars"),
            ("swing", "fly like a bird"),
        ),
    ),
    (
        (
            1.0,
            (
                "{w}{h} wanted to build a {house}.",
                "{h} had a dream. {He} wanted to build a {house}.",
                "{w}{h} began to build a {house}.",
            ),
        ),
        (0.7, ('"Then I can {use}," {he} said.', "{h} wanted to {use}.", "{h} worked all day.")),
        (
            1.0,
            (
                "But the wood was too heavy.",
                "But the wind blew it down.",
                "But the {house} fell down.",
                "But it was too much work for one.",
            ),
        ),
        (0.8, ("{h} was tired and sad.", '"I cannot do this alone," said {n}.', "{h} sat down on a rock.")),
        (1.0, ("{A_f} came by and saw {him}.", "Then {h} met {a_f}.", "{h} went to {a_f} and asked for help.")),
        (
            1.0,
            (
                '"I am strong," said {m}. "Let me help you."',
                '"Two can do more than one," said {m}.',
                '"We can build it together," said {m}.',
            ),
        ),
        (
            1.0,
            (
                "They worked side by side.",
                "They worked until the sun went down.",
                "{n} cut the wood, and {m} carried it.",
            ),
        ),
        (
            1.0,
            ("Soon the {house} was done.", "In the end, they had a strong {house}.", "At last, the {house} was ready."),
        ),
        (
            1.0,
            (
                "Together, all work is easy.",
                "Many hands make light work.",
                '"We did it!" said {n} and {m}.',
                *FRIENDS_EVER_AFTER,
            ),
        ),
    ),
)


PLOTS = (LEARN, GROW, BROKEN, GIFT, BUILD)
