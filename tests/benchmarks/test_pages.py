from workbench.benchmarks.pages import index_page, make_experiment
from workbench.pipeline.index import write_index
from workbench.pipeline.page import loads_from_outside


def test_the_page_of_a_night_shows_every_stage_and_both_writes_are_measured(tmp_path):
    html = write_index(make_experiment(tmp_path, stages=15, metric_lines=20)).read_text()
    assert html.count('class="card finished"') == 15
    assert "generation-3" in html
    assert loads_from_outside(html) == []
    measured = index_page(stages=5)
    assert measured["first"] > 0 and measured["again"] > 0 and measured["kilobytes"] > 10
