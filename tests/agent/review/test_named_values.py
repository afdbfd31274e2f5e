"""Which values of a file a question names and no program used, and which a program used without being asked to."""

import pytest

from agent.record.events import Asked, Event, GivenFile, ToolRan
from agent.review.named_values import Unused, unasked_filters, unused_value
from sandbox import ErrorOutput, Execution, FileProfile
from sandbox.testing import printed
from tests.samples import STARTED

COLUMNS = {
    "site": ["plant A", "plant B"],
    "Warengruppe": ["Möbel", "Küche", "Büro"],
    "Status": ["open", "shipped", "Shipped", "cancelled"],
    "城市": ["北京", "上海", "广州"],
    "Land": ["DE", "FR"],
    "Name": ["Total", "Werk"],
}
PROFILE = FileProfile.model_validate(
    {
        "kind": "csv",
        "tables": [
            {
                "columns": [{"name": name, "type": "text", "values": values} for name, values in COLUMNS.items()],
                "total": "Total",
            }
        ],
    }
)
FILE = GivenFile(name="Küche.csv", size_bytes=9, sha256="0" * 64, profile=PROFILE)


def ran(code: str, output: str = "119.06", execution: Execution | None = None) -> ToolRan:
    return ToolRan(call_id="a", arguments="", code=code, execution=execution or printed(output), observation="")


def asked(task: str, *cells: ToolRan) -> list[Event]:
    return [STARTED.model_copy(update={"task": task, "files": [FILE]}), *cells]


@pytest.mark.parametrize(
    ("task", "code", "value"),
    [
        ("What did plant B use in February?", "m = d['use'].mean()\nprint(f'plant B used {m:.2f}')", "plant B"),
        ("What did plant B use?", "print('plant B: ' + str(d['use'].mean()))", "plant B"),
        ("What did plant B use?", "print('plant B: {}'.format(d['use'].mean()))", "plant B"),
        ("What did plant B use?", "print('plant B: %s' % d['use'].mean())", "plant B"),
        ("Mittel der Gruppe Küche?", "# Küche\nprint(d[d['Warengruppe'] == 'Möbel'].Netto.mean())", "Küche"),
        ("Mittel der Gruppe Küche?", "print(d[d.Warengruppe.isin(['Möbel'])].Netto.mean())", "Küche"),
        ("Mittel der Gruppe Küche?", "print(d.query(\"Warengruppe == 'Möbel'\").Netto.mean())", "Küche"),
        ("Mittel der Gruppe Küche?", "pd.read_sql(\"SELECT avg(n) FROM t WHERE Warengruppe = 'Büro'\", c)", "Küche"),
        ("上海的平均值是多少?", "print(d['数量'].mean())", "上海"),
        ("上海的平均值是多少?", "print(d[d['城市'] == '北京']['数量'].mean())", "上海"),
        ("How many orders were cancelled?", "print((d['Status'] == 'open').sum())", "cancelled"),
        ("Wie viel kommt aus FR?", "print(d['Netto'].sum())", "FR"),
    ],
)
def test_a_value_that_the_question_names_and_no_program_used_is_found(task: str, code: str, value: str) -> None:
    found = unused_value(asked(task, ran(code, "119.06\nplant B" if "plant B" in code else "119.06")))
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize(
    ("task", "code"),
    [
        ("What did plant B use?", "print(d[d.site == 'plant B'].use.mean())"),
        ("What did plant B use?", "print(d[d.site.str.endswith('B')].use.mean())"),
        ("What did plant B use?", "print(d[d.site != 'plant A'].use.mean())"),
        ("What did plant B use?", "print(f\"plant B: {d[d.iloc[:, 1] == 'plant B'].use.mean()}\")"),
        ("What did plant B use?", "print(sum(float(r[2]) for r in csv.reader(open(f)) if r[1] == 'plant B'))"),
        ("What did plant B use?", "print(c.execute('SELECT avg(n) FROM t WHERE s = ?', ('plant B',)).fetchone())"),
        ("What did plant B use?", "print(dict(d.groupby('site').use.mean())['plant B'])"),
        ("What did plant B use?", "sites = sorted(d['site'].unique())\nprint(d[d['site'] == sites[1]].use.mean())"),
        ("Mittel ohne Küche?", "print(d[d.Warengruppe.isin(['Möbel', 'Büro'])].Netto.mean())"),
        ("What did plant B use?", "name = 'Plant B'.lower()\nprint(d[d.site.str.lower() == name].use.mean())"),
        ("Compare plant A and plant B.", "print(d.groupby('site').use.mean())"),
        (
            "Compare plant A and plant B.",
            "for site, rows in d.groupby(d.columns[1]): print(site, 'is', rows.use.mean())",
        ),
        ("Mittel der Gruppe Küche?", "print(d.query('Warengruppe == \"Küche\"').Netto.mean())"),
        ("Mittel der Gruppe Küche?", "print(d[d.Warengruppe.str.contains('küch', case=False)].Netto.mean())"),
        ("Mittel der Gruppe Küche?", "print(d.pivot_table(columns='Warengruppe').Küche)"),
        ("Mittel der Gruppe Küche?", "%time\npd.read_sql(\"SELECT avg(n) FROM t WHERE w = 'Küche'\", c)"),
        ("Summe von Küche.csv?", "print(d.Netto.sum())"),
        ("上海的平均值是多少?", "print(d[d['城市'].eq('上海')]['数量'].mean())"),
        ("Open the file. How many rows are there?", "print(len(d))"),
        ("How many are still open in total?", "print(d['Qty'].sum())"),
        ("Wie hoch ist das Total?", "print(d['Netto'].sum())"),
        ("Werk mit der höchsten Summe?", "print(d['Netto'].sum())"),
        ("¿Cuál es la media de ventas?", "print(d['de'].mean())"),
    ],
)
def test_a_value_that_may_be_used_or_stand_there_by_chance_is_left_alone(task: str, code: str) -> None:
    assert unused_value(asked(task, ran(code, "plant A 1\nplant B 2" if "Compare" in task else "119.06"))) is None


def test_a_value_that_was_found_by_the_program_and_printed_was_used() -> None:
    whole = ran("print(d.mean().to_string())", "plant A 3\nplant B 119.06")
    assert unused_value(asked("What did plant B use?", whole)) is None


def test_an_earlier_cell_counts_unless_it_failed_and_its_variables_are_gone() -> None:
    task, later = "What did plant B use?", ran("print(d['use'].mean())")
    error = ErrorOutput(ename="KeyError", evalue="'x'", traceback=[])
    for is_lost in (True, False):
        failed = Execution(status="error", outputs=[error], state_lost=is_lost)
        first = ran("d = d[d.site == 'plant B']\nd['x']", execution=failed)
        assert (unused_value(asked(task, first, later)) == Unused("plant B", "site")) is is_lost


def test_nothing_is_left_out_before_a_program_prints_a_result() -> None:
    assert unused_value(asked("What did plant B use?")) is None
    assert unused_value(asked("Plot plant B.", ran("d.plot()", ""))) is None


def test_another_column_may_mean_the_same() -> None:
    assert unused_value(asked("What did plant B use?", ran("print(d[d.Land == 'FR'].use.mean())"))) is None


@pytest.mark.parametrize(
    ("task", "code", "values"),
    [
        ("Top 3 customers by revenue?", "d[d['Status'] == 'shipped']", ["shipped"]),
        ("Top 3 customers by revenue?", "d[d.Status.isin(('shipped', 'Shipped'))]", ["shipped", "Shipped"]),
        ("Umsatz je Monat?", "d.query(\"Warengruppe == 'Möbel'\")", ["Möbel"]),
        ("每个月的总额?", "pd.read_sql('SELECT * FROM t WHERE c = \"上海\"', c)", ["上海"]),
    ],
)
def test_a_value_that_no_question_has_and_a_program_chose_rows_by_is_told(
    task: str, code: str, values: list[str]
) -> None:
    assert [one.value for one in unasked_filters(asked(task, ran(code)))] == values


@pytest.mark.parametrize(
    ("task", "code"),
    [
        ("How many were shipped?", "d[d['Status'] == 'shipped']"),
        ("Tell me all cancellations", "d[d['Status'] == 'cancelled']"),
        ("Use per site?", "a = d[d.site == 'plant A']\nb = d[d.site == 'plant B']"),
        ("Was kostet es?", "d.rename(columns={'Möbel': 'x'})"),
    ],
)
def test_what_was_asked_for_and_what_is_only_told_apart_is_not(task: str, code: str) -> None:
    assert unasked_filters(asked(task, ran(code))) == []


def test_only_the_cells_of_the_last_question_are_told_by_their_number_in_the_run() -> None:
    first = asked("Umsatz?", ran("d[d.Warengruppe == 'Büro']"))
    events = [*first, Asked(task="Und im Mai?", files=[]), ran("d[d.Warengruppe == 'Möbel']")]
    assert [(one.value, one.column, one.cell) for one in unasked_filters(events)] == [("Möbel", "Warengruppe", 2)]


def test_programs_are_read_only_where_a_file_has_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a session with a thousand questions would read all of its programs at each answer")

    events: list[Event] = [STARTED, ran("print('plant A')"), Asked(task="Plant B?", files=[]), ran("print('plant B')")]
    monkeypatch.setattr("agent.review.named_values._read", fail)
    assert unused_value(events) is None
    assert unasked_filters(events) == []
