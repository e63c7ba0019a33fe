"""Medians of runs as Markdown, with ratios to nchan, and what became of the claims."""

import statistics

NAMES = {
    "perSecond": ("a second", 0, True), "serverMicrosecondsEach": ("server µs each", 2, True),
    "clientMicrosecondsEach": ("client µs each", 2, False), "latencyMs.p50": ("p50 ms", 2, True),
    "latencyMs.p99": ("p99 ms", 2, True), "requestMs.p50": ("request p50 ms", 2, True),
    "requestMs.p99": ("request p99 ms", 2, True), "serverKiBPerStream": ("KiB a stream", 1, True),
    "serverCPUs": ("processors", 3, False), "serverMemoryKiB": ("memory KiB", 0, False),
    "seconds": ("all done s", 2, True), "catchUpMs.p50": ("each p50 ms", 0, True),
    "catchUpMs.p99": ("each p99 ms", 0, True),
}


def figure(run: dict, name: str) -> float:
    value = run
    for part in name.split("."):
        value = (value or {}).get(part)
    return float(value or 0)


def medians(runs: list[dict], names) -> dict[str, float]:
    return {name: statistics.median(figure(run, name) for run in runs) for name in names}


def table(scenario, runs: dict[str, list[dict]]) -> str:
    """A heading, a table with a line for each contender, a line for each claim."""
    pace = f"{scenario.rate:g} messages/s" if scenario.rate else f"full rate, {scenario.window} under way"
    lines = [f"### {scenario.name}: {scenario.title}", "", f"{scenario.size}-byte messages, {pace}. Medians; in "
             "parentheses the ratio to nchan. \"Others\" is what the rest of the machine used, in processors.", ""]
    names = scenario.figures
    values = {name: medians(found, {*names, *(c.figure for c in scenario.claims)}) for name, found in runs.items()}
    base = next((values[name] for name in values if name.startswith("nchan")), None)
    lines.append("| | runs | " + " | ".join(NAMES[name][0] for name in names) + " | others | faults |")
    lines.append("|---|" + "---:|" * (len(names) + 2) + "---|")
    for contender, found in runs.items():
        cells = [contender, str(len(found))]
        for name in names:
            _, digits, has_ratio = NAMES[name]
            text = f"{values[contender][name]:,.{digits}f}"
            if has_ratio and base and base is not values[contender] and base[name]:
                text += f" ({values[contender][name] / base[name]:.2f})"
            cells.append(text)
        cells.append(f"{statistics.median(run['otherCPUs'] for run in found):.2f}")
        faults = {kind: sum(run.get(kind, 0) for run in found)
                  for kind in ("errors", "lost", "missing", "gaps", "duplicates")}
        cells.append(", ".join(f"{count} {kind}" for kind, count in faults.items() if count) or "none")
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    lines += [verdict(claim, values) for claim in scenario.claims]
    return "\n".join(lines) + "\n"


def verdict(claim, values: dict[str, dict[str, float]]) -> str:
    if claim.contender not in values or (claim.base and claim.base not in values):
        return f"- not measured: {claim}"
    value = values[claim.contender][claim.figure]
    compared = value / (values[claim.base][claim.figure] or 1e-9) if claim.base else value
    holds = compared >= claim.factor if claim.relation == ">=" else compared <= claim.factor
    return f"- {'holds' if holds else '**does not hold**'}: {claim} ({compared:.2f})"
