"""The boards as Grafana's JSON, by its own SDK. Nothing here knows what is shown."""

import json

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueGraphMode, LegendDisplayMode, TooltipDisplayMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    VariableOption,
    VariableRefresh,
)
from panels import Board, Panel

SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
WIDTH, HEIGHT, STAT_HEIGHT = 8, 8, 5


def _panel(panel: Panel) -> timeseries.Panel | stat.Panel:
    built: timeseries.Panel | stat.Panel
    if panel.kind == "stat":
        newest = ReduceDataOptions().calcs(["lastNotNull"])
        built = stat.Panel().graph_mode(BigValueGraphMode.AREA).reduce_options(newest).height(STAT_HEIGHT)
    else:
        legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST).show_legend(True)
        built = (
            timeseries.Panel()
            .fill_opacity(8)
            .legend(legend)
            .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
            .height(HEIGHT)
        )
    built.title(panel.title).unit(panel.unit).datasource(SOURCE).span(WIDTH).description(panel.says)
    for n, (expr, legend_format) in enumerate(panel.queries):
        query = prometheus.Dataquery().expr(expr).legend_format(legend_format).ref_id(chr(ord("A") + n))
        built.with_target(query.exemplar("_bucket" in expr))
    return built


def _board(board: Board) -> dashboard.Dashboard:
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.says)
        .tags(["panier"])
        .timezone("browser")
        .time("now-3h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("source").label("Source").type("prometheus"))
        # One Prometheus may see several installations: who looks at one picks its `namespace` here.
        .with_variable(dashboard.AdHocVariable("only").label("Only where").datasource(SOURCE))
    )
    if board.by_service:
        every = VariableOption(text="All", value="$__all")
        built.with_variable(
            dashboard.QueryVariable("service")
            .label("Service")
            .query("label_values(panier_ready, service)")
            .datasource(SOURCE)
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .current(every)
        )
    for title, panels in board.rows:
        built.with_row(dashboard.Row(title))
        for panel in panels:
            built.with_panel(_panel(panel))
    return built


def as_json(board: Board) -> str:
    plain = json.loads(JSONEncoder(sort_keys=True).encode(_board(board).build()))
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"
