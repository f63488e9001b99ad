"""What num_units means, and how many are needed: the answer, from runs that are made for it or are there.

`making.py` has the runs; `layer.py`, `network.py`, `sizes.py`, `needed.py`, `source.py` and `onward.py` say what each
part of the answer is, in this order. Every number in a sentence comes from a table; one that came out otherwise makes
another sentence. How it looks is `report/answer.py`'s.
"""
