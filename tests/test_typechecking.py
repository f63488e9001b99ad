"""The checks of annotations that run with all tests find what is wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
import torch
from jaxtyping import Float, Int, TypeCheckError
from torch import Tensor

import lstm_probe as lp
from tests.typechecking import checked

Pair = tuple[Float[Tensor, "row"], Float[Tensor, "row"]]


@checked
@dataclass(frozen=True)
class Table:
    rows: Float[Tensor, "row column"]
    names: Mapping[int, str]

    @property
    @checked
    def row(self) -> Float[Tensor, "column"]:
        return self.rows

    @classmethod
    @checked
    def of(cls, text: str, *, times: float = 1.0) -> "Table":
        return cls(torch.ones(2, len(text)) * times, {0: text})


@checked
def product(a: Float[Tensor, "row inner"], b: Float[Tensor, "inner column"]) -> Float[Tensor, "row column"]:
    return a @ b.T if a.shape == b.shape else a @ b


@checked
def pairs(values: list[Pair]) -> Iterator[int]:
    yield from range(len(values))


@checked
def later(value: "NotThere", n: "int") -> None:
    pass


X, Y = torch.zeros(2, 3), torch.zeros(3, 4)


def test_what_is_right_goes_through():
    assert product(X, Y).shape == (2, 4) and product(a=X, b=Y).shape == (2, 4)
    assert Table.of("abc", times=2).rows.shape == (2, 3)  # a whole number passes for a float
    assert list(pairs([(X[0], X[1]), (Y[0], Y[1])][:1])) == [0] and later(object(), 1) is None
    assert Table(rows=X, names={1: "a"}).names == {1: "a"}


@pytest.mark.parametrize(
    "call",
    [
        lambda: product(X, X.T[:2]),  # an axis of another size
        lambda: product(X, X),  # what is returned has another size than it says
        lambda: product(X.int(), Y),
        lambda: product(X, b=Y[0]),
        lambda: product(X.numpy(), Y),
        lambda: Table(X[0], {}),
        lambda: Table(X, {"a": "b"}),
        lambda: Table(X, {}).row,
        lambda: Table.of(3),
        lambda: Table.of("abc", times="2"),
        lambda: pairs([(X[0], Y[0])]),
        lambda: later(object(), "1"),
        lambda: lp.record(3, X),
        lambda: lp.record(torch.nn.LSTM(3, 2), X[None], variables=5),
    ],
)
def test_what_is_wrong_does_not(call):
    with pytest.raises(TypeCheckError):
        call()


def test_each_call_has_sizes_of_its_own():
    @checked
    def outer(a: Int[Tensor, "n"]) -> Int[Tensor, "n"]:
        product(X, Y)
        return outer(a[1:])[:0].new_zeros(len(a)) if len(a) else a

    assert len(outer(torch.arange(3))) == 3
