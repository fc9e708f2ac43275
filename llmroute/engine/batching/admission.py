"""From a job as it arrives to choices that can run."""

from __future__ import annotations

from ...providers.base import LocalToken
from ..answers.answer import Answer
from ..answers.best_of import BestOf
from ..answers.chain import SamplerChain
from ..answers.prompt_logprobs import PromptLogprobs
from ..answers.rules import AnswerRules, rules_for
from ..gguf.header import GGUFHeader
from ..job import Choice, EngineJob
from ..model.model import Model
from ..prompt.prompt import Prompt
from ..prompt.prompts import check_fits, prompts_of
from ..prompt.rendered import rendered_chat
from ..templates.renderer import bounded
from ..vocabulary.control_tokens import ControlTokens


def render(job: EngineJob, header: GGUFHeader, control: ControlTokens) -> None:
    """Have the conversation of a chat rendered, and find how its answers are to be read.

    May take some seconds, and touches no native object: it need not run on the engine's thread.
    Raises `BadRequestError`.
    """
    with bounded():
        job.rendered = rendered_chat(job.call, header, control)
        job.rules = rules_for(job.call, job.sampling.form, header, job.rendered.text)


def choices_of(job: EngineJob, model: Model) -> list[Choice]:
    """Every answer a job asks for, prompt by prompt; their number is the index in the result.

    Raises `ContextWindowExceededError` for a prompt that is too long and `BadRequestError` for one
    that is none.
    """
    job.prompts = prompts_of(
        job.call,
        model.vocabulary,
        model.header,
        model.images,
        rendered=job.rendered,
        window=model.window,
        suffix_first=model.options.spm_infill,
    )
    for prompt in job.prompts:
        check_fits(prompt, model.window)
    sampling = job.sampling
    job.unfinished = len(job.prompts) * sampling.n
    if sampling.scores_prompt:
        for prompt in job.prompts:
            prompt.logprobs = PromptLogprobs(
                model.vocabulary, prompt.tokens, prompt.text, sampling.logprobs or 0
            )
    elif sampling.max_tokens == 0:
        _answer_nothing(job)
        return []
    rules = job.rules or AnswerRules(form=sampling.form)
    grammar = rules.grammar(model.vocabulary)
    wanted = [prompt for prompt in job.prompts for _ in range(sampling.candidates)]
    choices = [
        _choice(job, model, prompt, index, rules, grammar) for index, prompt in enumerate(wanted)
    ]
    if sampling.chooses:
        answers = [choice.answer for choice in choices]
        job.best_of = BestOf(answers, sampling.candidates, sampling.n)
    if sampling.echo and not sampling.scores_prompt:
        for index, prompt in enumerate(wanted):
            job.emit(LocalToken(index, prompt.text))
    return choices


def _answer_nothing(job: EngineJob) -> None:
    for index in range(job.unfinished):
        prompt = job.prompts[index // job.sampling.n]
        job.emit(LocalToken(index, prompt.text if job.sampling.echo else "", (), "length"))


def _choice(
    job: EngineJob,
    model: Model,
    prompt: Prompt,
    index: int,
    rules: AnswerRules,
    grammar: str | None,
) -> Choice:
    room = model.window - prompt.size
    limit = room if job.sampling.max_tokens is None else min(room, job.sampling.max_tokens)
    markers = rules.markers(model.vocabulary)
    chain = SamplerChain(
        model.lib,
        model.vocabulary,
        job.sampling,
        seed=job.seed + index,
        prompt=[token for token in prompt.tokens if token >= 0],
        window=model.window,
        matcher=None if grammar is None else model.grammars.matcher(grammar),
    )
    answer = Answer(
        model.vocabulary,
        job.sampling,
        index=index,
        limit=limit,
        reader=rules.reader(),
        markers=markers,
    )
    return Choice(job, prompt, chain, answer, list(prompt.tokens))
