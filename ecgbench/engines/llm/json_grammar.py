"""Replies that can only be JSON of a schema: at each step the tokens that lead out of it are ruled out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ecgbench.registry import missing_package

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class JsonGrammar:
    """Compile schemas for one tokenizer; a schema is compiled once. `width`: how many tokens the model scores."""

    compiler: Any
    width: int

    @classmethod
    def of(cls, tokenizer: Any, width: int, ends: Sequence[int]) -> JsonGrammar:
        """Set up for a tokenizer and the tokens that end a reply; raises MissingPackageError without xgrammar."""
        try:
            import xgrammar
        except ImportError:
            raise missing_package("xgrammar", needed_for="JSON by schema (profile.llm.style=chat)") from None
        info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=width, stop_token_ids=list(ends))
        return cls(xgrammar.GrammarCompiler(info), width)

    def start(self, schemas: Sequence[str]) -> JsonReplies:
        """Begin one reply a schema."""
        import xgrammar

        # A model that may write white space anywhere may write nothing else; vLLM writes none at all.
        form: dict[str, Any] = {"any_whitespace": False, "separators": (",", ":")}
        grammars = [self.compiler.compile_json_schema(schema, **form) for schema in schemas]
        matchers = [xgrammar.GrammarMatcher(grammar, terminate_without_stop_token=True) for grammar in grammars]
        return JsonReplies(matchers, self.width)


@dataclass(frozen=True)
class JsonReplies:
    """The replies of a batch, each as far as it has come."""

    matchers: Sequence[Any]
    width: int

    def allow(self, logits: Tensor, rows: Sequence[int]) -> None:
        """Set the logits (b, width) of tokens that cannot come next to -inf; row i of them continues reply rows[i]."""
        import xgrammar

        mask = xgrammar.allocate_token_bitmask(len(rows), self.width)
        for i, row in enumerate(rows):
            self.matchers[row].fill_next_token_bitmask(mask, i)
        xgrammar.apply_token_bitmask_inplace(logits, mask.to(logits.device))

    def accept(self, row: int, token: int) -> bool:
        """Append a token to a reply; tells whether it is whole."""
        matcher = self.matchers[row]
        return not matcher.accept_token(token) or matcher.is_terminated()
