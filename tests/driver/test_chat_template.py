"""Chat templates: what they make of messages, and what becomes of templates that mean harm."""

import pytest

from celosia.arch.model import Model
from celosia.driver import chat_template
from celosia.driver.chat_template import render_chat
from celosia.driver.errors import ModelError

from .models import random_config

MESSAGES = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Yes?"},
    {"role": "user", "content": "Go"},
]


def with_template(template: str | None) -> Model:
    return Model(random_config(chat_template=template), {}, None)


def test_a_template_in_the_style_of_hugging_face() -> None:
    template = (
        "{% for message in messages %}\n    {% if loop.index > 9 %}{% break %}{% endif %}\n"
        "<{{ message.role }}>{{ message['content'] | trim }}</s>\n{% endfor %}\n"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    assert render_chat(with_template(template), MESSAGES) == (
        "<user>Hi</s>\n<assistant>Yes?</s>\n<user>Go</s>\n<assistant>"
    )


def test_without_a_template_every_message_is_a_line() -> None:
    assert render_chat(with_template(None), MESSAGES) == "Hi\nYes?\nGo\n"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('roles must alternate') }}", r"chat_template is 'roles must alternate': it must be a ch"),
        ("{% for", r"chat_template is .*: it must be a chat template"),
        ("{{ messages.append(1) }}", r"chat_template is \"access to attribute 'append' of 'list' object is unsafe"),
        ("{{ ''.__class__.__mro__ }}", r"chat_template is \"access to attribute '__class__' of 'str' object is unsafe"),
        ("{{ cycler.__init__.__globals__ }}", r"chat_template is \"access to attribute '__init__' of .* is unsafe"),
        ("{% for i in range(10000) %}{{ 'x' * 1000 }}{% endfor %}", r"'its text is longer than 1048576"),
        ("{{ 'x' * 10**10 }}", r"chat_template is 'it needs more than 512 MB'"),
        ("{% include '/etc/passwd' %}", r"chat_template is '.*': it must be a chat template"),
        ("{{ 1 // 0 }}", r"chat_template is '.*zero.*': it must be a chat template"),
    ],
)
def test_hostile_templates(template: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        render_chat(with_template(template), MESSAGES)


def test_a_template_that_never_ends() -> None:
    loop = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    with pytest.raises(ModelError, match=r"rendering it takes too much time or memory; it must be"):
        render_chat(with_template(loop), MESSAGES)


def test_a_template_that_is_too_long() -> None:
    template = "x" * (chat_template.LARGEST_TEMPLATE + 1)
    with pytest.raises(ModelError, match=r"length of chat_template is 65537: at most 65536 are rendered$"):
        render_chat(with_template(template), MESSAGES)
