"""BLEU, by sacrebleu."""

from collections.abc import Sequence

from sacrebleu.metrics.bleu import BLEU

TOKENIZERS = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}


def bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]], language: str = "en") -> float:
    """Corpus BLEU in 0..100 (Papineni et al. 2002; sacrebleu, arXiv 1804.08771).

    A corpus without any four tokens in a row scores 0, as BLEU counts up to 4-grams.

    Args:
        hypotheses: one text a prompt.
        references: one or more a prompt; their number may differ from prompt to prompt.
        language: its tag, such as "en" or "zh-CN"; it decides the tokenizer.

    Raises:
        ValueError: no texts, unequal lengths, or a text without a reference.
        RuntimeError: Japanese or Korean without MeCab.
    """
    check_references(hypotheses, references)
    tokenizer = TOKENIZERS.get(language.lower().replace("_", "-").split("-")[0], "13a")
    try:
        metric = BLEU(tokenize=tokenizer)
    except (ImportError, RuntimeError) as error:
        raise RuntimeError(
            f"BLEU in {language!r} needs sacrebleu's tokenizer {tokenizer!r}, which needs MeCab: "
            f"pip install 'sacrebleu[{tokenizer.split('-', maxsplit=1)[0]}]'"
        ) from error
    # sacrebleu reads streams, one text a prompt in each; None where a prompt has no further reference.
    most = max(len(known) for known in references)
    streams = [[known[at] if at < len(known) else None for known in references] for at in range(most)]
    score = metric.corpus_score(list(hypotheses), streams).score  # type: ignore[arg-type]  # None is documented, not typed
    return min(100.0, float(score))  # 100.00000000000004 is met


def check_references(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Every hypothesis has a reference.

    Raises:
        ValueError: no texts, unequal lengths, a text without a reference, or a string where a list was meant.
    """
    if not hypotheses:
        raise ValueError("hypotheses: at least one text is needed")
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} lists of references: one each is needed")
    for at, known in enumerate(references):
        if isinstance(known, str):
            raise ValueError(f"references[{at}] is a string: give a list of strings, [{known!r}]")
        if not known:
            raise ValueError(f"references[{at}] is empty: a text without a reference cannot be scored; leave it out")
