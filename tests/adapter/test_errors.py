"""What is said of several errors at once."""

from adapter.errors import BusUnavailable, Fenced, first_error


def test_the_first_error_of_nested_groups_is_found() -> None:
    inner = BaseExceptionGroup("five", [Fenced(), BusUnavailable("away")])
    outer = BaseExceptionGroup("two", [BaseExceptionGroup("one", [inner]), BusUnavailable("away")])
    assert first_error(outer) is inner.exceptions[0]
