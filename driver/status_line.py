"""The line that rewrites itself while a run goes on, fitted to the terminal: what wraps cannot be overwritten."""

from collections.abc import Sequence

_ID_ROOM = 24  # columns for a case's id: with fewer the counts are told in fewer words


def status_line(counts: Sequence[str], left: str, case_id: str, width: int) -> str:
    """As much as fits in one line of `width` columns; `counts` says the same in ever fewer words.

    The id is shortened first, then the counts; the id goes before the fewest words do.
    """
    room = width - 3  # the cursor's, and of the ^C that a terminal writes behind it
    heads = [*("  ".join(filter(None, (count, left))) for count in counts), counts[-1]]
    needed = 2 + min(len(case_id), _ID_ROOM)
    for head in heads[:len(counts) - 1]:
        if case_id and len(head) + needed <= room:
            return f"{head}  {middle_out(case_id, room - len(head) - 2)}"
    return next((head for head in heads if len(head) <= room), counts[-1][:max(room, 0)])


def middle_out(case_id: str, width: int) -> str:
    """The id in `width` columns: it begins with the topic and ends with the row, and both are worth keeping."""
    if len(case_id) <= width:
        return case_id
    tail = (width - 3) // 2
    return f"{case_id[:width - 3 - tail]}...{case_id[len(case_id) - tail:]}"
