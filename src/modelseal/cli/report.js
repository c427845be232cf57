// SPDX-License-Identifier: Apache-2.0
"use strict";
const body = document.querySelector("tbody"), rows = [...body.rows];
const search = document.querySelector("input"), none = document.getElementById("none");
const chips = [...document.querySelectorAll(".bar button")], heads = [...document.querySelectorAll("thead th")];
let state = "";
function show() {
  const text = search.value.toLowerCase();
  let shown = 0;
  for (const row of rows) {
    const fits = (!state || row.dataset.state === state) && row.textContent.toLowerCase().includes(text);
    row.hidden = !fits;
    shown += fits;
  }
  none.hidden = shown > 0;
}
for (const chip of chips) chip.addEventListener("click", () => {
  state = state === chip.dataset.state ? "" : chip.dataset.state;
  for (const one of chips) one.setAttribute("aria-pressed", one.dataset.state === state);
  show();
});
search.addEventListener("input", show);
heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const one of heads) one.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = row => row.cells[column].dataset.key ?? row.cells[column].textContent;
  rows.sort((a, b) => key(a).localeCompare(key(b), "en", { numeric: true }) * (down ? -1 : 1));
  body.append(...rows);
}));
document.querySelector(".bar").hidden = false;
