// Lines, with bands where several seeds are one line, by uPlot.
"use strict";
{
  const element = reckon.element;
  const HEIGHT = 210;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  reckon.palette = ["#3b76b5", "#d1622b", "#3f8f5a", "#9258b0", "#b09120", "#c0436b", "#2a95a0", "#7d6a5b"];

  // Several series over steps of their own to one: {x, mean, low, high}, a band where more than one has a step.
  reckon.banded = (series) => {
    const at = new Map();
    for (const { x, y } of series) {
      for (let i = 0; i < x.length; i++) {
        if (Number.isNaN(y[i])) continue;
        if (!at.has(x[i])) at.set(x[i], []);
        at.get(x[i]).push(y[i]);
      }
    }
    const steps = [...at.keys()].sort((a, b) => a - b);
    const over = (f) => steps.map((step) => f(at.get(step)));
    return {
      x: steps,
      mean: over((values) => values.reduce((a, b) => a + b, 0) / values.length),
      low: over((values) => Math.min(...values)),
      high: over((values) => Math.max(...values)),
      several: series.length > 1,
    };
  };

  // lines: [{label, colour, x, mean, low, high, several, thin}]; options: {log, range, stacked}. Returns the chart's element.
  reckon.chart = (title, lines, options = {}) => {
    const holder = element("figure", { class: "chart" }, element("figcaption", {}, title));
    holder.draw = () => {
      holder.plot?.destroy();
      const { data, series, bands } = aligned(lines, options);
      const axis = {
        stroke: css("--quiet"),
        grid: { stroke: css("--line"), width: 1 },
        ticks: { stroke: css("--line"), width: 1 },
        font: "11px system-ui",
      };
      holder.plot = new uPlot(
        {
          width: Math.max(240, holder.clientWidth - 4),
          height: HEIGHT,
          series,
          bands,
          axes: [
            { ...axis },
            { ...axis, size: 56, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : reckon.number(tick, 2))) },
          ],
          scales: {
            x: { time: false },
            y: { ...(options.log ? { distr: 3 } : {}), ...(options.range ? { range: () => options.range } : {}) },
          },
          cursor: { points: { size: 6 } },
          legend: { live: true },
        },
        data,
        holder,
      );
    };
    charts.add(holder);
    return holder;
  };

  const aligned = (lines, options) => {
    const steps = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
    const place = new Map(steps.map((step, i) => [step, i]));
    const spread = (x, y) => {
      const whole = new Array(steps.length).fill(null);
      x.forEach((step, i) => {
        whole[place.get(step)] = options.log && !(y[i] > 0) ? null : y[i];
      });
      return whole;
    };
    const data = [steps],
      series = [{ label: "step" }],
      bands = [];
    for (const line of lines) {
      const sparse = line.x.length < 40;
      const fill = line.colour + "30";
      data.push(spread(line.x, line.mean));
      series.push({
        label: line.label,
        stroke: line.colour,
        width: line.thin ? 1 : 2,
        spanGaps: true,
        points: { show: sparse && line.x.length < steps.length, size: 5 },
        value: (_, value) => (value === null ? "-" : reckon.number(value)),
        dash: line.dash,
      });
      if (line.low && (line.several || line.interval)) {
        for (const y of [line.high, line.low]) {
          data.push(spread(line.x, y));
          series.push({ label: "", stroke: "transparent", spanGaps: true, points: { show: false }, class: "bound" });
        }
        bands.push({ series: [data.length - 2, data.length - 1], fill });
      }
    }
    return { data, series, bands };
  };

  // Charts that stand in the page are drawn anew when their width or the colours change.
  const charts = new Set();
  const redraw = () => {
    for (const chart of charts) {
      if (chart.isConnected) chart.draw();
      else {
        chart.plot?.destroy();
        charts.delete(chart);
      }
    }
  };
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(redraw, 150);
  });
  reckon.redraw = redraw;
}
