"""Trains Griff's tokenizer: 8,192 pieces, with Gemma's marks for turns, digits apart and bytes for what has no piece.

    python -m griff.tokenizer --corpus DIR --out DIR [--seed N] [--conversations N] [--texts N]

Writes tokenizer.model and tokenizer_config.json. It learns from generated conversations and from the plain texts.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import sentencepiece

from . import texts
from .lexicon import Lexicon
from .mix import conversation
from .wording import Source

SIZE = 8192
MARKS = ("<start_of_turn>", "<end_of_turn>", "\n", "\n\n")
"""Pieces 4 to 7; 0 to 3 are <pad>, <eos>, <bos> and <unk>."""
_LINE = 4000  # characters of a training line at most


def lines(lexicon: Lexicon, seed: str, conversations: int, plain: int) -> Iterator[str]:
    """What the pieces are learned from."""
    source = Source(f"tokenizer {seed}")
    for _ in range(conversations):
        for turn in conversation(source, lexicon):
            yield turn.user[:_LINE]
            yield turn.model[:_LINE]
    for _, (_, text) in zip(range(plain), texts.documents(lexicon, source), strict=False):
        yield from (line[:_LINE] for line in text.split("\n") if line)


def train(found: Iterator[str], size: int = SIZE) -> bytes:
    """The model, as SentencePiece writes it."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=found,
        model_writer=model,
        model_type="bpe",
        vocab_size=size,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        eos_piece="<eos>",
        bos_piece="<bos>",
        user_defined_symbols=list(MARKS),
        byte_fallback=True,
        split_digits=True,
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        allow_whitespace_only_pieces=True,
        character_coverage=0.9999,
        required_chars="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-+*/=",
        num_threads=8,
        minloglevel=2,
    )
    return model.getvalue()


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.add_argument("--seed", default="0")
    p.add_argument("--conversations", type=int, default=60_000, metavar="N")
    p.add_argument("--texts", type=int, default=20_000, metavar="N")
    o = p.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    model = train(lines(Lexicon(o.corpus), o.seed, o.conversations, o.texts))
    (o.out / "tokenizer.model").write_bytes(model)
    print(f"{o.out / 'tokenizer.model'}: {len(model):,} bytes")


if __name__ == "__main__":
    main()
