// Runs in a page that holds reports in frames; looks at each as a reader would see it.
"use strict";

function clipped(rect, element, frame) {
  // what a scrolling box hides is not on the page
  let { left, top, right, bottom } = rect;
  for (let parent = element; parent; parent = parent.parentElement) {
    if (parent.namespaceURI.endsWith("svg")) continue;
    const style = frame.getComputedStyle(parent);
    if (style.overflowX === "visible" || parent === frame.document.body) continue;
    const box = parent.getBoundingClientRect();
    [left, right] = [Math.max(left, box.left), Math.min(right, box.right)];
    [top, bottom] = [Math.max(top, box.top), Math.min(bottom, box.bottom)];
  }
  return { left, top, right, bottom };
}

function texts(frame) {
  const found = [];
  const walker = frame.document.createTreeWalker(frame.document.body, 4 /* text */);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const element = node.parentElement;
    if (!node.data.trim() || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    if (!element.checkVisibility() || element.closest(".skip, #verdict > h2")) continue;
    let rects;
    if (element.namespaceURI.endsWith("svg")) rects = [element.getBoundingClientRect()];
    else {
      const range = frame.document.createRange();
      range.selectNodeContents(node);
      rects = [...range.getClientRects()];
    }
    for (const rect of rects) {
      const seen = clipped(rect, element, frame);
      if (seen.right - seen.left > 2 && seen.bottom - seen.top > 2) {
        found.push({ node, element, text: node.data.trim().slice(0, 40), ...seen });
      }
    }
  }
  return found;
}

function overlaps(found) {
  const sorted = [...found].sort((a, b) => a.top - b.top);
  const pairs = [];
  sorted.forEach((one, index) => {
    for (let next = index + 1; next < sorted.length && sorted[next].top < one.bottom - 1.5; next++) {
      const other = sorted[next];
      if (one.node === other.node) continue;
      const width = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const height = Math.min(one.bottom, other.bottom) - other.top;
      if (width > 1.5 && height > 1.5) pairs.push(`${one.text} | ${other.text}`);
    }
  });
  return pairs;
}

function look(frame) {
  const root = frame.document.documentElement;
  const found = texts(frame);
  const cut = [];
  for (const { element, text } of found) {
    const drawing = element.namespaceURI.endsWith("svg") && element.closest("svg").getBoundingClientRect();
    if (!drawing) continue;
    const rect = element.getBoundingClientRect();
    if (rect.left < drawing.left - 1 || rect.right > drawing.right + 1) cut.push(text);
    if (rect.top < drawing.top - 1 || rect.bottom > drawing.bottom + 1) cut.push(text);
  }
  const outside = found.filter((one) => one.right > root.clientWidth + 1 || one.left < -1).map((one) => one.text);
  return {
    num_texts: found.length,
    width: root.clientWidth,
    overflow: root.scrollWidth - root.clientWidth,
    overlaps: overlaps(found),
    cut,
    outside,
  };
}

function sorting(frame) {
  // the order of the classes after one and after two clicks on the heading of the first number column
  const table = frame.document.querySelector("#classes table:not(details table)");
  const button = table.tHead.rows[0].cells[1].firstElementChild;
  const column = () => [...table.tBodies[0].rows].map((row) => Number(row.cells[1].dataset.order));
  const orders = [column()];
  for (let click = 0; click < 2; click++) {
    button.click();
    orders.push(column());
  }
  return { orders, state: table.tHead.rows[0].cells[1].getAttribute("aria-sort") };
}

function legend(frame) {
  // each entry: how its sample is drawn, colours left aside, and its words
  return [...frame.document.querySelectorAll(".legend > div")].map((entry) => {
    const looks = [...entry.querySelectorAll(".said, .true")].map((mark) => {
      const style = frame.getComputedStyle(mark);
      const box = mark.classList.contains("said") ? style.borderTopStyle : "no box";
      const line = mark.classList.contains("true") ? `${style.textDecorationStyle} ${style.textDecorationThickness}` : "no line";
      return `${box}, ${line}`;
    });
    const signs = [...entry.querySelectorAll(".tag")].map((tag) => tag.textContent);
    return {
      looks: [...looks, ...signs],
      words: entry.querySelector("dd").textContent.trim(),
      height: entry.getBoundingClientRect().height,
    };
  });
}

addEventListener("load", () => {
  const result = [];
  for (const { name, contentWindow: frame } of document.querySelectorAll("iframe")) {
    const folded = look(frame);
    const paper = frame.getComputedStyle(frame.document.body).backgroundColor;
    const sorted = frame.document.querySelector("#classes table") ? sorting(frame) : null;
    for (const details of frame.document.querySelectorAll("details")) details.open = true;
    result.push({ name, paper, folded, opened: look(frame), sorted, legend: legend(frame) });
  }
  document.getElementById("result").textContent = JSON.stringify(result);
});
