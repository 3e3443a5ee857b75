"use strict";

// Values at the step under the pointer, in place of the last ones.
for (const figure of document.querySelectorAll("figure.curves")) {
  const curves = JSON.parse(figure.dataset.curves);
  const steps = [...new Set(curves.flatMap(([steps]) => steps))].sort((a, b) => a - b);
  const heading = figure.querySelector("th.last");
  const cells = [...figure.querySelectorAll("td.last")];
  const before = [heading, ...cells].map((cell) => [...cell.childNodes]);

  const nearest = (sorted, wanted) =>
    sorted.reduce((best, step, i) =>
      Math.abs(step - wanted) < Math.abs(sorted[best] - wanted) ? i : best, 0);

  for (const svg of figure.querySelectorAll("svg.chart")) {
    const [left, right, first, last] = JSON.parse(svg.dataset.x);
    const [bottom, top, low, high] = JSON.parse(svg.dataset.y);
    const scale = svg.classList.contains("log") ? Math.log10 : (value) => value;
    const across = (step) => left + (step - first) / (last - first) * (right - left);
    const up = (value) =>
      bottom + (scale(value) - scale(low)) / (scale(high) - scale(low)) * (top - bottom);
    const marks = document.createElementNS("http://www.w3.org/2000/svg", "g");
    svg.append(marks);
    let place = null;

    const mark = (name, attributes) => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const key in attributes) node.setAttribute(key, attributes[key]);
      marks.append(node);
    };

    const show = (chosen) => {
      place = Math.min(Math.max(chosen, 0), steps.length - 1);
      marks.replaceChildren();
      mark("path", { class: "cursor", d: `M${across(steps[place])},${top}V${bottom}` });
      heading.textContent = `at step ${steps[place].toLocaleString("en")}`;
      curves.forEach(([own, values], i) => {
        const j = nearest(own, steps[place]);
        const value = values[j];
        cells[i].textContent = value === null ? "not finite" : String(+value.toPrecision(5));
        if (own[j] !== steps[place]) cells[i].textContent += ` (step ${own[j]})`;
        const y = value === null ? NaN : up(value);
        if (Number.isFinite(y)) {
          mark("circle", { class: `dot c${i}`, r: 3.5, cx: across(own[j]), cy: y });
        }
      });
    };

    const reset = () => {
      place = null;
      marks.replaceChildren();
      [heading, ...cells].forEach((cell, i) => cell.replaceChildren(...before[i]));
    };

    const point = (event) => {
      const box = svg.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      show(nearest(steps, first + (x - left) / (right - left) * (last - first)));
    };
    svg.addEventListener("pointermove", point);
    svg.addEventListener("pointerdown", point);
    svg.addEventListener("pointerleave", reset);
    svg.addEventListener("blur", reset);
    svg.addEventListener("keydown", (event) => {
      const end = steps.length - 1;
      const from = place === null ? end + 1 : place;
      const target = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: end }[event.key];
      if (target === undefined) return;
      event.preventDefault();
      show(target);
    });
  }
}
