"""The bar chart of a comparison, as SVG text."""
from xml.sax.saxutils import escape

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .row, .ours { font-weight: 600 }
  .quiet { fill: #6e7781; font-size: 11px }
  .peer { fill: #afb8c1 }
  .rnc { fill: #1a7f4b }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .quiet { fill: #8b949e }
    .peer { fill: #57606a }
    .rnc { fill: #3fb56f }
    .grid { stroke: #30363d }
  }
"""
LEFT, WIDTH, RIGHT, BAR, STEP, GAP, TOP = 120, 480, 190, 14, 18, 44, 66


def bars(row):
    """(name, ms, is it rnc) of a row, rnc first, then the peers' families from the fastest on."""
    peers = sorted((row["peers"][n]["median_ms"], f) for f, n in row["families"].items())
    return [("rnc", row["rnc"]["median_ms"], True)] + [(f, ms, False) for ms, f in peers]


def text(x, y, what, css="", anchor="start"):
    return '<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>' % (x, y, anchor, ' class="%s"' % css if css else "", escape(what))


def ticks(most):
    return range(0, int(most) + 1, 1 if most <= 4 else 2)


def group(row, y, scale, most):
    """The title of a row, its bars, and the grid behind them."""
    all_bars = bars(row)
    best = min((ms for _, ms, ours in all_bars if not ours), default=all_bars[0][1])
    what = "training step" if row["mode"] == "train" else "inference"
    name = "%s %s, batch %d, %d thread%s" % (row["model"], what, row["batch"], row["threads"], "s" * (row["threads"] > 1))
    out = [text(8, y - 7, name, "row")]
    for i in ticks(most):
        out.append('<line class="grid" x1="{0:.1f}" y1="{1}" x2="{0:.1f}" y2="{2}"/>'.format(LEFT + i * scale, y - 2, y + STEP * len(all_bars) - 2))
    for family, ms, ours in all_bars:
        out.append(text(LEFT - 8, y + BAR - 3, family, "ours" if ours else "", "end"))
        out.append('<rect class="%s" x="%d" y="%.1f" width="%.1f" height="%d" rx="2"/>' % ("rnc" if ours else "peer", LEFT, y, best / ms * scale, BAR))
        rate = row["batch"] / ms * 1e3
        columns = ("%.2f×" % (best / ms), 44), ("%.4g ms" % ms, 116), ("%s/s" % ("%.0f" % rate if rate >= 100 else "%.3g" % rate), 180)
        out += [text(LEFT + WIDTH + x, y + BAR - 3, what, "ours" if ours else "quiet", "end") for what, x in columns]
        y += STEP
    return out, y


def svg(rows, machine):
    """Bars are speeds, those of the fastest peer of each row being 1."""
    speeds = [min(ms for _, ms, ours in bars(r) if not ours or len(bars(r)) == 1) / ms for r in rows for _, ms, _ in bars(r)]
    most = max(speeds + [1])
    scale = WIDTH / most
    height = TOP + sum(GAP + STEP * len(bars(r)) for r in rows)
    body = [text(LEFT + i * scale, TOP - 6, "%d×" % i, "quiet", "middle") for i in ticks(most)]
    y = TOP + 26
    for r in rows:
        part, y = group(r, y, scale, most)
        body += part
        y += GAP
    width = LEFT + WIDTH + RIGHT
    head = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">' % (width, height, width, height),
            "<style>%s</style>" % STYLE, text(8, 22, "Speed, against the fastest peer (longer is better)", "title"),
            text(8, 40, "float32, %s, %d CPUs, %s" % (machine["cpu"], machine["cpus"], machine["date"]), "quiet")]
    return "\n".join(head + body + ["</svg>", ""])
