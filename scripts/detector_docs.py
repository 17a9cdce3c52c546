"""Writes docs/detectors from the detectors' docstrings and policies, with findings of a run over a labelled scenario.

    python scripts/detector_docs.py            writes the pages
    python scripts/detector_docs.py --check    exits with 1 if one is not current

The examples come from three weeks of one simulated company; the same seed gives the same findings.
"""

# ruff: noqa: INP001 - a command, not a module of a package
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import generated
import msgspec
from generated import ROOT, field_texts

from common.logs import configure_logs
from detectors.interface import AbsenceDetector, BaselineDetector, Detector
from detectors.registry import DETECTORS
from evaluation.fold import Found, run
from simulation.labelled import Scenario, Span

DIRECTORY = ROOT / "docs" / "detectors"
SEED, WEEKS, LEARNING_WEEKS = 17, 3, 2
_EXAMPLES_MAX = 3
_NOTE = "Written by `scripts/detector_docs.py`; do not edit."
NO_EXAMPLE = "The evaluation's scenario has none."
_RANGES = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def documents(found: Iterable[tuple[str, Found]]) -> dict[str, str]:
    """The text of every page by its file name.

    Args:
        found: detectors with what they found, in the order of the log.
    """
    by_detector: dict[str, list[Found]] = {}
    for detector, finding in found:
        by_detector.setdefault(detector, []).append(finding)
    pages = {_file(each): _page(each, by_detector.get(each.name, [])) for each in DETECTORS}
    return {"README.md": _index(), **pages}


def findings() -> Iterator[tuple[str, Found]]:
    """What each detector finds in the scenario. Detectors of the same finding type run one after the other."""
    scenario = Scenario(SEED, Span(weeks=WEEKS, learning_weeks=LEARNING_WEEKS), tenants=1)
    changes = list(scenario.changes())
    left = list(DETECTORS)
    while left:
        together: dict[str, Detector] = {}
        for detector in left:
            together.setdefault(_subject(detector), detector)
        names = {subject: detector.name for subject, detector in together.items()}
        for found in run(changes, scenario.meta.until_s, list(names.values())).found:
            subject = next((each for each in names if found.finding.finding_type.startswith(each)), None)
            if subject is not None:
                yield names[subject], found
        left = [detector for detector in left if detector not in together.values()]


def _subject(detector: Detector) -> str:
    """The finding type, or what its finding types begin with: the first word of its module's docstring."""
    return _summary(detector).split()[0].strip(",:").removesuffix("_BELOW")


def _summary(detector: Detector) -> str:
    return (inspect.getdoc(inspect.getmodule(type(detector))) or "").splitlines()[0]


def _file(detector: Detector) -> str:
    return detector.name.replace("_", "-") + ".md"


def _index() -> str:
    lines = [
        "# Detectors\n",
        f"{_NOTE}\n",
        "How well they find what is wrong: [evaluation](../evaluation.md). What a detector is: `detectors/interface.py`; how",
        "to write one: [add a detector](../add-a-detector.md). The fields of a policy are set by rows of the table `policy`",
        "for a tenant, a client or a site, or for all in the setting `worker.policies`, under the detector's name.\n",
        "| detector | finds | reads | keeps state for | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for each in DETECTORS:
        types, _, what = _summary(each).partition(":")
        entity = "nothing" if each.state_type is None else f"each {each.entity.value}"
        how = _how(each)
        tables = ", ".join(each.tables) or "every table"
        lines.append(f"| [{each.name}]({_file(each)}) | {types}: {what.strip()} | {tables} | {entity} | {how} |")
    return "\n".join([*lines, ""])


def _how(detector: Detector) -> str:
    if isinstance(detector, BaselineDetector):
        return "learns, by timer"
    return "by timer" if isinstance(detector, AbsenceDetector) else "by row"


def _page(detector: Detector, found: list[Found]) -> str:
    lines = [f"# {detector.name}\n", f"{_NOTE}\n", f"{_summary(detector)}\n"]
    lines += list(_text(inspect.getdoc(type(detector)) or ""))
    lines += [
        "## Policy\n",
        f"{(inspect.getdoc(type(detector.policy)) or '').splitlines()[0]}\n",
        "| field | default | range | meaning |",
        "| --- | --- | --- | --- |",
        *_fields(type(detector.policy), detector.policy),
        "",
        "## State\n",
    ]
    if detector.state_type is None:
        lines.append("None: each row is judged by itself.\n")
    else:
        state = (inspect.getdoc(detector.state_type) or "").splitlines()[0]
        lines += [f"One for each tenant and {detector.entity.value}. {state}\n"]
        lines += [f"- `{field.name}`" for field in msgspec.structs.fields(detector.state_type)]
        lines.append("")
    return "\n".join([*lines, "## Examples\n", *_examples(found)])


def _text(docstring: str) -> Iterator[str]:
    """The docstring as Markdown, with its doctest as a block of code."""
    lines, code = docstring.splitlines(), False
    for line in lines:
        if line.startswith(">>>") and not code:
            yield "```python"
            code = True
        if code and not line:
            yield "```"
            code = False
        yield line
    if code:
        yield "```"
    yield ""


def _fields(policy_type: type[Any], policy: Any) -> Iterator[str]:
    info = msgspec.inspect.type_info(policy_type)
    for field in getattr(info, "fields", ()):
        limits = {word: getattr(field.type, key, None) for key, word in _RANGES.items()}
        said = ", ".join(f"{word} {value:g}" for word, value in limits.items() if value is not None)
        default = getattr(policy, field.name)
        shown = f"{default:g}" if isinstance(default, float) else str(default).lower()
        text = " ".join(field_texts(policy_type).get(field.name, "").split()).replace("|", "\\|")
        yield f"| `{field.name}` | {shown} | {said} | {text} |"


def _examples(found: list[Found]) -> Iterator[str]:
    """The first finding of each kind of evidence."""
    shown: dict[tuple[object, ...], Found] = {}
    for each in found:
        evidence = each.finding.evidence
        shown.setdefault((each.finding.finding_type, evidence.get("reason"), *sorted(evidence)), each)
    if not shown:
        yield f"{NO_EXAMPLE}\n"
    for each in list(shown.values())[:_EXAMPLES_MAX]:
        finding = each.finding
        yield f"{finding.finding_type}, {finding.severity.value}, from a row of `{each.table}`: {finding.title}.\n"
        yield f"> {finding.description}\n"
        body = msgspec.json.format(msgspec.json.encode(finding.evidence), indent=2).decode()
        yield f"```json\n{body}\n```\n"


def main() -> int:
    """Write or check the pages; return the exit code."""
    configure_logs("error", process="evaluation")  # the planted wrong rows need no warnings
    pages = {DIRECTORY / name: text for name, text in documents(findings()).items()}
    return generated.main(pages, "detector_docs.py", DIRECTORY.glob("*.md"))


if __name__ == "__main__":
    raise SystemExit(main())
