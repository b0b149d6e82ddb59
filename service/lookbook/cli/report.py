"""The web page of a replay: one file, which loads nothing else. Tests: tests/page/test_report.py."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from lookbook.cli.comparison import verdict
from lookbook.errors import LookbookError
from lookbook.prediction import created_at
from lookbook.replay.rerun import Answer, Rerun

MAX_FLIPS = 300  # shown

_STYLE = """
:root { color-scheme: light dark;
  --paper: light-dark(#f6f3ed, #151412); --card: light-dark(#fffdf9, #1f1d1a); --line: light-dark(#dcd5c8, #37332d);
  --ink: light-dark(#1e1b17, #f1ece3); --soft: light-dark(#625b51, #aaa297); --right: light-dark(#1d5b4f, #8fd1bf);
  --wrong: light-dark(#a2331d, #f39a84); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: 1.5rem clamp(1rem, 4vw, 3rem) 4rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1, h2 { line-height: 1.2; text-wrap: balance; overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; }
.result { font-size: 1.25rem; font-weight: 600; }
.worse { color: var(--wrong); } .better { color: var(--right); }
dl.facts { display: grid; grid-template-columns: fit-content(40%) 1fr; gap: .25rem 1.5rem; }
dt, figcaption p, caption { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
caption { text-align: left; padding-bottom: .5rem; }
th, td { padding: .375rem 1rem .375rem 0; text-align: left; border-bottom: 1px solid var(--line); }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); gap: 1rem; padding: 0;
  list-style: none; }
figure { margin: 0; padding: 1rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem; }
img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; }
figcaption p { margin: .5rem 0 0; font-size: .875rem; overflow-wrap: anywhere; }
figcaption dl { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem; margin: .75rem 0 0; }
figcaption dt { font-size: .875rem; }
.right { color: var(--right); } .wrong { color: var(--wrong); }
"""


def write(file: Path, report: Mapping[str, Any], flips: Sequence[Rerun]) -> None:
    """`flips`, in the order of review, have at least the first MAX_FLIPS. Raises LookbookError."""
    try:
        file.write_text(page(report, flips))
    except OSError as error:
        raise LookbookError(f"cannot write {file}: {error.strerror}") from error


def page(report: Mapping[str, Any], flips: Sequence[Rerun]) -> str:
    title = f"{report['candidate']} compared with {report['baseline']}"
    kind = "worse" if report["worse"] else "better" if report["better"] else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p class="result {kind}">{escape(verdict(report).capitalize())}</p>
<dl class="facts">{"".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in _facts(report))}</dl>
{_pairs(report)}
{_flips(flips, report["flips_to_judge"])}
</main>
</body>
</html>
"""


def _facts(report: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    low, high = report["agreement"]["confidence_interval"]
    test, difference = report["mcnemar"], report["accuracy_difference"]
    yield "Predictions", f"{report['pairs']:,}, from {report['since']} to {report['until']}"
    yield "Agreement", f"{report['agreement']['estimate']:.1%} (95% interval {low:.1%} to {high:.1%})"
    yield "Flips", f"{report['flips_to_judge']:,}, of which {report['judged']:,} are judged in the order of review"
    yield (
        "Right alone",
        f"candidate {test['candidate_only']:,}, baseline {test['baseline_only']:,}; p = {test['p_value']:.3g}",
    )
    if difference:
        low, high = difference["confidence_interval"]
        points = f"{100 * difference['estimate']:+.1f} points"
        yield "Difference in accuracy", f"{points} (95% interval {100 * low:+.1f} to {100 * high:+.1f})"
    yield (
        "Inputs",
        f"the baseline repeats its stored scores within {report['largest_score_difference']:.6f}; left out: "
        f"{report['unfaithful']:,} whose score it does not repeat, {report['without_input']:,} without a stored input",
    )
    if report["too_small"]:
        yield "Too small", f"{report['too_small']:,} inputs, which may lower the candidate's accuracy"


def _pairs(report: Mapping[str, Any]) -> str:
    if not report["flips"]:
        return ""
    rows = "".join(
        f"<tr><td>{escape(pair['baseline'])}</td><td>{escape(pair['candidate'])}</td>"
        f'<td class="number">{pair["count"]:,}</td><td class="number">{pair["share"]:.2%}</td></tr>'
        for pair in report["flips"]
    )
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Baseline", "Candidate", "Flips", "Share"))
    return f"""<h2>Flips by label</h2>
<div class="wide" tabindex="0" role="region" aria-label="Flips by label"><table>
<caption>Share: the estimated share of all predictions</caption>
<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"""


def _flips(flips: Sequence[Rerun], count: int) -> str:
    if not flips:
        return "<h2>Flips</h2><p>Both models give every input the same label.</p>"
    shown, note = flips[:MAX_FLIPS], ""
    if len(shown) < count:
        note = f"<p>The first {len(shown):,} of {count:,}, in the order of review.</p>"
    return f"<h2>Flips</h2>{note}<ul>{''.join(map(_flip, shown))}</ul>"


def _flip(flip: Rerun) -> str:
    truth = flip.stored.truth
    said = "Not judged" if truth is None else f"Judged: {truth.label or 'unclear'}"
    image = base64.b64encode(flip.preview).decode()
    answers = "".join(
        f"<div><dt>{side}</dt><dd{_mark(answer, flip)}>{escape(answer[0])} {answer[1]:.0%}</dd></div>"
        for side, answer in (("Baseline", flip.stored.answer), ("Candidate", flip.candidate))
    )
    return (
        f'<li><figure><img src="data:image/webp;base64,{image}" alt="What the models saw">'
        f"<figcaption><dl>{answers}</dl><p>{escape(said)}<br>{created_at(flip.id):%Y-%m-%dT%H:%M}Z<br>{flip.id}</p>"
        "</figcaption></figure></li>"
    )


def _mark(answer: Answer, flip: Rerun) -> str:
    """The color; the text below the labels says the same."""
    truth = flip.stored.truth
    if truth is None or truth.label is None:
        return ""
    return ' class="right"' if answer[0] == truth.label else ' class="wrong"'
