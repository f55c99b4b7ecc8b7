"""The tables of the plan of a million samples and of barycentres, made of a file of results."""

import json

from benchmarks import barycenters, million


def test_plan_is_made_of_the_measured_rates(tmp_path):
    found = {"device": "a processor", "pairs": 1e6, "written": 1e9, "leaves": 1000, "nodes": 1999}
    (tmp_path / million.FILE).write_text(json.dumps(found), encoding="utf-8")
    text = million.write_page(tmp_path, tmp_path).read_text(encoding="utf-8")
    assert "1.00 million pairs a second" in text
    hours = (0.5e12 / 1e6 + 4e12 / 1e9) / 3600
    assert f"| 1 | {hours:,.1f} | 7.8 TB |" in text


def test_table_of_barycentres_has_a_row_for_each(tmp_path):
    row = {"space": "chain", "rho": 1, "seconds": 0.5, "gap": 0.0, "value": 2.0}
    found = {"device": "a processor", "threads": 2, "rows": [row]}
    (tmp_path / barycenters.FILE).write_text(json.dumps(found), encoding="utf-8")
    assert "| chain | 1 | 0.500 | 0e+00 |" in barycenters.write_page(tmp_path, tmp_path).read_text(encoding="utf-8")
