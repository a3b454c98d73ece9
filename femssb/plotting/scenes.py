"""A run in an interactive view: any field at any snapshot, opened or whole, to turn and zoom.

It is a page that trame serves. The browser renders it (vtk.js): the server needs no OpenGL.
"""

import os
import webbrowser
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pyvista as pv

from femssb.description import checked
from femssb.environment.packages import load, require
from femssb.errors import EngineError, InputError, check_number
from femssb.plotting import rendering
from femssb.plotting.fields import field_of, limits_of, opened_scene
from femssb.results.fields import Snapshot
from femssb.results.solution import Solution
from femssb.units import um

PARTS = ("opened cell", "particles", "interface")


@checked
def view(solution: Solution, *, port: int | None = None) -> None:
    """Open an interactive view of the fields of a run; returns when it is closed (Ctrl-C).

    Args:
        solution: The run, as computed or as loaded; on ranks other than the first nothing is done.
        port: Serve at this port and open no browser: for one on another machine, through
            ``ssh -L 8080:localhost:8080``. None: any free port, and the browser of this machine.

    Raises:
        InputError: If the run kept no fields.
        EngineError: If there is neither a display nor a browser and no port is given, or trame is
            missing.
    """
    if port is not None:
        check_number("view", "port", port, lower=1, upper=65535)
    if not len(solution.snapshots):
        raise InputError("view.solution kept no fields: its protocol asked for no snapshots")
    if not solution.first_rank:
        return
    require("trame", "trame_vtk", "trame_vuetify", extra="report")
    if port is None and not _browser():
        raise EngineError(
            "there is neither a display nor a browser here: give a port (--port 8080) and forward "
            "it, or write a page with `femssb report`"
        )
    server = served(solution)
    server.start(port=port or 0, open_browser=port is None, show_connection_info=True)


def _browser() -> bool:
    """Return whether this machine has a display, or a browser that works in a terminal."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return bool(os.environ.get("BROWSER"))
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def served(solution: Solution) -> Any:
    """Return a server of trame that shows a run, not started yet."""
    server = load("trame.app", extra="report").get_server(f"femssb_{id(solution)}")
    server.client_type = "vue3"
    state, layout = server.state, load("trame.ui.vuetify3", extra="report").SinglePageLayout
    widgets = load("trame.widgets.vuetify3", extra="report")
    plotter = pv.Plotter(off_screen=True)
    plotter.set_background("white")  # type: ignore[arg-type]
    scene = _Scene(solution, plotter)
    state.moment, state.part, state.field = _first_moment(solution), PARTS[0], ""
    state.warp, state.title, state.trame__title = 0, "", "femssb"

    @state.change("moment", "part", "field", "warp")  # type: ignore[untyped-decorator]
    def _(**_: Any) -> None:
        state.fields = scene.names(state.part, int(state.moment))
        if state.field not in state.fields:
            state.field = next(n for n in (*_FIRST, *state.fields) if n in state.fields)
        state.title = scene.show(state.part, state.field, int(state.moment), float(state.warp))
        server.controller.view_update()

    with layout(server) as page:
        page.title.set_text("femssb")
        page.icon.hide()
        with page.toolbar:
            widgets.VSpacer()
            small: dict[str, Any] = {"density": "compact", "hide_details": True}
            widgets.VSelect(v_model=("part",), items=("parts", list(PARTS)), **small)
            widgets.VSelect(v_model=("field",), items=("fields", []), **small)
        column = "pa-0 fill-height d-flex flex-column flex-nowrap align-stretch"
        div = load("trame.widgets.html", extra="report").Div
        with page.content, widgets.VContainer(fluid=True, classes=column):
            with div(classes="d-flex flex-wrap align-center px-4 pt-2"):
                div("{{ title }}", style="flex: 1 1 18rem")
                scale: dict[str, Any] = {"min": 0, "style": "flex: 1 1 9rem", **small}
                last = max(len(solution.snapshots) - 1, 1)
                widgets.VSlider(v_model=("moment",), label="time", max=last, step=1, **scale)
                widgets.VSlider(v_model=("warp",), label="warp", max=50, step=5, **scale)
            with div(style="flex: 1; min-height: 0"):
                shown = load("trame.widgets.vtk", extra="report").VtkLocalView(
                    plotter.render_window
                )
            server.controller.view_update = shown.update
    return server


def _first_moment(solution: Solution) -> int:
    """Return the row of the snapshot to begin with: the first end of a charge, or the last one."""
    labels = [shot.label for shot in solution.snapshots]
    return labels.index("charge end") if "charge end" in labels else len(labels) - 1


_BAR = {"color": "black", "vertical": True, "position_y": 0.2, "height": 0.6}
_FIRST = ("Von Mises stress [Pa]", "Concentration [mol/m3]", "Gap [m]")


class _Scene:
    """What the view shows."""

    def __init__(self, solution: Solution, plotter: Any) -> None:
        self._solution, self._plotter = solution, plotter
        self._read: dict[int, Snapshot] = {}
        self._bodies: dict[tuple[str, int], list[pv.DataSet]] = {}
        self._edges: dict[int, list[pv.DataSet]] = {}
        self._placed = ""

    def _shot(self, row: int) -> Snapshot:
        if row not in self._read:
            self._read[row] = self._solution.snapshots[row]
        return self._read[row]

    def _shown(self, part: str, row: int) -> list[pv.DataSet]:
        row = min(row, len(self._solution.snapshots) - 1)
        if (part, row) not in self._bodies:
            shot = self._shot(row)

            def opened() -> list[pv.DataSet]:
                scene = opened_scene(shot)
                self._edges[row] = scene.lines
                return list(chain(*scene.faces))

            make: dict[str, Callable[[], list[pv.DataSet]]] = {
                PARTS[0]: opened,
                PARTS[1]: lambda: [rendering.walls(rendering.grid(shot.particle, "Grain [-]"))],
                PARTS[2]: lambda: [rendering.surface(shot.interface)],
            }
            self._bodies[part, row] = make[part]()
        return self._bodies[part, row]

    def names(self, part: str, row: int) -> list[str]:
        """Return the scalar fields that all bodies of a part have."""
        bodies = self._shown(part, row)
        shared = set.intersection(*(set(body.point_data.keys()) for body in bodies))
        scalar = {n for n in shared if all(body.point_data[n].ndim == 1 for body in bodies)}
        return sorted(scalar)

    def show(self, part: str, name: str, row: int, warp: float) -> str:
        """Put a part on the scene, coloured by a field; return what is shown in words."""
        row = min(row, len(self._solution.snapshots) - 1)
        bodies, field = self._shown(part, row), field_of(name)
        values = [np.asarray(body.point_data[name]) for body in bodies]
        low, high = limits_of(field, [v[np.isfinite(v)] for v in values])
        self._plotter.clear_actors()
        if self._plotter.scalar_bars:
            self._plotter.remove_scalar_bar()
        for body in bodies:
            moved = body
            if warp and "Displacement [m]" in body.point_data:
                moved = body.copy(deep=False)
                moved.points = body.points + warp / um * body.point_data["Displacement [m]"]
            coloured = moved.copy(deep=False)
            coloured.point_data["shown"] = np.asarray(body.point_data[name]) / field.unit
            self._plotter.add_mesh(
                coloured,
                scalars="shown",
                clim=(low / field.unit, high / field.unit),
                cmap=field.colours,
                lighting=part != PARTS[0],  # its faces are cuts: colours alone tell
                ambient=0.75,
                diffuse=0.3,
                show_scalar_bar=body is bodies[0],
                scalar_bar_args=_BAR | {"title": field.label},
            )
        if part == PARTS[0]:
            for line in self._edges[row]:
                self._plotter.add_mesh(line, **rendering.LINE)
        if self._placed != part:
            self._plotter.view_vector((-1.0, 0.8, 0.6), viewup=(0, 0, 1))
            self._plotter.reset_camera()
            self._placed = part
        shot = self._shot(row)
        return f"{field.label}, {shot.label or 'snapshot'} at {shot.time:.0f} s"
