"""From a job as it arrives to choices that can run."""

from __future__ import annotations

from ..providers.base import LocalToken
from .answer import Answer
from .chain import SamplerChain
from .job import Choice, Job, Prompt
from .model import Model
from .prompt import check_fits, prompts_of
from .reading import AnswerRules, rules_for


def choices_of(job: Job, model: Model) -> list[Choice]:
    """Every answer a job asks for, prompt by prompt; their number is the index in the result.

    Raises `ContextWindowExceededError` for a prompt that is too long and `BadRequestError` for one
    that is none.
    """
    job.prompts = prompts_of(job.call, model.vocabulary, model.header, model.images)
    for prompt in job.prompts:
        check_fits(prompt, model.window)
    wanted = [prompt for prompt in job.prompts for _ in range(job.sampling.n)]
    job.unfinished = len(wanted)
    _echo(job, wanted)
    if job.sampling.max_tokens == 0:
        for index in range(len(wanted)):
            job.emit(LocalToken(index, "", (), "length"))
        return []
    form = job.sampling.form
    rules = {id(p): rules_for(job.call, form, model.header, p.text) for p in job.prompts}
    return [
        _choice(job, model, prompt, index, rules[id(prompt)]) for index, prompt in enumerate(wanted)
    ]


def _echo(job: Job, prompts: list[Prompt]) -> None:
    if job.sampling.echo:
        for index, prompt in enumerate(prompts):
            job.emit(LocalToken(index, prompt.text))


def _choice(job: Job, model: Model, prompt: Prompt, index: int, rules: AnswerRules) -> Choice:
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
        grammar=rules.grammar,
        markers=markers,
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
