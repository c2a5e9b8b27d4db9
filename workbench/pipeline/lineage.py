"""Where policies come from, as a picture: which was trained from which policy and which data, by which stage and generation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from workbench.pipeline.page import fold
from workbench.pipeline.references import Reference
from workbench.pipeline.summary import Summary

_BOX, _TALL, _ACROSS, _DOWN, _MARGIN = 168, 54, 226, 76, 14
_ROUND = 34  # how far an arrow swings out that goes round the boxes between
_MOST_GENERATIONS = 5  # more of them are behind a fold: a picture is to be seen at a glance
_MOST_OF_ONE_STAGE = 4
_GIVEN = ("policy", "policies", "dataset", "datasets")  # parameters that may name something from outside
_REFERENCE = re.compile(r"\$\{(.*)\}@(\d+)(.*)")
_POLICY, _MIXTURE, _DATA, _OUTSIDE = "policy", "mixture", "data", "outside"
_COLOURS = {
    _POLICY: ("#e8f0fa", "#0b57a4"), _MIXTURE: ("#fbf0e4", "#b3661b"), _DATA: ("#f1f6ee", "#5c8a3a"),
    _OUTSIDE: ("#f6f8fa", "#8a949e"),
}  # fmt: skip
_DATASETS = ("dataset", "datasets")  # names of artifacts that hold games, whatever is in their folders


@dataclass(frozen=True)
class Node:
    """A policy, a mixture of policies, or a dataset.

    Args:
        key: (stage, generation, artifact); of what comes from outside ("", generation it is first used in, its name).
        kind: `policy`, `mixture`, `data` or `outside`.
        title, about: the two lines in its box.
        folder: of the stage that made it; "" for what comes from outside.
    """

    key: tuple[str, int, str]
    kind: str
    title: str
    about: str = ""
    folder: str = ""


@dataclass(frozen=True)
class Lineage:
    """Policies, and all that they were made from; `edges` are (made from, made) keys."""

    nodes: dict[tuple, Node]
    edges: tuple[tuple[tuple, tuple], ...]


def lineage_of(entries: list[dict], summaries: dict[str, Summary]) -> Lineage:
    """The lineage of the policies of one chain.

    A stage's policy is in it if the stage has trained it or another stage uses it, and every mixture; of the rest only what
    these were made from, directly or not: policies, mixtures and games to learn from. Tables of matches and summaries are not drawn.
    """
    ran = {(entry["stage"], entry["generation"]): entry for entry in entries}
    made_from = {
        key: _inputs(summaries.get(entry["folder"], Summary()), key[1], summaries, ran) for key, entry in ran.items()
    }
    first_used: dict[str, int] = {}
    for stage, generation, label in sorted(
        {one for sources in made_from.values() for one in sources}, key=lambda one: one[1]
    ):
        if (stage, generation) not in ran:
            first_used.setdefault(label, generation)
    made_from = {
        key: [one if one[:2] in ran else ("", first_used[one[2]], one[2]) for one in sources]
        for key, sources in made_from.items()
    }
    used = {source for sources in made_from.values() for source in sources}
    nodes: dict[tuple, Node] = {}
    edges: list[tuple[tuple, tuple]] = []
    waiting, mixtures = [], set()
    for (stage, generation), entry in ran.items():
        summary = summaries.get(entry["folder"], Summary())
        for label, policy in summary.policies.items():
            fresh = bool(policy.get("members")) and policy["id"] not in mixtures  # a stage may hand on a copy of one
            mixtures |= {policy["id"]} if fresh else set()
            if fresh or label in summary.trained or (stage, generation, label) in used:
                waiting.append((stage, generation, _first_name(label, summary)))
    while waiting:
        key = waiting.pop(0)
        if key in nodes:
            continue
        nodes[key] = _node(key, ran, summaries)
        if nodes[key].kind == _OUTSIDE:
            continue
        for source in [*made_from[key[:2]], *_parent(key, ran, summaries)]:
            if source != key and _belongs(source, key, ran, summaries):
                edges.append((source, key))
                waiting.append(source)
    return Lineage(nodes, tuple(dict.fromkeys(edges)))


def _first_name(label: str, summary: Summary) -> str:
    """The first of the labels under which a stage hands on what lies at one path."""
    path = summary.artifacts.get(label)
    return next((other for other, place in summary.artifacts.items() if path is not None and place == path), label)


def _belongs(source: tuple, key: tuple, ran: dict, summaries: dict[str, Summary]) -> bool:
    """Whether an input of a stage is drawn as what this artifact of it was made from.

    A mixture is made from its members, a policy that says whom it was trained against, or imitates, from them and its parent,
    and both from data; a stage may have more policies at hand. Other artifacts come from all their stage was given.
    """
    stage, generation, label = source
    entry = ran.get((stage, generation))
    if entry is not None:
        summary = summaries.get(entry["folder"], Summary())
        if label not in summary.policies:
            return _is_data(label, summary)
        name = summary.policies[label]["id"]
    elif label.count("/") > 1:  # a path, whose policy's name is not known
        return True
    else:
        name = label
    made = summaries[ran[key[:2]]["folder"]].policies.get(key[2], {})
    if made.get("members"):
        return name in made["members"]
    named = [made[key] for key in ("against", "imitates") if made.get(key)]
    return not named or name in (*named, made["parent"])


def _is_data(label: str, summary: Summary) -> bool:
    return label in summary.data or re.split(r"[.\[]", label)[0] in _DATASETS


def _parent(key: tuple[str, int, str], ran: dict, summaries: dict[str, Summary]) -> list[tuple]:
    """The policy that a policy itself names as its parent, where a stage of this chain has made it."""
    named = summaries.get(ran[key[:2]]["folder"], Summary()).policies.get(key[2], {}).get("parent")
    makers = [
        (stage, generation, _first_name(label, summaries[entry["folder"]]))
        for (stage, generation), entry in ran.items()
        for label, policy in summaries.get(entry["folder"], Summary()).policies.items()
        if named and policy["id"] == named and generation <= key[1]
    ]
    return makers[-1:]


def _inputs(summary: Summary, generation: int, summaries: dict[str, Summary], ran: dict) -> list[tuple]:
    """Keys of what a stage was made from: artifacts that it referred to, and what it was given by name or path."""
    found = []
    for text in summary.inputs:
        match = _REFERENCE.fullmatch(text)
        if not match:
            continue
        reference = Reference.parse(match[1])
        label = ".".join(reference.path) + match[3]
        maker = ran.get((reference.stage, int(match[2])))
        known = summaries.get(maker["folder"], Summary()).artifacts if maker else {}
        exact = next((name for name in known if name.replace("[", ".").replace("]", "") == label), label)
        found.append(
            (reference.stage, int(match[2]), _first_name(exact, summaries[maker["folder"]]) if maker else exact)
        )
    inside = {path for other in summaries.values() for path in other.artifacts.values()}
    for name in _GIVEN:
        value = summary.parameters.get(name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and one and not any(one.endswith(path) for path in inside):
                found.append(("", generation, one))
    return found


def _node(key: tuple, ran: dict, summaries: dict[str, Summary]) -> Node:
    stage, generation, label = key
    entry = ran.get((stage, generation))
    if entry is None:
        return Node(key, _OUTSIDE, label.rstrip("/").rpartition("/")[2] if label.count("/") > 1 else label, "given")
    policy = summaries.get(entry["folder"], Summary()).policies.get(label)
    if policy is None:
        return Node(key, _DATA, label, f"by {stage}", entry["folder"])
    if policy.get("members"):
        return Node(key, _MIXTURE, policy["id"] or label, f"a mixture of {len(policy['members'])}", entry["folder"])
    how = f", {policy['trained_by']}" if policy["trained_by"] else ", untrained"
    return Node(key, _POLICY, policy["id"] or label, f"by {stage}{how}", entry["folder"])


def picture(lineage: Lineage, entries: list[dict], ratings: dict[str, str]) -> str:
    """The lineage drawn: a column a generation, a row a stage; a box leads to its stage's report. "" without policies.

    Args:
        ratings: what to say of policies by their id, e.g. their rating.
    """
    if not any(node.kind == _POLICY for node in lineage.nodes.values()):
        return ""
    generations = sorted({key[1] for key in lineage.nodes})
    drawn = _drawn(lineage, entries, ratings, generations[-_MOST_GENERATIONS:])
    if len(generations) > _MOST_GENERATIONS:
        title = f"<h3>Where the policies come from: the last {_MOST_GENERATIONS} generations</h3>"
        whole = fold(f"all {len(generations)} generations", _drawn(lineage, entries, ratings, generations))
        return title + drawn + whole
    return "<h3>Where the policies come from</h3>" + drawn


def _drawn(lineage: Lineage, entries: list[dict], ratings: dict[str, str], generations: list[int]) -> str:
    shown = {key: node for key, node in lineage.nodes.items() if key[1] in generations}
    stages = ["", *dict.fromkeys(entry["stage"] for entry in entries)]
    places, rows = _places(shown, stages, generations)
    width = 2 * _MARGIN + _ACROSS * (len(generations) - 1) + _BOX + _ROUND
    height = 2 * _MARGIN + 18 + _DOWN * (rows - 1) + _TALL
    parts = [
        f'<text x="{_MARGIN + column * _ACROSS}" y="{_MARGIN + 2}" font-size="12" fill="#66717d">generation {generation}</text>'
        for column, generation in enumerate(generations)
    ]
    parts += [_edge(places[source], places[key]) for source, key in lineage.edges if source in places and key in places]
    parts += [_box(shown[key], places[key], ratings) for key in places]
    for generation in generations:
        parts.append(_left_out(shown, places, stages, generation))
    svg = f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">{"".join(parts)}</svg>'
    return f'<div class="scroll lineage">{svg}</div>'


def _places(shown: dict, stages: list[str], generations: list[int]) -> tuple[dict[tuple, tuple[float, float]], int]:
    """Where each box goes: its column by generation, its row by stage; how many rows there are."""
    by_stage = {
        stage: {
            generation: [key for key in shown if key[0] == stage and key[1] == generation][:_MOST_OF_ONE_STAGE]
            for generation in generations
        }
        for stage in stages
    }
    places, row = {}, 0
    for columns in by_stage.values():
        for column, keys in enumerate(columns.values()):
            for index, key in enumerate(keys):
                places[key] = (_MARGIN + column * _ACROSS, _MARGIN + 18 + (row + index) * _DOWN)
        row += max((len(keys) for keys in columns.values()), default=0)
    return places, row


def _left_out(shown: dict, places: dict, stages: list[str], generation: int) -> str:
    said = []
    for stage in stages:
        keys = [key for key in shown if key[0] == stage and key[1] == generation]
        last = [places[key] for key in keys if key in places]
        if len(keys) > len(last):
            x, y = last[-1]
            said.append(
                f'<text x="{x}" y="{y + _TALL + 12}" font-size="10.5" fill="#66717d">and {len(keys) - len(last)} more</text>'
            )
    return "".join(said)


def _edge(start: tuple[float, float], end: tuple[float, float]) -> str:
    """An arrow: downwards within a generation, sideways into the next, over the top where it goes back up."""
    (x, y), (to_x, to_y) = start, end
    if x == to_x:
        a, b = (x + _BOX / 2, y + _TALL), (to_x + _BOX / 2, to_y)
        adjacent = to_y - y <= _DOWN
        bend = 0 if adjacent else _BOX / 2 + 22  # round the boxes between
        path = f"M{a[0]:.0f} {a[1]:.0f} C{a[0] + bend:.0f} {a[1] + 16:.0f} {b[0] + bend:.0f} {b[1] - 16:.0f} {b[0]:.0f} {b[1]:.0f}"
        if not adjacent:
            a, b = (x + _BOX, y + _TALL / 2), (to_x + _BOX, to_y + _TALL / 2)
            path = f"M{a[0]:.0f} {a[1]:.0f} C{a[0] + _ROUND:.0f} {a[1]:.0f} {b[0] + _ROUND:.0f} {b[1]:.0f} {b[0]:.0f} {b[1]:.0f}"
    else:
        a, b = (x + _BOX, y + _TALL / 2), (to_x, to_y + _TALL / 2)
        half = max(28.0, (b[0] - a[0]) / 2)
        path = (
            f"M{a[0]:.0f} {a[1]:.0f} C{a[0] + half:.0f} {a[1]:.0f} {b[0] - half:.0f} {b[1]:.0f} {b[0]:.0f} {b[1]:.0f}"
        )
    return f'<path d="{path}" fill="none" stroke="#a9b4bf" stroke-width="1.5"/><circle cx="{b[0]:.0f}" cy="{b[1]:.0f}" r="3" fill="#8a949e"/>'


def _box(node: Node, place: tuple[float, float], ratings: dict[str, str]) -> str:
    x, y = place
    fill, edge = _COLOURS[node.kind]
    rating = ratings.get(node.title, "") if node.kind == _POLICY else ""
    hover = ", ".join(filter(None, (node.key[2], node.title, node.about, rating)))
    lines = [
        f'<text x="{x + 9}" y="{y + 30 + 15 * index}" font-size="11" fill="#66717d">{escape(_short(line, 27))}</text>'
        for index, line in enumerate(filter(None, (node.about, rating)))
    ]
    drawn = (
        f"<g><title>{escape(hover)}</title>"
        f'<rect x="{x}" y="{y}" width="{_BOX}" height="{_TALL}" rx="6" fill="{fill}" stroke="{edge}"/>'
        f'<text x="{x + 9}" y="{y + 17}" font-size="12.5" font-weight="600" fill="#1d2329">{escape(_short(node.title, 22))}</text>'
        f"{''.join(lines)}</g>"
    )
    return f'<a href="{quote(node.folder)}/report.html">{drawn}</a>' if node.folder else drawn


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
