"""The bar chart of a comparison, as SVG text: 800 pixels wide, for light and dark pages."""

from xml.sax.saxutils import escape

import report

COLOURS = {
    "rnc": "#1a7f4b",
    "PyTorch": "#e8684a",
    "ONNX Runtime": "#4c8fd6",
    "OpenVINO": "#9a6dd7",
    "TensorFlow": "#d9a227",
    "oneDNN": "#8c959f",
}
STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .name, .ours { font-weight: 600 }
  .quiet { fill: #59636e }
  .small { font-size: 11px }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .quiet { fill: #9198a1 }
    .grid { stroke: #3d444d }
    .rnc { fill: #2fbf71 }
  }
"""
WIDTH, LEFT, RIGHT, BAR, STEP, GAP, TOP = 800, 190, 132, 11, 14, 16, 84


def bars(row):
    """(family, ms) of a row, rnc first, then the peers from the fastest on."""
    peers = sorted((row["peers"][n]["median_ms"], f) for f, n in row["families"].items())
    ours = [("rnc", row["rnc"]["median_ms"])] if row["rnc"] else []
    return ours + [(f, ms) for ms, f in peers]


def best(row):
    """What is 1 in the chart: the fastest peer's time."""
    return min((p["median_ms"] for p in row["peers"].values()), default=row["rnc"] and row["rnc"]["median_ms"])


def text(x, y, what, css="", anchor="start"):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>' % (x, y, anchor, css, escape(what))


def bar(css, colour, x, y, width, height):
    return '<rect class="%s" fill="%s" x="%.1f" y="%.1f" width="%.1f" height="%d" rx="1.5"/>' % (
        css,
        colour,
        x,
        y,
        width,
        height,
    )


def css(family):
    return "rnc" if family == "rnc" else "peer"


def legend(families, y):
    x, out = 8, []
    for f in families:
        out += [bar(css(f), COLOURS[f], x, y - 10, 11, 11), text(x + 16, y, f, "ours" if f == "rnc" else "")]
        x += 34 + 7 * len(f)
    return out


def group(row, y, scale):
    """The name of a row, its bars with their figures, and where it ends."""
    threads = "%d thread%s" % (row["threads"], "s" * (row["threads"] > 1))
    what = ", ".join(
        ["training"] * (row["mode"] == "train")
        + ["batch %d" % row["batch"], threads]
        + ["bf16"] * (row["dtype"] == "bf16")
    )
    out = [
        text(LEFT - 12, y + 10, report.NAMES[row["model"]], "name", "end"),
        text(LEFT - 12, y + 25, what, "quiet small", "end"),
    ]
    for family, ms in bars(row):
        ours, ratio = family == "rnc", best(row) / ms
        out.append(bar(css(family), COLOURS[family], LEFT, y, ratio * scale, BAR))
        for x, figure in (72, "%.2f×" % ratio), (8, report.ms(ms) + " ms"):
            out.append(text(WIDTH - x, y + BAR - 1.5, figure, "small " + ("ours" if ours else "quiet"), "end"))
        y += STEP
    return out, max(y, y + STEP * (2 - len(bars(row))))


def svg(rows, machine):
    """Bars are speeds, that of the fastest peer of each row being 1."""
    most = max(best(r) / ms for r in rows for _, ms in bars(r))
    scale = (WIDTH - LEFT - RIGHT) / most
    families = ["rnc"] * any(r["rnc"] for r in rows) + report.families_of(rows)
    body, y = [], TOP
    for r in rows:
        part, y = group(r, y, scale)
        body += part
        y += GAP
    ticks = range(0, int(most) + 1, 1 if most < 6 else 2)
    grid = [
        '<line class="grid" x1="{0:.1f}" y1="{1}" x2="{0:.1f}" y2="{2}"/>'.format(LEFT + i * scale, TOP - 6, y - GAP)
        for i in ticks
    ]
    grid += [text(LEFT + i * scale, TOP - 11, "%d×" % i, "quiet small", "middle") for i in ticks]
    head = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">' % (WIDTH, y, WIDTH, y),
        "<style>%s</style>" % STYLE,
        text(8, 22, "Speed against the fastest peer (longer is better)", "title"),
        *legend(families, 46),
        text(
            WIDTH - 8, 22, "%s, %d CPUs, %s" % (machine["cpu"], machine["cpus"], machine["date"]), "quiet small", "end"
        ),
    ]
    return "\n".join(head + grid + body + ["</svg>", ""])
