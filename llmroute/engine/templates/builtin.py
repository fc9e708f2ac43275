"""Chat templates by name, for models that carry none or a wrong one.

Each follows the format its family publishes; the texts are ours. `bos_token` is left to the
tokenizer, which knows whether the model wants one.
"""

from __future__ import annotations

BUILT_IN: dict[str, str] = {
    # Only the texts, for base models: the model continues where the messages end.
    "plain": """\
{%- for message in messages %}
    {{- message.content }}
    {%- if not loop.last %}{{ '\\n\\n' }}{% endif %}
{%- endfor %}""",
    # https://github.com/openai/openai-python/blob/v0.28.1/chatml.md; Qwen, Yi, SmolLM, Hermes
    "chatml": """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    # https://ai.google.dev/gemma/docs/core/prompt-structure (Gemma 1 to 3). It has no system role:
    # what the system says begins the first user turn.
    "gemma": """\
{%- set system = messages | selectattr('role', 'equalto', 'system') | map(attribute='content') \
| map('trim') | join('\\n\\n') %}
{%- set turns = messages | rejectattr('role', 'equalto', 'system') | list %}
{%- for message in turns %}
    {{- '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\\n' }}
    {%- if loop.first and system %}{{ system + '\\n\\n' }}{% endif %}
    {{- message.content | trim + '<end_of_turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}""",
    # https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-2/
    "llama2": """\
{%- set system = messages | selectattr('role', 'equalto', 'system') | map(attribute='content') \
| map('trim') | join('\\n\\n') %}
{%- for message in messages | rejectattr('role', 'equalto', 'system') %}
    {%- if message.role == 'user' %}
        {{- (bos_token if not loop.first else '') + '[INST] ' }}
        {%- if loop.first and system %}{{ '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' }}{% endif %}
        {{- message.content | trim + ' [/INST]' }}
    {%- else %}
        {{- ' ' + message.content | trim + ' ' + eos_token }}
    {%- endif %}
{%- endfor %}""",
    # https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-3/ (Llama 3 to 3.3)
    "llama3": """\
{%- for message in messages %}
    {{- '<|start_header_id|>' + ('ipython' if message.role == 'tool' else message.role) }}
    {{- '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}""",
    # https://www.llama.com/docs/model-cards-and-prompt-formats/llama4/
    "llama4": """\
{%- for message in messages %}
    {{- '<|header_start|>' + ('ipython' if message.role == 'tool' else message.role) }}
    {{- '<|header_end|>\\n\\n' + message.content | trim + '<|eot|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|header_start|>assistant<|header_end|>\\n\\n' }}{% endif %}""",
    # https://docs.mistral.ai/guides/tokenization (version 3): the system's words go into the last
    # user turn.
    "mistral": """\
{%- set system = messages | selectattr('role', 'equalto', 'system') | map(attribute='content') \
| map('trim') | join('\\n\\n') %}
{%- for message in messages | rejectattr('role', 'equalto', 'system') %}
    {%- if message.role == 'user' %}
        {{- '[INST] ' + (system + '\\n\\n' if loop.last and system else '') }}
        {{- message.content + '[/INST]' }}
    {%- else %}
        {{- ' ' + message.content | trim + eos_token }}
    {%- endif %}
{%- endfor %}""",
    # https://huggingface.co/microsoft/Phi-3-mini-4k-instruct
    "phi3": """\
{%- for message in messages %}
    {{- '<|' + message.role + '|>\\n' + message.content + '<|end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}""",
    # https://huggingface.co/HuggingFaceH4/zephyr-7b-beta
    "zephyr": """\
{%- for message in messages %}
    {{- '<|' + message.role + '|>\\n' + message.content + eos_token + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}""",
}
