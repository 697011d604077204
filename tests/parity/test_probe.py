import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.parity.contract import DOCUMENT
from scripts.parity.probe import describe, describe_document, normalise_definition


def test_the_document_of_the_contract():
    document = {"timestamp": 1795474431.3, "data": "x" * 1000}
    assert describe_document(json.dumps(document).encode()) == DOCUMENT


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ({"b": 1, "a": [1, 2]}, '{"a": list(2), "b": int}'),
        ({"a": {"b": None}}, '{"a": {"b": NoneType}}'),
        (True, "bool"),
    ],
)
def test_shape_of_a_value(value, shape):
    assert describe(value) == shape


@given(st.binary())
def test_any_content_has_a_shape(content):
    assert describe_document(content)


def test_the_counter_is_no_part_of_a_definition():
    one, two = (normalise_definition(f") ENGINE=InnoDB AUTO_INCREMENT={n} DEFAULT CHARSET=utf8mb4") for n in (5, 7001))
    assert one == two == ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
