"""Parts of Markdown documents that a command writes: whatever stands between two comments that name it."""

import re
from collections.abc import Callable, Mapping

from derma_assets.errors import UserError


def with_blocks(document: str, command: str, texts: Mapping[str, Callable[[], str]]) -> str:
    """Return a document with every block of a command written anew; all else stays as it is.

    Args:
        document: Markdown. A block stands between the comments `BEGIN name, written by `command`` and `END name`.
        command: As in the comment: `make readme`.
        texts: By name of the block, what makes its text.

    Raises:
        UserError: the document has no block of the command, or one that nothing is known about.
    """
    block_of_command = re.compile(
        rf"(<!-- BEGIN (\w+), written by `{re.escape(command)}` -->\n).*?(<!-- END \2 -->)", re.DOTALL
    )
    if not block_of_command.search(document):
        raise UserError(f"the document has no block to write: <!-- BEGIN name, written by `{command}` --> is missing.")

    def written(block: re.Match[str]) -> str:
        begin, name, end = block.groups()
        if name not in texts:
            raise UserError(f"there is no block {name!r}: choose one of {', '.join(texts)}.")
        return f"{begin}\n{texts[name]()}\n\n{end}"

    return block_of_command.sub(written, document)
