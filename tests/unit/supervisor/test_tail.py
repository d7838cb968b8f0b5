from supervisor.environment import secret_values
from supervisor.streams import TAIL_BYTES, Tail


def tail(*chunks: bytes) -> list[str]:
    it = Tail()
    for chunk in chunks:
        it.add(chunk)
    return it.lines()


def test_nothing() -> None:
    assert tail() == []


def test_the_last_twenty_lines_of_any_chunks() -> None:
    data = b"".join(b"line %d\n" % n for n in range(10000))
    for size in (1, 7, 4096, 1 << 20):
        chunks = [data[start : start + size] for start in range(0, len(data), size)]
        assert tail(*chunks) == [f"line {n}" for n in range(9980, 10000)]


def test_a_last_line_without_an_end_and_empty_lines_count() -> None:
    assert tail(b"a\n\nb\r\nc") == ["a", "", "b", "c"]


def test_a_long_line_is_cut() -> None:
    assert tail(b"x" * 600 + b"\nend\n") == ["x" * 500, "end"]
    assert tail(b"x" * (1 << 20)) == ["x" * 500]


def test_bytes_that_are_no_text_are_shown_somehow() -> None:
    assert tail(b"\xff\xfe caf\xc3\xa9\n") == ["\ufffd\ufffd café"]


def test_memory_is_bounded() -> None:
    it = Tail()
    for _ in range(10000):
        it.add(b"y" * 100)
        it.add(b"")
    assert sum(map(len, it._chunks)) <= 3 * TAIL_BYTES
    assert len(it._chunks) <= 1001


def test_it_tells_no_secret_of_the_bot() -> None:
    """Also of one that prints what its exchange refuses; the cut at the limit leaves no half of it."""
    secrets = secret_values(
        {"A_KEY": "4Pb3v4Ggqusse5SL", "b_token": "4Pb3v4Ggqusse5SL+more", "C": "x" * 20, "D_KEY": "word"}
    )
    it = Tail(secrets)
    it.add(b"a" * 490 + b" 4Pb3v4Ggqusse5SL\nrefused: 4Pb3v4Ggqusse5SL+more word " + b"x" * 20 + b"\n")
    assert it.lines() == ["a" * 490 + " …", "refused: … word " + "x" * 20]
