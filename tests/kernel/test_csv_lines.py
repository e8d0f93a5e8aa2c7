from catalog.kernel.csv_lines import csv_response


def test_neither_heads_nor_cells_are_run_by_a_spreadsheet() -> None:
    answer = csv_response("x", ["=1+1", "name"], [["@sum", "a,b"], ["-2", 'say "hi"']])
    text = b"".join(answer.streaming_content).decode()  # type: ignore[arg-type]
    assert text.splitlines() == ["\ufeff'=1+1,name", '\'@sum,"a,b"', '\'-2,"say ""hi"""']
