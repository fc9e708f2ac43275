"""The families of models whose calls are read, told from a chat template: one file each."""

from __future__ import annotations

from ..syntax import Family
from .apertus import APERTUS
from .command import COMMAND, COMMAND_MOE, COMMAND_R_PLUS
from .deepseek import DEEPSEEK, DEEPSEEK_FENCED
from .dsml import DSML, DSML_V4
from .firefunction import FIREFUNCTION
from .functionary import FUNCTION_TAG
from .functionary_v3_2 import FUNCTIONARY_V3_2
from .gemma import GEMMA
from .gigachat import GIGACHAT, GIGACHAT_MARK
from .glm import GLM
from .gpt_oss import GPT_OSS
from .granite import GRANITE, PHI
from .hermes import GENERIC, HERMES
from .hunyuan import HUNYUAN
from .kimi import KIMI
from .kimi_k3 import KIMI_K3
from .lfm import LFM
from .llama import LLAMA
from .minicpm import MINICPM
from .minimax import MINIMAX
from .minimax_m3 import MINIMAX_M3
from .mistral import MISTRAL, MISTRAL_ARGS
from .muse import MUSE
from .nemotron import NEMOTRON
from .qwen_coder import QWEN_CODER
from .seed_oss import SEED_OSS
from .solar import SOLAR
from .tool_calls_tag import APRIEL, TOOL_CALLS_TAG

FAMILIES: tuple[Family, ...] = (
    # Marks that nobody else has.
    *(MUSE, GPT_OSS, GEMMA, KIMI_K3, MINIMAX_M3, MINIMAX, SEED_OSS, HUNYUAN, SOLAR, APERTUS),
    *(DSML, DSML_V4, DEEPSEEK_FENCED, DEEPSEEK, KIMI, LFM, COMMAND_MOE, COMMAND, NEMOTRON),
    *(GIGACHAT_MARK, GIGACHAT, PHI, GRANITE, FIREFUNCTION, FUNCTIONARY_V3_2, MINICPM),
    *(MISTRAL_ARGS, MISTRAL, APRIEL, TOOL_CALLS_TAG),
    # Marks that several have, from the most special to the most general.
    *(GLM, QWEN_CODER, HERMES, FUNCTION_TAG, COMMAND_R_PLUS, LLAMA),
)
"""In the order in which they are looked for."""


def detect_family(template: str) -> Family:
    """The family a chat template (as Jinja text) belongs to."""
    return next((family for family in FAMILIES if family.has(template)), GENERIC)
